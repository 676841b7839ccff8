"""The record of personal data that was erased by rule: when, where and how much, never what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from sqlalchemy import BigInteger, Column, Identity, Table, Text

from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

erasures_table = Table(
    "erasures",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    instant("erased_at", nullable=False),
    Column("account", Text, nullable=False),
    Column("rule", Text, nullable=False, comment="Why it had to go"),
    Column("place", Text, nullable=False, comment="Table it was erased from"),
    Column("rows", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    schema=SYNC_SCHEMA,
    comment="Personal data erased by rule: when, where and how much, never what; kept without limit",
)


def record(connection: Connection[Any], account: str, rule: str, rows: Mapping[str, int], *, run_id: str) -> None:
    """Notes how many rows of each place were cleaned; places without any leave no trace."""
    for place, count in rows.items():
        if count:
            connection.execute(
                "INSERT INTO sync.erasures (erased_at, account, rule, place, rows, run_id)"
                " VALUES (clock_timestamp(), %s, %s, %s, %s, %s)",
                [account, rule, place, count, run_id],
            )
