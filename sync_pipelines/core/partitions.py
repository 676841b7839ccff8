"""Day partitions: made ahead of need, dropped when their retention ends."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

_NAME = re.compile(r"_(\d{8})$")


def ensure_days(connection: Connection[Any], table: str, *, first: date, days: int = 2, schema: str = "sync") -> None:
    """Makes the partitions of ``days`` UTC days from ``first``; existing ones stay as they are.

    Args:
        connection: Autocommit or inside a transaction; concurrent callers wait for each other.
        table: Parent table, partitioned by range of a ``timestamptz`` column.
        first: First UTC day.
        days: How many days.
        schema: The table's schema.
    """
    wanted = [first + timedelta(days=offset) for offset in range(days)]
    present = set(existing_days(connection, table, schema=schema))
    for day in wanted:
        if day in present:
            continue
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"partitions of {schema}.{table}"])
            connection.execute(
                SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
                    Identifier(schema, f"{table}_{day:%Y%m%d}"),
                    Identifier(schema, table),
                    Literal(start),
                    Literal(start + timedelta(days=1)),
                )
            )


def existing_days(connection: Connection[Any], table: str, *, schema: str = "sync") -> list[date]:
    """The UTC days that have a partition, oldest first."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(%s) ORDER BY c.relname",
        [f"{schema}.{table}"],
    ).fetchall()
    found = (_NAME.search(name) for (name,) in rows)
    return [datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date() for match in found if match]


def drop_days_before(connection: Connection[Any], table: str, oldest_kept: date, *, schema: str = "sync") -> int:
    """Drops whole partitions older than ``oldest_kept``; returns how many."""
    old = [day for day in existing_days(connection, table, schema=schema) if day < oldest_kept]
    for day in old:
        connection.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier(schema, f"{table}_{day:%Y%m%d}")))
    return len(old)
