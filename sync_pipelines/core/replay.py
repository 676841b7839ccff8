"""Replay: archived pages once more through today's mapping, without a call to the vendor; a dry run shows what would change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core import archive
from sync_pipelines.core.db import Database
from sync_pipelines.core.store import Storer
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.upsert import Change, preview


def replay(
    stream: Stream[Any],
    *,
    database: Database,
    account: str,
    run_id: str,
    settings: Any,
    since: datetime | None = None,
    until: datetime | None = None,
) -> SyncTotals:
    """Stores what the archive holds again; newer rows stay, rows whose mapping changed are rewritten.

    Args:
        stream: The declaration with today's mapping.
        database: Where archive and rows are.
        account: ``vendor/name``.
        run_id: The run that writes.
        settings: The account's settings model.
        since: Pages received at or after, aware UTC.
        until: Pages received before, aware UTC.
    """
    totals = SyncTotals(stream.key, account, run_id)
    storer = Storer(stream, account, run_id, settings, compare_columns=True)
    started = datetime.now(UTC)
    for page in archive.pages(database, stream=stream.key, account=account, since=since, until=until):
        with database.transaction() as connection:
            raws = stream.records(page.body, page.source)
            outcome = storer.raws(connection, raws, source=page.source, received_at=page.received_at)
        totals.add(outcome.fetched, outcome.counts, outcome.dead_lettered)
        totals.unknown += outcome.unknown
        totals.unknown_words |= outcome.unknown_words
    totals.duration_s = round((datetime.now(UTC) - started).total_seconds(), 3)
    return totals


def rehearse(
    stream: Stream[Any],
    *,
    database: Database,
    account: str,
    settings: Any,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Change]:
    """What `replay` would change in the stream's table, page by page; writes nothing."""
    storer = Storer(stream, account, "", settings)
    for page in archive.pages(database, stream=stream.key, account=account, since=since, until=until):
        raws = stream.records(page.body, page.source)
        records, _ = storer.parse(raws, source=page.source, received_at=page.received_at)
        with database.transaction() as connection:
            yield from preview(connection, stream.table, records, account=account, version_is_read_time=stream.version_is_read_time)
