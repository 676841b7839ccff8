"""Syncs in a process of its own, to measure its memory or to kill it."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines_tests.memory import most_memory
from sync_pipelines_tests.sandboxes import Control
from sync_pipelines_tests.vendors.gazelle.studio import Studio


class Elsewhere:
    """A child process that syncs every stream of an account once.

    Args:
        base_url: Of the look-alike.
        database_url: Migrated.
        lane: Backfill reads thoroughly.
        **settings: Of the account.
    """

    def __init__(self, base_url: str, database_url: str, *, lane: Lane = Lane.LIVE, **settings: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiving, sending = context.Pipe(duplex=False)
        self.process = context.Process(target=_sync, args=(sending, base_url, database_url, lane, settings), daemon=True)
        self.process.start()
        sending.close()

    def result(self) -> tuple[dict[str, dict[str, Any]], int]:
        """Totals by stream, and the most memory the process held at once, in bytes."""
        totals, memory = self._receiving.recv()
        self.process.join()
        return totals, memory


def _sync(sending: Connection, base_url: str, database_url: str, lane: Lane, settings: dict[str, Any]) -> None:
    with Database(database_url, application_name="gazelle elsewhere") as database:
        running: Any = SimpleNamespace(base_url=base_url, control=Control(base_url))
        totals = Studio(running, database, **settings).sync_all(lane=lane)
    sending.send(({name: total.as_json() for name, total in totals.items()}, most_memory()))
