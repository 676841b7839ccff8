"""Our side of a comparison: what stored rows and their children look like, and which of them a vendor did not list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from sync_pipelines.core.db import without_nested_loops
from sync_pipelines.core.tables import key_names
from sync_pipelines.core.windows import Window

EVERYTHING = "everything"
"""The one part of a stream that has no days."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What a stored row and its children looked like at one moment.

    Attributes:
        version: Of the row.
        content_hash: Of the row.
        is_deleted: It is a tombstone.
        written: Differs whenever the row or one of its children was written or deleted in between.
    """

    version: datetime
    content_hash: bytes
    is_deleted: bool
    written: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of one table and account.

    Args:
        table: Made by `tables.vendor_table`.
        children: Its child tables.
        account: ``vendor/name``.
    """

    table: Table
    children: tuple[Table, ...]
    account: str

    def rows(self, connection: Connection[Any], keys: Sequence[tuple[Any, ...]]) -> dict[tuple[str, ...], StoredRow]:
        """The rows of these vendor keys, by key text."""
        if not keys:
            return {}
        columns = [[str(part) for part in column] for column in zip(*keys, strict=True)]
        rows = connection.execute(self._rows_query(), [*columns, self.account]).fetchall()
        size = len(self._key)
        return {
            tuple(row[:size]): StoredRow(row[size], bytes(row[size + 1]), row[size + 2], tuple(map(str, row[size + 3 :])))
            for row in rows
        }

    def unlisted(
        self, connection: Connection[Any], comparison: str, window: Window | None, *, listed_by: Sequence[str], before: datetime
    ) -> list[tuple[tuple[str, ...], str]]:
        """Living rows that `sync.compared_keys` does not know: key, and the part they belong to.

        Args:
            connection: Open.
            comparison: Its name in ``sync.compared_keys``.
            window: Only rows the vendor would list in it; ``None`` for all.
            listed_by: Columns with the time by which the vendor lists; the first that is not null.
            before: Only rows that nobody has written since.
        """
        listed_at = SQL("coalesce({})").format(SQL(", ").join(SQL("t.{}").format(Identifier(name)) for name in listed_by))
        part: Composable = SQL("'everything'")
        within: Composable = SQL("TRUE")
        if window is not None:
            part = SQL("to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD')").format(listed_at)
            within = SQL("{0} >= %(start)s AND {0} < %(end)s").format(listed_at)
        statement = SQL(
            "SELECT ARRAY[{keys}], {part} FROM {table} t WHERE t.account = %(account)s AND t.deleted_at IS NULL AND {within}"
            " AND t.synced_at < %(before)s AND NOT EXISTS (SELECT FROM sync.compared_keys k WHERE k.account = t.account"
            " AND k.stream = %(comparison)s AND k.key = ARRAY[{keys}]) ORDER BY 1"
        ).format(keys=self._key_texts(), part=part, table=_name(self.table), within=within)
        values = {
            "account": self.account,
            "comparison": comparison,
            "before": before,
            "start": window.start if window else None,
            "end": window.end if window else None,
        }
        with without_nested_loops(connection):
            rows = connection.execute(statement, values).fetchall()
        return [(tuple(key), part) for key, part in rows]

    @property
    def _key(self) -> tuple[str, ...]:
        return key_names(self.table)[1:]

    def _key_texts(self) -> Composed:
        return SQL(", ").join(SQL("t.{}::text").format(Identifier(name)) for name in self._key)

    def _rows_query(self) -> Composed:
        of_child = (
            "(SELECT ARRAY[count(*)::text, max(c.synced_at)::text, max(c.run_id)] FROM {} c WHERE c.account = t.account AND {})"
        )
        written: list[Composable] = [SQL("t.synced_at"), SQL("t.run_id")]
        written += [SQL(of_child).format(_name(child), self._same("c", child)) for child in self.children]
        return SQL(
            "SELECT {keys}, t.version, t.content_hash, t.deleted_at IS NOT NULL, {written}"
            " FROM (SELECT DISTINCT * FROM unnest({arrays}) AS u({names})) k JOIN {table} t ON t.account = %s AND {same}"
        ).format(
            keys=self._key_texts(),
            written=SQL(", ").join(written),
            arrays=SQL(", ").join([SQL("%b::text[]")] * len(self._key)),
            names=SQL(", ").join(Identifier(name) for name in self._key),
            table=_name(self.table),
            same=self._same("t", self.table),
        )

    def _same(self, alias: str, table: Table) -> Composed:
        return SQL(" AND ").join(
            SQL("{}.{} = k.{}::{}").format(Identifier(alias), Identifier(name), Identifier(name), SQL(_type_name(table, name)))
            for name in self._key
        )


def _name(table: Table) -> Identifier:
    return Identifier(table.schema or "public", table.name)


def _type_name(table: Table, column: str) -> Any:
    """The column's type as Postgres writes it; a literal of our own declarations."""
    return table.columns[column].type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
