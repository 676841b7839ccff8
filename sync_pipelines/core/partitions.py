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
    present = set(existing_days(connection, table, schema=schema))
    for day in (first + timedelta(days=offset) for offset in range(days)):
        if day not in present:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"partitions of {schema}.{table}"])
                if day not in existing_days(connection, table, schema=schema):
                    _make_day(connection, table, day, schema)


def _make_day(connection: Connection[Any], table: str, day: date, schema: str) -> None:
    """Makes a day's partition and attaches it, which unlike ``PARTITION OF`` lets others go on reading and writing the table.

    Rows of that day that had to go to the default partition (``<table>_rest``, where there is one) move over.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=1)
    parent, partition, rest = (Identifier(schema, f"{table}{suffix}") for suffix in ("", f"_{day:%Y%m%d}", "_rest"))
    connection.execute(
        SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)").format(partition, parent)
    )
    row = connection.execute(
        "SELECT pg_get_partkeydef(to_regclass(%s)), to_regclass(%s) IS NOT NULL", [f"{schema}.{table}", f"{schema}.{table}_rest"]
    ).fetchone()
    if row and row[1]:
        column = Identifier(str(row[0]).removeprefix("RANGE (").removesuffix(")"))
        connection.execute(
            SQL(
                "WITH moved AS (DELETE FROM {0} WHERE {1} >= {2} AND {1} < {3} RETURNING *) INSERT INTO {4} SELECT * FROM moved"
            ).format(rest, column, Literal(start), Literal(end), partition)
        )
    connection.execute(
        SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            parent, partition, Literal(start), Literal(end)
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
