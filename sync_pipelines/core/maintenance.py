"""Keeps our own tables at their retention's size: whole days go at once, partitions are made ahead of need."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

from sync_pipelines.core import dead_letters, partitions
from sync_pipelines.core.db import Database

AHEAD_DAYS = 4
"""Partitions made ahead: a maintenance job that stands still for a long weekend stops nothing."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days things are kept.

    Attributes:
        archive_days: Response pages, and so the reach of replay.
        resolved_letters_days: Resolved dead letters; open ones stay until somebody resolves them.
    """

    archive_days: int = 7
    resolved_letters_days: int = 30


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What one pass did."""

    archive_days_dropped: int
    letters_purged: int

    def as_json(self) -> dict[str, int]:
        """As flat numbers."""
        return asdict(self)


def maintain(database: Database, retention: Retention) -> Upkeep:
    """Makes partitions ahead and drops what is past its retention; safe to run at any time, and again."""
    with database.connect() as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101  # a SELECT without FROM answers one row
        now = row[0]
        partitions.ensure_days(connection, "archive", first=now.date(), days=AHEAD_DAYS)
        dropped = partitions.drop_days_before(connection, "archive", now.date() - timedelta(days=retention.archive_days))
        purged = dead_letters.purge_resolved(connection, now - timedelta(days=retention.resolved_letters_days))
    return Upkeep(archive_days_dropped=dropped, letters_purged=purged)
