"""Keeps our own tables at their retention's size: whole days at once, rows in small chunks, partitions made ahead of need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg import Connection

from sync_pipelines.core import dead_letters, intake, partitions, queue
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.retention import Retention

AHEAD_DAYS = 4
"""Partitions made ahead: a maintenance job that stands still for a long weekend stops nothing."""

CHUNK = 1_000
"""Rows deleted in one transaction: short locks, and little to do again after a crash."""

_ABANDONED = timedelta(days=7)
"""A comparison or scan that nobody went on with for so long will begin anew anyway."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What one pass did: whole days dropped, and rows deleted."""

    archive_days_dropped: int
    finished_work_days_dropped: int
    delivery_days_dropped: int
    letters_purged: int
    reconciliations_purged: int
    abandoned_purged: int

    def as_json(self) -> dict[str, int]:
        """As flat numbers."""
        return asdict(self)


def maintain(database: Database, retention: Retention, *, now: datetime | None = None) -> Upkeep:
    """Makes partitions ahead and drops what is past its retention; safe to run at any time, and again.

    Args:
        database: Ours.
        retention: How long things are kept.
        now: Aware UTC; by default the database's clock.
    """

    def before(days: int) -> datetime:
        assert now is not None  # noqa: S101  # set below
        return now - timedelta(days=days)

    with database.connect() as connection:
        now = now or clock(connection)
        partitions.ensure_days(connection, "archive", first=now.date(), days=AHEAD_DAYS)
        queue.ensure_partitions(connection, now=now)
        intake.ensure_partitions(connection, now=now)
        return Upkeep(
            archive_days_dropped=partitions.drop_days_before(connection, "archive", before(retention.archive_days).date()),
            finished_work_days_dropped=queue.drop_partitions(connection, before(retention.finished_work_days)),
            delivery_days_dropped=intake.forget(connection, before(retention.deliveries_days)),
            letters_purged=_in_chunks(
                lambda: dead_letters.purge_resolved(connection, before(retention.resolved_letters_days), most=CHUNK)
            ),
            reconciliations_purged=_purge(connection, _RECONCILIATIONS, before(retention.reconciliations_days)),
            abandoned_purged=_purge(connection, _COMPARED, now - _ABANDONED) + _purge(connection, _COMPARISONS, now - _ABANDONED),
        )


_RECONCILIATIONS = """
delete from sync.reconciliations where ctid = any(array(select ctid from sync.reconciliations where checked_at < %s limit %s))
"""

_COMPARED = """
delete from sync.compared_keys where ctid = any(array(
    select k.ctid from sync.compared_keys k left join sync.comparisons c using (account, stream)
    where c.account is null or c.updated_at < %s limit %s))
"""

_COMPARISONS = """
delete from sync.comparisons where ctid = any(array(select ctid from sync.comparisons where updated_at < %s limit %s))
"""


def _purge(connection: Connection[Any], statement: LiteralString, before: datetime) -> int:
    return _in_chunks(lambda: connection.execute(statement, [before, CHUNK]).rowcount)


def _in_chunks(purge: Callable[[], int]) -> int:
    """Repeats until a chunk is not full; the connection commits each by itself."""
    total = 0
    while (count := purge()) == CHUNK:
        total += count
    return total + count
