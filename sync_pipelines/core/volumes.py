"""How much was received, processed and failed, by hour or day, kept without limit: what outlives every purge."""

from __future__ import annotations

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
