"""The guarded upsert: the only way a record becomes a row.

Nothing older overwrites something newer, a re-read that changes nothing writes nothing (no row, no WAL), and child rows are
replaced as a set together with their parent. One batch goes through these steps inside the caller's transaction:

1. ask with keys, versions and hashes alone which records are new, different or stale; equal ones end here,
2. COPY new ones straight into the table; if somebody else was quicker with one of them, that is undone and they join the others,
3. COPY the others into a temporary table that lives as long as the connection,
4. ``UPDATE … FROM`` it ``WHERE newer``, then ``INSERT … ON CONFLICT … DO UPDATE … WHERE newer`` what is missing: both guards hold
   against concurrent writers,
5. replace the child rows of those parents that were written.

A batch after one that was all new or mostly different skips the question. Staged ``raw`` stays text until a row is written,
because parsing JSON is the dearest part of a write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, Cursor, sql
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.tables import COMMON_COLUMNS, is_upserted, key_names

BATCH_ROWS = 10_000
"""Records staged at once: large enough to amortise the statements, small enough to bound memory (about 20 MB)."""


def content_hash(raw: bytes) -> bytes:
    """BLAKE2b-128 of the content: equal hash, equal record."""
    return hashlib.blake2b(raw, digest_size=16).digest()


@dataclass(slots=True)
class Record:
    """One vendor record, ready to be stored.

    Attributes:
        key: The vendor's key in the order of the table's primary key, without ``account``.
        version: Vendor change time, aware UTC; the read time where the vendor has none.
        row: Typed columns by name, without key and common columns. Money as `Decimal`, instants aware.
        raw: The JSON text kept in ``raw``.
        children: Child rows by table name; each has the child's own key and typed columns, and optionally ``raw`` (bytes).
        content_hash: What "equal" means; by default the hash of ``raw``. Override it where two API versions feed one table.
        deleted: The vendor says the record is gone; its row becomes a tombstone.
        extra: Further facts of the same vendor object, for the stream's ``after_store``.
        unknown: ``column=value`` for each vendor word our mapping does not know; stored as it is, and counted.
    """

    key: tuple[Any, ...]
    version: datetime
    row: dict[str, Any]
    raw: bytes
    children: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    content_hash: bytes | None = None
    deleted: bool = False
    extra: Any = None
    unknown: tuple[str, ...] = ()

    def digest(self) -> bytes:
        """The content's hash."""
        if self.content_hash is None:
            self.content_hash = content_hash(self.raw)
        return self.content_hash


@dataclass(slots=True)
class UpsertCounts:
    """What became of a batch's records."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    deleted: int = 0

    def add(self, other: UpsertCounts) -> None:
        """Adds another batch's counts to these."""
        self.inserted += other.inserted
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.stale += other.stale
        self.deleted += other.deleted


def upsert(
    connection: Connection[Any],
    table: Table,
    records: Iterable[Record],
    *,
    account: str,
    run_id: str,
    now: datetime,
    children: Sequence[Table] = (),
    version_is_read_time: bool = False,
    compare_columns: bool = False,
) -> UpsertCounts:
    """Stores records and their children; the caller's transaction decides whether it happened.

    Args:
        connection: Inside a transaction.
        table: Made by `tables.vendor_table`.
        records: Any number; staged in batches of `BATCH_ROWS`.
        account: ``vendor/name`` of all records.
        run_id: The Dagster run that writes.
        now: Write time, aware UTC.
        children: Tables made by `tables.child_table` for ``table``.
        version_is_read_time: The vendor has no change time. Then an equal record with a newer version is not written; with a
            vendor's own version it is, since otherwise a late version in between would win.
        compare_columns: Rewrite a row of the same version also if only its typed columns differ, because the mapping changed
            since it was written; dearer, for replay.

    Raises:
        DataError: A record repeats a child key.
        psycopg.DataError: Postgres refuses a value; isolate the record by storing halves.
    """
    guard = _Guard(read_time=version_is_read_time, columns=compare_columns)
    writer = _Writer(connection, table, tuple(children), account, run_id, now, guard)
    counts = UpsertCounts()
    batch: dict[tuple[Any, ...], Record] = {}
    repeats = 0
    for record in records:
        known = batch.get(record.key)
        if known is not None:
            repeats += 1
            if known.version > record.version:
                continue
        batch[record.key] = record
        if len(batch) >= BATCH_ROWS:
            counts.add(writer.write(list(batch.values())))
            batch.clear()
    if batch:
        counts.add(writer.write(list(batch.values())))
    counts.unchanged += repeats
    return counts


def tombstone(
    connection: Connection[Any],
    table: Table,
    versions: Mapping[tuple[Any, ...], datetime],
    *,
    account: str,
    run_id: str,
    now: datetime,
    children: Sequence[Table] = (),
) -> UpsertCounts:
    """Marks rows as deleted; a tombstone keeps the last known columns and outlives late updates.

    A key that was never stored gets a bare tombstone, so that an update still under way cannot bring it to life.

    Args:
        connection: Inside a transaction.
        table: The parent table.
        versions: Version of the deletion by vendor key.
        account: ``vendor/name``.
        run_id: The Dagster run that writes.
        now: Write time, aware UTC.
        children: Child tables whose rows vanish with the parent.
    """
    counts = UpsertCounts()
    if not versions:
        return counts
    statements = _statements(table)
    with connection.cursor() as cursor:
        deleted = []
        for key, version in versions.items():
            cursor.execute(statements.bury, [account, *key, version, content_hash(b"{}"), now, now, now, run_id])
            if cursor.rowcount:
                deleted.append(key)
        for child in children:
            cursor.executemany(_statements(child).remove_children_of(statements.key), [[account, *key] for key in deleted])
    counts.deleted = len(deleted)
    counts.stale = len(versions) - len(deleted)
    return counts


@dataclass(frozen=True, slots=True)
class Change:
    """One row that storing would write.

    Attributes:
        key: The vendor's key.
        columns: Old and new value by column; for a new row the old ones are ``None``.
        is_new: Whether the row does not exist yet.
    """

    key: tuple[Any, ...]
    columns: dict[str, tuple[Any, Any]]
    is_new: bool


def preview(
    connection: Connection[Any], table: Table, records: Iterable[Record], *, account: str, version_is_read_time: bool = False
) -> list[Change]:
    """What `upsert` with ``compare_columns`` would change in the parent table; writes nothing but its temporary table.

    Args:
        connection: Inside a transaction.
        table: Made by `tables.vendor_table`.
        records: At most a few pages.
        account: ``vendor/name``.
        version_is_read_time: As for `upsert`.
    """
    newest: dict[tuple[Any, ...], Record] = {}
    for record in records:
        if record.key not in newest or newest[record.key].version <= record.version:
            newest[record.key] = record
    statements = _statements(table)
    with connection.cursor() as cursor:
        statements.fill_stage(cursor, newest.values())
        rows = cursor.execute(statements.changes(_Guard(version_is_read_time, columns=True)), {"account": account}).fetchall()
        cursor.execute(statements.empty_stage)
    return [statements.change(row) for row in rows]


class _Expected(Enum):
    """What a batch is likely to be, after the one before it."""

    ANYTHING = "anything"
    NEW = "new"
    DIFFERENT = "different"


@dataclass(slots=True)
class _Writer:
    """One batch after another into one table and its children."""

    connection: Connection[Any]
    table: Table
    children: tuple[Table, ...]
    account: str
    run_id: str
    now: datetime
    guard: _Guard
    expect: _Expected = _Expected.ANYTHING

    def write(self, records: list[Record]) -> UpsertCounts:
        gone = {record.key: record.version for record in records if record.deleted}
        if gone:
            records = [record for record in records if not record.deleted]
        counts = self._write_living(records) if records else UpsertCounts()
        if gone:
            counts.add(
                tombstone(
                    self.connection,
                    self.table,
                    gone,
                    account=self.account,
                    run_id=self.run_id,
                    now=self.now,
                    children=self.children,
                )
            )
        return counts

    def _write_living(self, records: list[Record]) -> UpsertCounts:
        counts = UpsertCounts()
        if self.expect is _Expected.NEW:
            new, others = records, []
        elif self.expect is _Expected.DIFFERENT or self.guard.columns:
            new, others = [], records
        else:
            new, others, counts.stale = self._ask(records)
            counts.unchanged = len(records) - len(new) - len(others) - counts.stale
        if new:
            if self._insert_new(new):
                counts.inserted = len(new)
            else:
                others = new + others
        if others:
            counts.add(self._stage_and_merge(others))
        if counts.inserted == len(records):
            self.expect = _Expected.NEW
        elif counts.updated > len(records) // 2:
            self.expect = _Expected.DIFFERENT
        else:
            self.expect = _Expected.ANYTHING
        return counts

    def _ask(self, records: list[Record]) -> tuple[list[Record], list[Record], int]:
        """Which records are new, which differ from their row, and how many are older than it."""
        statement = _statements(self.table).ask(self.guard)
        keys = [[str(part) for part in column] for column in zip(*(record.key for record in records), strict=True)]
        versions = [record.version for record in records]
        hashes = [record.digest() for record in records]
        new: list[Record] = []
        different: list[Record] = []
        stale = 0
        for position, verdict in self.connection.execute(statement, [*keys, versions, hashes, self.account]).fetchall():
            if verdict == "new":
                new.append(records[position - 1])
            elif verdict == "different":
                different.append(records[position - 1])
            else:
                stale += 1
        return new, different, stale

    def _insert_new(self, records: list[Record]) -> bool:
        """COPY straight into the table; False, with nothing done, if one of the keys has appeared meanwhile."""
        statements = _statements(self.table)
        constant = (self.account, self.now, self.now, self.run_id)
        try:
            with self.connection.transaction(), self.connection.cursor() as cursor, cursor.copy(statements.copy_new) as copy:
                for record in records:
                    copy.write_row(
                        (*statements.stage_row(record.key, record.row, record.raw, record.version, record.digest()), *constant)
                    )
        except psycopg.errors.UniqueViolation:
            return False
        for child in self.children:
            self._replace_children(child, records, [])
        return True

    def _stage_and_merge(self, records: list[Record]) -> UpsertCounts:
        statements = _statements(self.table)
        values = {"account": self.account, "run_id": self.run_id, "now": self.now}
        counts = UpsertCounts()
        with self.connection.cursor() as cursor:
            statements.fill_stage(cursor, records)
            changed = [tuple(key) for key in cursor.execute(statements.update(self.guard), values).fetchall()]
            counts.updated = len(changed)
            inserted: list[tuple[str, ...]] = []
            if len(changed) < len(records):
                cursor.execute(statements.insert(self.guard), values)
                for *key, is_new in cursor.fetchall():
                    (inserted if is_new else changed).append(tuple(key))
                counts.inserted, counts.updated = len(inserted), len(changed)
            if len(changed) + len(inserted) < len(records):
                cursor.execute(statements.count_stale, values)
                counts.stale = (cursor.fetchone() or (0,))[0]
            if self.children and self.guard.columns:
                changed = [tuple(key) for key in cursor.execute(statements.current_keys, values).fetchall()]
            cursor.execute(statements.empty_stage)
        counts.unchanged = len(records) - counts.inserted - counts.updated - counts.stale
        written = {*changed, *inserted}
        if self.children and written:
            accepted = [record for record in records if _key_text(record.key) in written]
            for child in self.children:
                self._replace_children(child, accepted, changed)
        return counts

    def _replace_children(self, child: Table, parents: list[Record], changed: list[tuple[str, ...]]) -> None:
        statements = _statements(child)
        parent_key = key_names(self.table)
        own_key = key_names(child)[len(parent_key) :]
        with self.connection.cursor() as cursor:
            cursor.execute(statements.create_stage)
            with cursor.copy(statements.copy) as copy:
                for parent in parents:
                    seen = set()
                    for row in parent.children.get(child.name, ()):
                        key = (*parent.key, *(row[name] for name in own_key))
                        if key in seen:
                            raise DataError(f"{child.fullname}: {self.account} has a record with two child rows of the same key")
                        seen.add(key)
                        raw = row["raw"] if "raw" in row else encode_json(row)
                        copy.write_row(statements.stage_row(key, row, raw, parent.version, content_hash(raw)))
            if changed:
                columns = [list(column) for column in zip(*changed, strict=True)]
                cursor.execute(statements.prune(parent_key), [*columns, self.account])
            cursor.execute(statements.merge_child(self.guard), {"account": self.account, "run_id": self.run_id, "now": self.now})
            cursor.execute(statements.empty_stage)


@dataclass(frozen=True, slots=True)
class _Guard:
    """When the staged row ``s`` replaces the stored row ``t``; the fields are those of `upsert`."""

    read_time: bool
    columns: bool

    def condition(self, typed: Sequence[str], json_columns: frozenset[str]) -> LiteralString:
        differs: LiteralString = "t.content_hash <> s.content_hash"
        if self.columns:
            differs += _columns_differ(typed, json_columns)
        newer: LiteralString = "t.version < s.version"
        if self.read_time:
            newer += f" AND ({differs} OR t.deleted_at IS NOT NULL)"
        return f"({newer}) OR (t.version = s.version AND t.deleted_at IS NULL AND ({differs}))"


class _Statements:
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
        self._composed: dict[tuple[str, _Guard], Composed] = {}
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

    def ask(self, guard: _Guard) -> Composed:
        """Position (from 1) and verdict of each given key that is not equal to its row: new, different or stale.

        Parameters: an array of text for each key column, versions, hashes, account.
        """
        return self._once("ask", guard, self._ask)

    def update(self, guard: _Guard) -> Composed:
        """Writes staged rows over their stored rows; answers the written keys as text."""
        return self._once("update", guard, self._update)

    def insert(self, guard: _Guard) -> Composed:
        """Writes staged rows that are not stored yet; answers keys as text and whether each was new."""
        return self._once("insert", guard, self._insert_missing)

    def merge_child(self, guard: _Guard) -> Composed:
        """Writes staged child rows that are missing or different; the parent has decided that they are the ones to be kept."""
        return self._once("merge child", guard, self._merge_child)

    def _merge_child(self, guard: _Guard) -> Composed:
        differs: LiteralString = "t.version <> s.version OR t.content_hash <> s.content_hash"
        on_conflict = differs
        if guard.columns:
            differs += _columns_differ(self._typed, self._json)
            on_conflict += _columns_differ(self._typed, frozenset())
        return self._insert(differs, on_conflict)

    def _once(self, name: str, guard: _Guard, compose: Callable[[_Guard], Composed]) -> Composed:
        if (name, guard) not in self._composed:
            self._composed[name, guard] = compose(guard)
        return self._composed[name, guard]

    def _ask(self, guard: _Guard) -> Composed:
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

    def _update(self, guard: _Guard) -> Composed:
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

    def _insert_missing(self, guard: _Guard) -> Composed:
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

    def changes(self, guard: _Guard) -> Composed:
        """Keys, old and new columns of staged rows that the guard lets through, and whether each is new."""
        return self._once("changes", guard, self._changes)

    def _changes(self, guard: _Guard) -> Composed:
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
def _statements(table: Table) -> _Statements:
    return _Statements(table)


def _names(names: Iterable[str]) -> sql.Composed:
    return SQL(", ").join(Identifier(name) for name in names)


def _key_text(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in key)


def _type_name(table: Table, column: str) -> str:
    return str(table.columns[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
