"""One object counts what a run did; it becomes the run's metadata, the command line's answer and the alert's text."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sync_pipelines.core.upsert import UpsertCounts


class Status(StrEnum):
    """How a sync ended."""

    COMPLETE = "complete"
    """Everything asked for is stored and confirmed."""
    PARTIAL = "partial"
    """Stored in part and stopped cleanly; the next run goes on where this one stopped."""


@dataclass(slots=True)
class SyncTotals:
    """What one sync of one stream and account did.

    Attributes:
        fetched: Records read from the vendor, before reduction to one per key.
        inserted: New rows.
        updated: Rows rewritten because the record was newer or different.
        unchanged: Records equal to the stored row; nothing was written.
        stale: Records older than the stored row; nothing was written.
        deleted: Rows that became tombstones.
        dead_lettered: Records that could not be parsed or stored.
        unknown: Vendor words our mapping does not know, stored as they are, and fields it misses; some are in ``unknown_words``.
        api_calls: HTTP requests sent, retries included.
        throttled: Answers 429.
        waited_s: Seconds spent waiting for the budget.
        duration_s: Wall time in seconds.
        lag_s: Seconds between now and the end of the confirmed time, ``None`` for snapshots.
        windows: Windows read to their end, aware UTC.
        stopped_because: Why a partial run ended early.
    """

    stream: str
    account: str
    run_id: str
    status: Status = Status.COMPLETE
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    deleted: int = 0
    dead_lettered: int = 0
    unknown: int = 0
    api_calls: int = 0
    throttled: int = 0
    waited_s: float = 0.0
    duration_s: float = 0.0
    lag_s: float | None = None
    windows: list[tuple[datetime, datetime]] = field(default_factory=list)
    stopped_because: str | None = None
    resume_at: datetime | None = None
    unknown_words: set[str] = field(default_factory=set)

    def add(self, fetched: int, counts: UpsertCounts, dead_lettered: int) -> None:
        """Adds what became of one page."""
        self.fetched += fetched
        self.inserted += counts.inserted
        self.updated += counts.updated
        self.unchanged += counts.unchanged
        self.stale += counts.stale
        self.deleted += counts.deleted
        self.dead_lettered += dead_lettered

    @property
    def written(self) -> int:
        """Rows this run wrote."""
        return self.inserted + self.updated + self.deleted

    def in_words(self) -> str:
        """One line for the log."""
        return (
            f"{self.fetched} fetched, {self.inserted} new, {self.updated} changed, {self.deleted} deleted,"
            f" {self.unchanged} unchanged, {self.dead_lettered} dead letters, {self.api_calls} calls,"
            f" {self.waited_s:.0f} s waited for quota, {self.duration_s:.0f} s"
        )

    def numbers(self) -> dict[str, int | float]:
        """The flat numeric part with stable keys, as the Dagster UI plots it."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)}

    def as_json(self) -> dict[str, Any]:
        """The answer of ``sync --json``: the contract's keys, instants as ISO 8601."""
        return {
            "stream": self.stream,
            "account": self.account,
            "run_id": self.run_id,
            "status": str(self.status),
            "windows": [[start.isoformat(), end.isoformat()] for start, end in self.windows],
            **self.numbers(),
            "stopped_because": self.stopped_because,
            "resume_at": self.resume_at.isoformat() if self.resume_at else None,
            "unknown_words": sorted(self.unknown_words),
        }
