"""Implausible changes that the brake holds until a person says yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from sqlalchemy import BigInteger, Column, Identity, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

holds_table = Table(
    "holds",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="Stream or link that is held"),
    Column("kind", Text, nullable=False, comment="What is held: deletes, stock, prices, …"),
    Column("detail", JSONB, nullable=False, comment="Counts and a sample, without personal data"),
    instant("opened_at", nullable=False),
    instant("confirmed_at", comment="When a person said: go ahead"),
    Column("confirmed_by", Text),
    instant("closed_at", comment="When it was carried out, or no longer applied"),
    schema=SYNC_SCHEMA,
    comment="Implausible changes that wait for a person",
)


@dataclass(frozen=True, slots=True)
class Hold:
    """An implausible change that waits for a person; the fields are those of the table."""

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
