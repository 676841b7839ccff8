"""From "reference X may have changed" to the mirror: changed references are read from the main account in batches and stored.

Storing spreads tasks to the links in the same transaction (`streams.note_changes`), so a crash at any line repeats a read at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import RemoteError
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.queue import Task, claim, finish, release
from sync_pipelines.core.store import Storer
from sync_pipelines.core.stream import Page
from sync_pipelines.core.upsert import tombstone
from sync_pipelines.vendors.grand_shooting.client import PAGE, GrandShootingClient
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import CHANGES, spread
from sync_pipelines.vendors.grand_shooting.streams import REFERENCES, SOURCE
from sync_pipelines.vendors.grand_shooting.tables import references

DELETED = "references/delete"


@dataclass(slots=True)
class IntakeTotals:
    """What was read from the main account."""

    announced: int = 0
    read: int = 0
    changed: int = 0
    deleted: int = 0
    dead_lettered: int = 0


@dataclass(frozen=True)
class Intake:
    """Reads the announced changes of one main account.

    Args:
        database: Where queue and mirror are.
        main: Its id.
        client: Its client.
        run_id: The Dagster run.
        settings: The account's settings.
        totals: Counted up.
    """

    database: Database
    main: str
    client: GrandShootingClient
    run_id: str
    settings: Any
    totals: IntakeTotals

    def step(self, worker: str) -> int:
        """Works one batch; returns how many tasks it had.

        Raises:
            RemoteError: The main account could not be read; the tasks were given back.
        """
        tasks = claim(self.database, CHANGES, worker, PAGE, [self.main])
        if not tasks:
            return 0
        try:
            self._read(tasks)
        except RemoteError:
            with self.database.transaction() as connection:
                release(connection, tasks)
            raise
        return len(tasks)

    def _read(self, tasks: list[Task]) -> None:
        topics = {int(task.key): task.payload["topic"] for task in tasks}
        page = self.client.by_ids(topics)
        found = {int(decode_json(item)["reference_id"]) for item in page.items()}
        absent = [number for number in topics if number not in found]
        gone = [number for number in absent if topics[number] == DELETED or not self.client.exists(number)]
        with self.database.transaction() as connection:
            row = connection.execute("select clock_timestamp()").fetchone()
            assert row is not None  # noqa: S101 - a SELECT without FROM answers one row
            storer = Storer(REFERENCES, self.main, self.run_id, self.settings)
            outcome = storer.page(connection, Page(page.body, SOURCE, page.request), received_at=row[0])
            deleted = self._bury(connection, gone, row[0])
            finish(connection, tasks)
        self.totals.announced += len(tasks)
        self.totals.read += outcome.fetched
        self.totals.changed += outcome.counts.inserted + outcome.counts.updated
        self.totals.deleted += deleted
        self.totals.dead_lettered += outcome.dead_lettered

    def _bury(self, connection: Connection[Any], gone: list[int], now: Any) -> int:
        """Tombstones for references that are gone; each just newer than what was last known, so that only a re-creation wins."""
        if not gone:
            return 0
        rows = connection.execute(
            "select ref, version from grand_shooting.references"
            " where account = %s and reference_id = any(%s) and deleted_at is null",
            [self.main, gone],
        ).fetchall()
        versions: dict[tuple[Any, ...], Any] = {(ref,): version + timedelta(microseconds=1) for ref, version in rows}
        counts = tombstone(connection, references, versions, account=self.main, run_id=self.run_id, now=now)
        spread(connection, self.main, [key[0] for key in versions])
        return counts.deleted
