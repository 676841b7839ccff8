"""Where a comparison with a vendor's list stands, and what it has found so far; `reconciling` compares."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Table, Text

from sync_pipelines.core.reconciliation import Verdict
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

comparisons_table = Table(
    "comparisons",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True, comment="With a suffix for a dry run"),
    instant("scope_start", comment="Null when everything is compared"),
    instant("scope_end"),
    instant("started_at", nullable=False),
    instant("updated_at", nullable=False),
    Column("next_token", Text, comment="Where the vendor's list goes on; null before its first page is compared"),
    Column("is_listed", Boolean, nullable=False, comment="The vendor's list is read to its end"),
    Column("noted", BigInteger, nullable=False, comment="Rows in compared_keys, to notice that those were lost"),
    schema=SYNC_SCHEMA,
    comment="Comparisons with a vendor's list under way",
)

compared_keys_table = Table(
    "compared_keys",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("key", ARRAY(Text), primary_key=True),
    Column("part", Text, nullable=False, comment="UTC day by which the vendor lists the record, or everything"),
    Column("verdict", Text, nullable=False),
    schema=SYNC_SCHEMA,
    comment="What the comparison under way has found; unlogged, because losing it only means comparing again",
    prefixes=["UNLOGGED"],
)


def forget(connection: Connection[Any], account: str, name: str) -> None:
    """Drops what is known of a comparison.

    Args:
        connection: Open transaction.
        account: ``vendor/name``.
        name: The stream's, with a suffix for a dry run.
    """
    for table in ("comparisons", "compared_keys"):
        connection.execute(
            SQL("DELETE FROM {} WHERE account = %s AND stream = %s").format(Identifier("sync", table)), [account, name]
        )


def note(connection: Connection[Any], account: str, name: str, verdicts: dict[tuple[str, ...], tuple[str, Verdict]]) -> None:
    """Notes verdicts by key; of several about one record the last difference counts."""
    facts = Jsonb([[list(key), part, str(verdict)] for key, (part, verdict) in verdicts.items()])
    connection.execute(
        "WITH noted AS (INSERT INTO sync.compared_keys AS k (account, stream, key, part, verdict)"
        " SELECT %(account)s, %(name)s, ARRAY(SELECT jsonb_array_elements_text(fact -> 0)), fact ->> 1, fact ->> 2"
        " FROM jsonb_array_elements(%(facts)s) AS fact"
        " ON CONFLICT (account, stream, key) DO UPDATE SET verdict = excluded.verdict WHERE excluded.verdict <> 'equal'"
        " RETURNING xmax = 0 AS is_new)"
        " UPDATE sync.comparisons SET updated_at = clock_timestamp(), noted = noted + (SELECT count(*) FROM noted WHERE is_new)"
        " WHERE account = %(account)s AND stream = %(name)s",
        {"account": account, "name": name, "facts": facts},
    )


def found(connection: Connection[Any], account: str, name: str, *, samples: int) -> list[tuple[str, Verdict, int, list[list[str]]]]:
    """For each part and verdict how many records, and the first keys."""
    rows = connection.execute(
        "SELECT part, verdict, count(*), (array_agg(key ORDER BY key))[1:%s] FROM sync.compared_keys"
        " WHERE account = %s AND stream = %s GROUP BY part, verdict ORDER BY part, verdict",
        [samples, account, name],
    ).fetchall()
    return [(part, Verdict(verdict), count, keys) for part, verdict, count, keys in rows]
