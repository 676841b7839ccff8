"""The SQL of the guarded upsert, composed once for each table; `upsert` says in which order it runs.

``t`` is the stored row and ``s`` the staged one throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, LiteralString

from psycopg import Cursor, sql
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.records import Change, Record
from sync_pipelines.core.tables import COMMON_COLUMNS, is_upserted, key_names


@dataclass(frozen=True, slots=True)
class Guard:
    """When the staged row ``s`` replaces the stored row ``t``; the fields are those of `upsert`."""

    read_time: bool
    columns: bool

    def condition(self, typed: Sequence[str], json_columns: frozenset[str]) -> LiteralString:
        """The condition; typed columns count for a guard that compares columns."""
        differs: LiteralString = "t.content_hash <> s.content_hash"
        if self.columns:
            differs += _columns_differ(typed, json_columns)
        newer: LiteralString = "t.version < s.version"
        if self.read_time:
            newer += f" AND ({differs} OR t.deleted_at IS NOT NULL)"
        return f"({newer}) OR (t.version = s.version AND t.deleted_at IS NULL AND ({differs}))"


class Statements:
    """The SQL of one table, composed once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.key = key_names(table)
        self._vendor_key = self.key[1:]
        names = [column.name for column in table.columns if is_upserted(column)]
        self._typed = tuple(name for name in names if name not in {*self.key, *COMMON_COLUMNS})
        self._json = frozenset(name for name in self._typed if isinstance(table.columns[name].type, JSONB))
        self._staged = (*self._vendor_key, *self._typed, "raw", "version", "content_hash")
        self._stage = Identifier(f"stage_{table.schema}_{table.name}")
        self._target = Identifier(table.schema or "public", table.name)
        self.create_stage = self._create_stage()
        self.empty_stage = SQL("TRUNCATE {}").format(self._stage)
        self.copy = SQL("COPY {} ({}) FROM STDIN").format(self._stage, _names(self._staged))
        constant = ("account", "first_seen_at", "synced_at", "run_id")
        self.copy_new = SQL("COPY {} ({}) FROM STDIN").format(self._target, _names((*self._staged, *constant)))
        self._composed: dict[tuple[str, Guard], Composed] = {}
        self.current_keys = SQL(
            "SELECT {keys} FROM {stage} s JOIN {stored} WHERE s.version = t.version AND t.deleted_at IS NULL"
        ).format(keys=self._key_texts("t"), stage=self._stage, stored=self._stored())
        self.count_stale = SQL("SELECT count(*) FROM {stage} s JOIN {stored} WHERE {stale}").format(
            stage=self._stage, stored=self._stored(), stale=SQL(_STALE)
        )
        self.bury = self._bury()

    def stage_row(self, key: tuple[Any, ...], row: Mapping[str, Any], raw: bytes, version: datetime, digest: bytes) -> list[Any]:
        """One staged row in the order of ``copy``."""
        values = list(key)
        for name in self._typed:
            value = row.get(name)
            values.append(encode_json(value).decode() if value is not None and name in self._json else value)
        values += (raw.decode(), version, digest)
        return values

    def change(self, row: Sequence[Any]) -> Change:
        """One row of ``changes`` as a `Change`."""
        keys, values = row[: len(self._vendor_key)], row[len(self._vendor_key) : -1]
        names = (*self._typed, "version")
        pairs = zip(names, values[: len(names)], values[len(names) :], strict=True)
        return Change(tuple(keys), {name: (old, new) for name, old, new in pairs if old != new}, bool(row[-1]))

    def prune(self, parent_key: Sequence[str]) -> Composed:
        """Deletes child rows of changed parents (arrays of key texts) that are not staged any more."""
        parents = SQL(" AND ").join(SQL("t.{}::text = p.{}").format(Identifier(name), Identifier(name)) for name in parent_key[1:])
        return SQL(
            "DELETE FROM {target} t USING unnest({arrays}) AS p({names})"
            " WHERE t.account = {account} AND {parents} AND NOT EXISTS (SELECT FROM {stage} s WHERE {same})"
        ).format(
            target=self._target,
            arrays=SQL(", ").join([SQL("%b::text[]")] * (len(parent_key) - 1)),
            names=_names(parent_key[1:]),
            account=SQL("%s"),
            parents=parents,
            stage=self._stage,
            same=SQL(" AND ").join(SQL("s.{0} = t.{0}").format(Identifier(name)) for name in self._vendor_key),
        )

    def remove_children_of(self, parent_key: Sequence[str]) -> Composed:
        """Deletes all child rows of one parent."""
        where = SQL(" AND ").join(SQL("{} = %s").format(Identifier(name)) for name in parent_key)
        return SQL("DELETE FROM {} WHERE {}").format(self._target, where)

    def _create_stage(self) -> Composed:
        def column(name: str) -> Composed:
            kind = "text" if name == "raw" or name in self._json else _type_name(self.table, name)
            return SQL("{} {}").format(Identifier(name), SQL(kind))

        columns = SQL(", ").join(column(name) for name in self._staged)
        return SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} ({}) ON COMMIT DELETE ROWS").format(self._stage, columns)

    def _stored(self, *, account: LiteralString = "%(account)s", cast: bool = False) -> Composed:
        """The stored row ``t`` of each staged row ``s``, always looked up by its key.

        OFFSET 0 keeps the planner from turning the look-up into a join over all of the account's rows, as it would on a table whose
        statistics do not know yet how many there are.
        """
        same = SQL(" AND ").join(
            SQL("x.{0} = s.{0}" + (f"::{_type_name(self.table, name)}" if cast else "")).format(Identifier(name))
            for name in self._vendor_key
        )
        return SQL("LATERAL (SELECT x.*, x.ctid AS place FROM {} x WHERE x.account = {} AND {} OFFSET 0) t ON TRUE").format(
            self._target, SQL(account), same
        )

    def fill_stage(self, cursor: Cursor[Any], records: Iterable[Record]) -> None:
        """Stages records of a parent table."""
        cursor.execute(self.create_stage)
        with cursor.copy(self.copy) as copy:
            for record in records:
                copy.write_row(self.stage_row(record.key, record.row, record.raw, record.version, record.digest()))

    def ask(self, guard: Guard) -> Composed:
        """Position (from 1) and verdict of each given key that is not equal to its row: new, different or stale.

        Parameters: an array of text for each key column, versions, hashes, account.
        """
        return self._once("ask", guard, self._ask)

    def update(self, guard: Guard) -> Composed:
        """Writes staged rows over their stored rows; answers the written keys as text."""
        return self._once("update", guard, self._update)

    def insert(self, guard: Guard) -> Composed:
        """Writes staged rows that are not stored yet; answers keys as text and whether each was new."""
        return self._once("insert", guard, self._insert_missing)

    def merge_child(self, guard: Guard) -> Composed:
        """Writes staged child rows that are missing or different; the parent has decided that they are the ones to be kept."""
        return self._once("merge child", guard, self._merge_child)

    def _merge_child(self, guard: Guard) -> Composed:
        differs: LiteralString = "t.version <> s.version OR t.content_hash <> s.content_hash"
        on_conflict = differs
        if guard.columns:
            differs += _columns_differ(self._typed, self._json)
            on_conflict += _columns_differ(self._typed, frozenset())
        return self._insert(differs, on_conflict)

    def _once(self, name: str, guard: Guard, compose: Callable[[Guard], Composed]) -> Composed:
        if (name, guard) not in self._composed:
            self._composed[name, guard] = compose(guard)
        return self._composed[name, guard]

    def _ask(self, guard: Guard) -> Composed:
        return SQL(
            "SELECT s.position, CASE WHEN t.account IS NULL THEN 'new' WHEN {differs} THEN 'different' ELSE 'stale' END"
            " FROM unnest({arrays}, %b::timestamptz[], %b::bytea[]) WITH ORDINALITY AS s({names}, version, content_hash, position)"
            " LEFT JOIN {stored}"
            " WHERE t.account IS NULL OR {differs} OR {stale}"
        ).format(
            arrays=SQL(", ").join([SQL("%b::text[]")] * len(self._vendor_key)),
            names=_names(self._vendor_key),
            stored=self._stored(account="%s", cast=True),
            differs=SQL(guard.condition((), self._json)),
            stale=SQL(_STALE),
        )

    def _update(self, guard: Guard) -> Composed:
        written = (*self._typed, "raw", "version", "content_hash")
        return SQL(
            "UPDATE {target} AS u SET {updates}, deleted_at = NULL, synced_at = %(now)s, run_id = %(run_id)s"
            " FROM (SELECT s.*, t.place FROM {stage} s JOIN {stored} WHERE {differs}) s"
            " WHERE u.ctid = s.place RETURNING {keys}"
        ).format(
            target=self._target,
            updates=SQL(", ").join(
                SQL("{0} = s.{0}::jsonb" if name in {"raw", *self._json} else "{0} = s.{0}").format(Identifier(name))
                for name in written
            ),
            stage=self._stage,
            stored=self._stored(),
            differs=SQL(guard.condition(self._typed, self._json)),
            keys=self._key_texts("u"),
        )

    def _insert_missing(self, guard: Guard) -> Composed:
        insert = self._insert("FALSE", guard.condition((), self._json))
        return SQL("{} RETURNING {}, t.xmax = 0").format(insert, self._key_texts("t"))

    def _key_texts(self, alias: LiteralString) -> Composed:
        return SQL(", ").join(SQL(alias + ".{}::text").format(Identifier(name)) for name in self._vendor_key)

    def _insert(self, writes: LiteralString, guard: LiteralString) -> Composed:
        """Inserts staged rows that are missing or for which ``writes`` holds; on conflict ``guard`` decides.

        Both compare the stored row ``t`` with the staged row ``s``.
        """
        json_columns = {"raw", *self._json}
        staged = SQL(", ").join(
            SQL("s.{}::jsonb" if name in json_columns else "s.{}").format(Identifier(name)) for name in self._staged
        )
        updates = (*self._typed, "raw", "version", "content_hash", "deleted_at", "synced_at", "run_id")
        return SQL(
            "INSERT INTO {target} AS t ({staged_names}, account, first_seen_at, synced_at, run_id)"
            " SELECT {staged}, %(account)s, %(now)s, %(now)s, %(run_id)s"
            " FROM {stage} s LEFT JOIN {stored} WHERE t.account IS NULL OR {writes}"
            " ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE {guard}"
        ).format(
            target=self._target,
            staged_names=_names(self._staged),
            staged=staged,
            stage=self._stage,
            stored=self._stored(),
            writes=SQL(writes),
            key=_names(self.key),
            updates=SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(name)) for name in updates),
            guard=SQL(guard.replace("s.", "excluded.")),
        )

    def changes(self, guard: Guard) -> Composed:
        """Keys, old and new columns of staged rows that the guard lets through, and whether each is new."""
        return self._once("changes", guard, self._changes)

    def _changes(self, guard: Guard) -> Composed:
        names = (*self._typed, "version")
        old = SQL(", ").join(SQL("t.{}").format(Identifier(name)) for name in names)
        new = SQL(", ").join(SQL("s.{}::jsonb" if name in self._json else "s.{}").format(Identifier(name)) for name in names)
        return SQL(
            "SELECT {keys}, {old}, {new}, t.account IS NULL FROM {stage} s LEFT JOIN {stored}"
            " WHERE t.account IS NULL OR {differs} ORDER BY {keys}"
        ).format(
            keys=SQL(", ").join(SQL("s.{}").format(Identifier(name)) for name in self._vendor_key),
            old=old,
            new=new,
            stage=self._stage,
            target=self._target,
            stored=self._stored(),
            differs=SQL("({})").format(SQL(guard.condition(self._typed, self._json))),
        )

    def _bury(self) -> Composed:
        names = (*self.key, "version", "content_hash", "deleted_at", "first_seen_at", "synced_at", "run_id")
        return SQL(
            "INSERT INTO {target} AS t ({names}, raw) VALUES ({places}, '{{}}')"
            " ON CONFLICT ({key}) DO UPDATE SET version = excluded.version,"
            " deleted_at = coalesce(t.deleted_at, excluded.deleted_at), synced_at = excluded.synced_at, run_id = excluded.run_id"
            " WHERE t.version < excluded.version OR (t.version = excluded.version AND t.deleted_at IS NULL)"
        ).format(target=self._target, names=_names(names), places=SQL(", ").join([SQL("%s")] * len(names)), key=_names(self.key))


def _columns_differ(typed: Sequence[str], staged_as_text: frozenset[str]) -> LiteralString:
    """`` OR …`` for each typed column of the stored row ``t`` and the staged row ``s``."""
    differs: LiteralString = ""
    for name in typed:
        cast = "::jsonb" if name in staged_as_text else ""
        differs += f' OR t."{name}" IS DISTINCT FROM s."{name}"{cast}'
    return differs


_STALE: LiteralString = "s.version < t.version OR (s.version = t.version AND t.deleted_at IS NOT NULL)"
"""The staged row ``s`` is older than the stored row ``t``; a tombstone wins over an update of its own time."""


@lru_cache(maxsize=256)
def statements_of(table: Table) -> Statements:
    """The statements of a table."""
    return Statements(table)


def _names(names: Iterable[str]) -> sql.Composed:
    return SQL(", ").join(Identifier(name) for name in names)


def _type_name(table: Table, column: str) -> str:
    return str(table.columns[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
