"""The ledger of confirmed windows: which vendor time of which stream and account is known to be stored.

A window ``[start, end)`` is confirmed only in the transaction that stores its last page. Confirmed windows merge, holes stay
visible, and an unfinished window keeps the token of its next page, so that a crash costs at most one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.types.multirange import TimestamptzMultirange
from psycopg.types.range import Range, TimestamptzRange
from sqlalchemy import Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import TSTZMULTIRANGE

from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

windows_table = Table(
    "windows",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    instant("origin", nullable=False, comment="Where the stream's history begins; earlier time is not expected to be covered"),
    Column("confirmed", TSTZMULTIRANGE, nullable=False, comment="Vendor time whose every page is stored"),
    instant("updated_at", nullable=False),
    schema=SYNC_SCHEMA,
    comment="Confirmed windows of vendor change time per account and stream",
)

progress_table = Table(
    "window_progress",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("lane_group", Text, primary_key=True, comment="live or backfill: the two never share progress"),
    instant("window_start", primary_key=True),
    instant("window_end", primary_key=True),
    Column("next_token", Text, nullable=False, comment="Where the vendor's paging goes on"),
    Column("pages", Integer, nullable=False),
    instant("confirmed_until", comment="Upper bound the vendor echoed, if it narrows the window"),
    instant("updated_at", nullable=False),
    schema=SYNC_SCHEMA,
    comment="Windows read in part: where to go on",
)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Half-open interval ``[start, end)`` of vendor change time, aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's bounds carry a time zone")
        if self.start >= self.end:
            raise ValueError(f"an empty window: {self.start.isoformat()} to {self.end.isoformat()}")

    def __str__(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"

    def slices(self, size: timedelta) -> Iterator[Window]:
        """Cuts the window into pieces of at most ``size``, oldest first."""
        start = self.start
        while start < self.end:
            end = min(start + size, self.end)
            yield Window(start, end)
            start = end


@dataclass(frozen=True, slots=True)
class Progress:
    """A window read in part."""

    window: Window
    next_token: str
    pages: int
    confirmed_until: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Ledger:
    """The windows of one stream and account; all methods use the caller's connection and transaction.

    Args:
        account: ``vendor/name``.
        stream: ``vendor/table``.
        lane_group: ``live`` or ``backfill``.
    """

    account: str
    stream: str
    lane_group: str = "live"

    def open(self, connection: Connection[Any], *, origin: datetime) -> datetime:
        """Makes the ledger known, or moves its origin back if ``origin`` is earlier; returns the origin in force."""
        row = connection.execute(
            "INSERT INTO sync.windows AS w (account, stream, origin, confirmed, updated_at)"
            " VALUES (%s, %s, %s, '{}', clock_timestamp())"
            " ON CONFLICT (account, stream) DO UPDATE SET origin = least(w.origin, excluded.origin) RETURNING origin",
            [self.account, self.stream, origin],
        ).fetchone()
        assert row is not None  # noqa: S101  # an upsert always answers a row
        return _utc(row[0])

    def origin(self, connection: Connection[Any]) -> datetime | None:
        """Where this stream's history begins, or ``None`` before its first sync."""
        row = connection.execute(
            "SELECT origin FROM sync.windows WHERE account = %s AND stream = %s", [self.account, self.stream]
        ).fetchone()
        return _utc(row[0]) if row else None

    def confirmed(self, connection: Connection[Any]) -> list[Window]:
        """The confirmed windows, merged, oldest first."""
        row = connection.execute(
            "SELECT confirmed FROM sync.windows WHERE account = %s AND stream = %s", [self.account, self.stream]
        ).fetchone()
        return list(_windows(row[0])) if row else []

    def holes(self, connection: Connection[Any], within: Window) -> list[Window]:
        """What of ``within`` is not confirmed, oldest first."""
        row = connection.execute(
            "SELECT tstzmultirange(%s) - coalesce((SELECT confirmed FROM sync.windows WHERE account = %s AND stream = %s), '{}')",
            [_range(within), self.account, self.stream],
        ).fetchone()
        return list(_windows(row[0])) if row else []

    def confirm(self, connection: Connection[Any], window: Window) -> None:
        """Adds a window; to be called in the transaction that stores its last page."""
        connection.execute(
            "INSERT INTO sync.windows AS w (account, stream, origin, confirmed, updated_at)"
            " VALUES (%s, %s, %s, tstzmultirange(%s), clock_timestamp())"
            " ON CONFLICT (account, stream) DO UPDATE"
            " SET confirmed = w.confirmed + excluded.confirmed, updated_at = excluded.updated_at",
            [self.account, self.stream, window.start, _range(window)],
        )

    def progress(self, connection: Connection[Any]) -> list[Progress]:
        """Windows read in part, oldest first."""
        rows = connection.execute(
            "SELECT window_start, window_end, next_token, pages, confirmed_until, updated_at FROM sync.window_progress"
            " WHERE account = %s AND stream = %s AND lane_group = %s ORDER BY window_start, window_end",
            [self.account, self.stream, self.lane_group],
        ).fetchall()
        return [
            Progress(Window(_utc(start), _utc(end)), token, pages, _utc(until) if until else None, _utc(updated))
            for start, end, token, pages, until, updated in rows
        ]

    def advance(self, connection: Connection[Any], window: Window, next_token: str, confirmed_until: datetime | None) -> None:
        """Notes that a page is stored and where the next one is; to be called in the page's transaction."""
        connection.execute(
            "INSERT INTO sync.window_progress AS p (account, stream, lane_group, window_start, window_end, next_token, pages,"
            " confirmed_until, updated_at) VALUES (%s, %s, %s, %s, %s, %s, 1, %s, clock_timestamp())"
            " ON CONFLICT (account, stream, lane_group, window_start, window_end) DO UPDATE SET next_token = excluded.next_token,"
            " pages = p.pages + 1, updated_at = excluded.updated_at,"
            " confirmed_until = coalesce(excluded.confirmed_until, p.confirmed_until)",
            [self.account, self.stream, self.lane_group, window.start, window.end, next_token, confirmed_until],
        )

    def forget(self, connection: Connection[Any], window: Window) -> None:
        """Drops a window's progress: it is finished, or its token is dead and it starts anew."""
        connection.execute(
            "DELETE FROM sync.window_progress"
            " WHERE account = %s AND stream = %s AND lane_group = %s AND window_start = %s AND window_end = %s",
            [self.account, self.stream, self.lane_group, window.start, window.end],
        )


def delta(
    *, origin: datetime, confirmed: Iterable[Window], now: datetime, overlap: timedelta, safety_lag: timedelta
) -> list[Window]:
    """What a delta run has to read: every hole up to ``now - safety_lag``, each begun ``overlap`` earlier.

    The open end after the last confirmed window is the usual hole. Where nothing is confirmed yet, reading begins at ``origin``.

    Args:
        origin: Where the stream's history begins.
        confirmed: Confirmed windows in any order.
        now: The database's clock, aware UTC; never a schedule's tick time.
        overlap: How far to read back into confirmed time, for changes that show up late.
        safety_lag: The youngest time not to be asked for.

    >>> day = lambda n: datetime(2026, 1, n, tzinfo=UTC)
    >>> for window in delta(origin=day(1), confirmed=[Window(day(1), day(3)), Window(day(4), day(5))], now=day(6),
    ...                     overlap=timedelta(hours=1), safety_lag=timedelta()):
    ...     print(window)
    [2026-01-02T23:00:00+00:00, 2026-01-04T00:00:00+00:00)
    [2026-01-04T23:00:00+00:00, 2026-01-06T00:00:00+00:00)
    """
    horizon = now - safety_lag
    if horizon <= origin:
        return []
    return merge(Window(max(origin, hole.start - overlap), hole.end) for hole in subtract([Window(origin, horizon)], confirmed))


def subtract(wanted: Iterable[Window], taken: Iterable[Window]) -> list[Window]:
    """What of ``wanted`` lies in none of ``taken``, oldest first."""
    left = merge(wanted)
    for cut in sorted(taken):
        rest: list[Window] = []
        for window in left:
            if cut.end <= window.start or window.end <= cut.start:
                rest.append(window)
                continue
            if window.start < cut.start:
                rest.append(Window(window.start, cut.start))
            if cut.end < window.end:
                rest.append(Window(cut.end, window.end))
        left = rest
    return left


def merge(windows: Iterable[Window]) -> list[Window]:
    """Joins overlapping and touching windows, oldest first."""
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return merged


def _range(window: Window) -> TimestamptzRange:
    return TimestamptzRange(window.start, window.end, "[)")


def _windows(value: Iterable[Range[datetime]] | TimestamptzMultirange) -> Iterator[Window]:
    for item in value:
        if item.lower is not None and item.upper is not None:
            yield Window(_utc(item.lower), _utc(item.upper))


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)
