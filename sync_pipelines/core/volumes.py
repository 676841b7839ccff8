"""How much was received, processed and failed, by hour or day, kept without limit: what outlives every purge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from sqlalchemy import BigInteger, Column, Date, Numeric, Table, Text, text

from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

hourly_volumes_table = Table(
    "hourly_volumes",
    metadata,
    instant("hour", primary_key=True, comment="Start of the hour, UTC"),
    Column("subject", Text, primary_key=True, comment="A link, queue or account"),
    Column("received", BigInteger, nullable=False, server_default=text("0")),
    Column("processed", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("dropped", BigInteger, nullable=False, server_default=text("0"), comment="Echoes and changes without effect"),
    schema=SYNC_SCHEMA,
    comment="Work received, processed and failed by hour",
)


def _total(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"), comment=comment)


def _seconds(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, Numeric, nullable=False, server_default=text("0"), comment=comment)


daily_volumes_table = Table(
    "daily_volumes",
    metadata,
    Column("day", Date, primary_key=True, comment="UTC day on which the runs ended"),
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True, comment="Stream or job, vendor/name"),
    _total("complete", "Runs that did all they were asked for"),
    _total("partial", "Runs that succeeded in part: stopped cleanly to be resumed, or left dead letters"),
    _total("failed", "Runs that failed"),
    _total("canceled"),
    _seconds("duration_s", "Seconds of all the runs together"),
    *(_total(name) for name in ("fetched", "inserted", "updated", "unchanged", "stale", "deleted", "dead_lettered")),
    *(_total(name) for name in ("api_calls", "throttled")),
    _seconds("waited_s"),
    schema=SYNC_SCHEMA,
    comment="Runs and volumes of each stream and account by day, kept without limit",
)

roll_ups_table = Table(
    "roll_ups",
    metadata,
    Column("name", Text, primary_key=True),
    instant("through", nullable=False, comment="Everything that ended before is counted"),
    schema=SYNC_SCHEMA,
    comment="How far the run history has been counted",
)


@dataclass(slots=True)
class Volume:
    """What the runs of one stream (or job) and account did on one UTC day; the fields are those of ``sync.daily_volumes``."""

    day: date
    account: str
    stream: str
    complete: int = 0
    partial: int = 0
    failed: int = 0
    canceled: int = 0
    duration_s: float = 0
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    deleted: int = 0
    dead_lettered: int = 0
    api_calls: int = 0
    throttled: int = 0
    waited_s: float = 0


NUMBERS = tuple(field.name for field in fields(Volume))[3:]
"""The columns that add up."""

_NAMES = ", ".join(field.name for field in fields(Volume))
_PLACES = ", ".join(f"%({field.name})s" for field in fields(Volume))
_ADD = (
    f"insert into sync.daily_volumes as v ({_NAMES}) values ({_PLACES}) on conflict (day, account, stream) do update set "  # noqa: S608
    + ", ".join(f"{name} = v.{name} + excluded.{name}" for name in NUMBERS)
)


def counted_through(connection: Connection[Any]) -> datetime | None:
    """Until when the run history is counted, locked for the caller's transaction; ``None`` before the first time."""
    row = connection.execute("select through from sync.roll_ups where name = 'daily_volumes' for update").fetchone()
    return row[0] if row else None


def count_through(connection: Connection[Any], through: datetime) -> None:
    """Notes, in the transaction that counts them, that all runs that ended before ``through`` are counted."""
    connection.execute(
        "insert into sync.roll_ups (name, through) values ('daily_volumes', %s)"
        " on conflict (name) do update set through = excluded.through",
        [through],
    )


def add_volumes(connection: Connection[Any], volumes: Iterable[Volume]) -> None:
    """Adds to the days' counts."""
    with connection.cursor() as cursor:
        cursor.executemany(_ADD, [asdict(volume) for volume in volumes])


def replace_day(connection: Connection[Any], day: date, volumes: Iterable[Volume]) -> None:
    """Puts a day's counts in the place of those it had."""
    connection.execute("delete from sync.daily_volumes where day = %s", [day])
    add_volumes(connection, volumes)


_COUNT = """
insert into sync.hourly_volumes as v (hour, subject, received, processed, failed, dropped)
values (date_trunc('hour', clock_timestamp(), 'UTC'), %(subject)s, %(received)s, %(processed)s, %(failed)s, %(dropped)s)
on conflict (hour, subject) do update set received = v.received + excluded.received,
    processed = v.processed + excluded.processed, failed = v.failed + excluded.failed, dropped = v.dropped + excluded.dropped
"""


def count(
    connection: Connection[Any], subject: str, *, received: int = 0, processed: int = 0, failed: int = 0, dropped: int = 0
) -> None:
    """Adds to the current hour, in the caller's transaction; make it the last statement, it locks the subject's row."""
    if received or processed or failed or dropped:
        values = {"subject": subject, "received": received, "processed": processed, "failed": failed, "dropped": dropped}
        connection.execute(_COUNT, values, prepare=True)
