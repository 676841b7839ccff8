"""How every stream of every account is doing, read from our own tables: the command line, the page and the alerts show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

from sync_pipelines.core.stream import Stream
from sync_pipelines.core.windows import Ledger, Window


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream of one account.

    Attributes:
        stream: ``vendor/table``.
        account: ``vendor/name``.
        rows: Living rows.
        tombstones: Rows of deleted records.
        last_written_at: When a row was last written.
        origin: Where the stream's history begins; ``None`` for snapshots and before the first sync.
        confirmed_until: End of the confirmed time.
        lag_s: Seconds from there to now.
        holes: Gaps in the confirmed time.
        open_letters: Dead letters that need a person.
        retrying_letters: Dead letters that still retry by themselves.
        holds: Implausible changes that wait for a person.
    """

    stream: str
    account: str
    rows: int
    tombstones: int
    last_written_at: datetime | None
    origin: datetime | None
    confirmed_until: datetime | None
    lag_s: float | None
    holes: int
    open_letters: int
    retrying_letters: int
    holds: int

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def stream_status(connection: Connection[Any], stream: Stream[Any], account: str) -> StreamStatus:
    """The status of one stream of one account."""
    table = Identifier(stream.table.schema or "public", stream.table.name)
    counted = connection.execute(
        SQL(
            "SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(*) FILTER (WHERE deleted_at IS NOT NULL), max(synced_at)"
            " FROM {} WHERE account = %s"
        ).format(table),
        [account],
    ).fetchone() or (0, 0, None)
    ledger = Ledger(account, stream.key)
    origin = ledger.origin(connection) if stream.is_windowed else None
    confirmed = ledger.confirmed(connection) if stream.is_windowed else []
    until = confirmed[-1].end if confirmed else None
    holes = ledger.holes(connection, Window(origin, until)) if origin and until and origin < until else []
    letters = dict(
        connection.execute(
            "SELECT state, count(*) FROM sync.dead_letters"
            " WHERE account = %s AND subject = %s AND state <> 'resolved' GROUP BY state",
            [account, stream.key],
        ).fetchall()
    )
    held = connection.execute(
        "SELECT count(*) FROM sync.holds WHERE account = %s AND subject = %s AND closed_at IS NULL", [account, stream.key]
    ).fetchone() or (0,)
    return StreamStatus(
        stream=stream.key,
        account=account,
        rows=counted[0],
        tombstones=counted[1],
        last_written_at=counted[2],
        origin=origin,
        confirmed_until=until,
        lag_s=round((datetime.now(UTC) - until).total_seconds(), 1) if until else None,
        holes=len(holes),
        open_letters=letters.get("open", 0),
        retrying_letters=letters.get("retrying", 0),
        holds=held[0],
    )


@dataclass(frozen=True, slots=True)
class Hold:
    """An implausible change that waits for a person."""

    id: int
    account: str
    subject: str
    kind: str
    detail: Any
    opened_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None
    closed_at: datetime | None


def holds(connection: Connection[Any], *, ids: Sequence[int] | None = None) -> list[Hold]:
    """Open holds, newest first, or those with the given ids."""
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(
            "SELECT id, account, subject, kind, detail, opened_at, confirmed_at, confirmed_by, closed_at FROM sync.holds"
            " WHERE CASE WHEN %(ids)s::bigint[] IS NULL THEN closed_at IS NULL ELSE id = ANY(%(ids)s) END ORDER BY id DESC",
            {"ids": list(ids) if ids is not None else None},
        ).fetchall()


def confirm_hold(connection: Connection[Any], hold_id: int, *, by: str) -> bool:
    """Lets the next run carry out what is held; False if there is no such open hold."""
    return bool(
        connection.execute(
            "UPDATE sync.holds SET confirmed_at = clock_timestamp(), confirmed_by = %s WHERE id = %s AND closed_at IS NULL",
            [by, hold_id],
        ).rowcount
    )
