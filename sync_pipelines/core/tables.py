"""How our tables look: the common columns, and the engine's own tables in schema ``sync``.

Every vendor table is made by `vendor_table` or `child_table`, so that the guarded upsert, the checks and the documentation can
rely on its shape. Instants are ``timestamptz`` in UTC; money is ``numeric`` beside an ISO 4217 ``currency`` column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, DateTime, Index, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
"""All tables of the product; Alembic's target."""

SYNC_SCHEMA = "sync"

COMMON_COLUMNS = ("raw", "version", "content_hash", "deleted_at", "first_seen_at", "synced_at", "run_id")
"""Columns every vendor table ends with, in this order."""

PARENT = "sync_parent"
"""Key of `Table.info` under which a child table names its parent's key columns."""


def instant(name: str, **options: Any) -> Column[Any]:
    """A ``timestamptz`` column (aware UTC in Python)."""
    return Column(name, DateTime(timezone=True), **options)


def _common_columns() -> list[Column[Any]]:
    return [
        Column("raw", JSONB, nullable=False, comment="The vendor's object as received"),
        instant("version", nullable=False, comment="Vendor change time; read time where the vendor has none"),
        Column("content_hash", LargeBinary, nullable=False, comment="BLAKE2b-128 of the content"),
        instant("deleted_at", comment="Set on a tombstone: when the vendor's copy was found gone"),
        instant("first_seen_at", nullable=False, comment="When this row was first stored"),
        instant("synced_at", nullable=False, comment="When this row was last written"),
        Column("run_id", Text, nullable=False, comment="The Dagster run that last wrote this row"),
    ]


def vendor_table(
    schema: str,
    name: str,
    *,
    key: Sequence[Column[Any]],
    columns: Sequence[Column[Any]],
    comment: str,
    indexes: Sequence[Sequence[str]] = (),
) -> Table:
    """Declares a table of vendor records.

    Args:
        schema: The vendor's schema, ``sendcloud``.
        name: The table, ``orders``.
        key: The vendor's full key without ``account``, which always comes first.
        columns: Typed columns between key and common columns.
        comment: One sentence for the table reference.
        indexes: Column names of each secondary index.
    """
    return Table(
        name,
        metadata,
        Column("account", Text, primary_key=True, comment="vendor/name"),
        *_as_key(key),
        *columns,
        *_common_columns(),
        *(Index(f"ix_{name}_{'_'.join(names)}", *names) for names in indexes),
        schema=schema,
        comment=comment,
    )


def child_table(
    parent: Table,
    name: str,
    *,
    key: Sequence[Column[Any]],
    columns: Sequence[Column[Any]],
    comment: str,
    indexes: Sequence[Sequence[str]] = (),
) -> Table:
    """Declares a table whose rows are replaced as a set with their parent's version.

    The primary key is the parent's whole key followed by ``key``; the child repeats the parent's key columns by name.
    """
    parent_key = [column.name for column in parent.primary_key.columns]
    return Table(
        name,
        metadata,
        *(Column(column.name, column.type, primary_key=True, comment=column.comment) for column in parent.primary_key.columns),
        *_as_key(key),
        *columns,
        *_common_columns(),
        *(Index(f"ix_{name}_{'_'.join(names)}", *names) for names in indexes),
        schema=parent.schema,
        comment=comment,
        info={PARENT: tuple(parent_key)},
    )


def key_names(table: Table) -> tuple[str, ...]:
    """The primary key's column names, ``account`` first."""
    return tuple(column.name for column in table.primary_key.columns)


KEPT_BY = "sync_kept_by"
"""Key of `Column.info` that names who writes the column instead of the guarded upsert."""


def kept_by(writer: str, *columns: Column[Any]) -> list[Column[Any]]:
    """Marks columns that follow other facts than their row's record, so the guarded upsert leaves them alone."""
    for column in columns:
        column.info[KEPT_BY] = writer
    return list(columns)


def is_upserted(column: Column[Any]) -> bool:
    """Whether the guarded upsert writes this column."""
    return column.computed is None and KEPT_BY not in column.info


def _as_key(columns: Sequence[Column[Any]]) -> list[Column[Any]]:
    for column in columns:
        column.primary_key = True
        column.nullable = False
    return list(columns)
