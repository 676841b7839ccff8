"""The guarded upsert: the only way a record becomes a row.

Nothing older overwrites something newer, a re-read that changes nothing writes nothing (no row, no WAL), and child rows are
replaced as a set together with their parent. One batch goes through these steps inside the caller's transaction:

1. ask with keys, versions and hashes alone which records would be written (left out while most are, as in a first load),
2. COPY those into a temporary table that lives as long as the connection,
3. drop by anti-join what is not newer and not different, so that equal rows are never locked or rewritten,
4. ``INSERT … ON CONFLICT … DO UPDATE … WHERE newer`` the rest; the guard holds against concurrent writers,
5. replace the child rows of those parents that were written.

Staged ``raw`` stays text until a row is written, because parsing JSON is the dearest part of a write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, LiteralString

from psycopg import Connection, sql
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

    Raises:
        DataError: A record repeats a child key.
        psycopg.DataError: Postgres refuses a value; isolate the record by storing halves.
    """
    writer = _Writer(connection, table, tuple(children), account, run_id, now, version_is_read_time)
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


@dataclass(slots=True)
class _Writer:
    """One batch after another into one table and its children."""

    connection: Connection[Any]
    table: Table
    children: tuple[Table, ...]
    account: str
    run_id: str
    now: datetime
    version_is_read_time: bool
    mostly_written: bool = False
    """Whether most of the last batch was written; then the next one is staged without asking first."""

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
        if self.mostly_written:
            counts = self._stage_and_merge(records)
        else:
            writable, stale = self._probe(records)
            counts = self._stage_and_merge(writable) if writable else UpsertCounts()
            counts.stale += stale
            counts.unchanged += len(records) - len(writable) - stale
        self.mostly_written = counts.inserted + counts.updated > len(records) // 2
        return counts

    def _probe(self, records: list[Record]) -> tuple[list[Record], int]:
        """The records that differ from what is stored, and how many others are older than it."""
        statements = _statements(self.table)
        keys = [[str(part) for part in column] for column in zip(*(record.key for record in records), strict=True)]
        versions = [record.version for record in records]
        hashes = [record.content_hash or content_hash(record.raw) for record in records]
        rows = self.connection.execute(
            statements.probe(read_time=self.version_is_read_time), [*keys, versions, hashes, self.account]
        ).fetchall()
        writable = [records[position - 1] for position, is_stale in rows if not is_stale]
        return writable, len(rows) - len(writable)

    def _stage_and_merge(self, records: list[Record]) -> UpsertCounts:
        statements = _statements(self.table)
        values = {"account": self.account, "run_id": self.run_id, "now": self.now}
        with self.connection.cursor() as cursor:
            cursor.execute(statements.create_stage)
            with cursor.copy(statements.copy) as copy:
                for record in records:
                    copy.write_row(statements.stage_row(record.key, record.row, record.raw, record.version, record.content_hash))
            cursor.execute(statements.merge(read_time=self.version_is_read_time, keys=bool(self.children)), values)
            if self.children:
                written = {tuple(key): is_new for *key, is_new in cursor.fetchall()}
                inserted, total = sum(written.values()), len(written)
            else:
                written = {}
                inserted, total = cursor.fetchone() or (0, 0)
            stale = 0
            if total < len(records):
                cursor.execute(statements.count_stale, values)
                stale = (cursor.fetchone() or (0,))[0]
            cursor.execute(statements.empty_stage)
        if written:
            accepted = [record for record in records if _key_text(record.key) in written]
            changed = [key for key, is_new in written.items() if not is_new]
            for child in self.children:
                self._replace_children(child, accepted, changed)
        unchanged = len(records) - total - stale
        return UpsertCounts(inserted=inserted, updated=total - inserted, unchanged=unchanged, stale=stale)

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
                        raw = row.get("raw")
                        copy.write_row(statements.stage_row(key, row, raw if raw is not None else encode_json(row), parent.version))
            if changed:
                columns = [list(column) for column in zip(*changed, strict=True)]
                cursor.execute(statements.prune(parent_key), [self.account, *columns])
            cursor.execute(statements.merge_child, {"account": self.account, "run_id": self.run_id, "now": self.now})
            cursor.execute(statements.empty_stage)


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
        self._merges: dict[tuple[bool, bool], Composed] = {}
        self._probes: dict[bool, Composed] = {}
        self.merge_child = self._insert("t.version <> s.version OR t.content_hash <> s.content_hash")
        self.count_stale = SQL("SELECT count(*) FROM {stage} s JOIN {target} t ON {joined} WHERE {stale}").format(
            stage=self._stage, target=self._target, joined=self._joined(), stale=SQL(_STALE)
        )
        self.bury = self._bury()

    def stage_row(
        self, key: tuple[Any, ...], row: Mapping[str, Any], raw: bytes, version: datetime, digest: bytes | None = None
    ) -> list[Any]:
        """One staged row in the order of ``copy``."""
        values = list(key)
        for name in self._typed:
            value = row.get(name)
            values.append(encode_json(value).decode() if value is not None and name in self._json else value)
        values += (raw.decode(), version, digest or content_hash(raw))
        return values

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
            return SQL("{} {}").format(Identifier(name), SQL(kind))  # type: ignore[arg-type]  # our own declaration, not input

        columns = SQL(", ").join(column(name) for name in self._staged)
        return SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} ({}) ON COMMIT DELETE ROWS").format(self._stage, columns)

    def _joined(self) -> Composed:
        same = SQL(" AND ").join(SQL("t.{0} = s.{0}").format(Identifier(name)) for name in self._vendor_key)
        return SQL("t.account = %(account)s AND {}").format(same)

    def merge(self, *, read_time: bool, keys: bool) -> Composed:
        """Stage into target. Answers the written keys as text and whether each is new, or only ``(new, written)`` counts."""
        if (read_time, keys) not in self._merges:
            insert = self._insert(_differs(read_time=read_time))
            names = SQL(", ").join(SQL("t.{}::text").format(Identifier(name)) for name in self._vendor_key)
            statement = (
                SQL("{} RETURNING {}, t.xmax = 0").format(insert, names)
                if keys
                else SQL(
                    "WITH written AS ({} RETURNING t.xmax = 0 AS is_new)"
                    " SELECT count(*) FILTER (WHERE is_new), count(*) FROM written"
                ).format(insert)
            )
            self._merges[read_time, keys] = statement
        return self._merges[read_time, keys]

    def probe(self, *, read_time: bool) -> Composed:
        """Position (from 1) of each given key that would be written (false) or is older than the stored row (true).

        Parameters: an array of text for each key column, versions, hashes, account.
        """
        if read_time not in self._probes:
            kinds = [_type_name(self.table, name) for name in self._vendor_key]
            same = SQL(" AND ").join(
                SQL("t.{0} = s.{0}::" + kind).format(Identifier(name)) for name, kind in zip(self._vendor_key, kinds, strict=True)
            )
            self._probes[read_time] = SQL(
                "SELECT s.position, t.account IS NOT NULL AND NOT ({differs})"
                " FROM unnest({arrays}, %b::timestamptz[], %b::bytea[])"
                " WITH ORDINALITY AS s({names}, version, content_hash, position)"
                " LEFT JOIN {target} t ON t.account = %s AND {same}"
                " WHERE t.account IS NULL OR {differs} OR {stale}"
            ).format(
                arrays=SQL(", ").join([SQL("%b::text[]")] * len(self._vendor_key)),
                names=_names(self._vendor_key),
                target=self._target,
                same=same,
                differs=SQL("({})").format(SQL(_differs(read_time=read_time))),
                stale=SQL("({})").format(SQL(_STALE)),
            )
        return self._probes[read_time]

    def _insert(self, condition: LiteralString) -> Composed:
        """The guarded write; ``condition`` compares the stored row ``t`` with the staged row ``s``."""
        json_columns = {"raw", *self._json}
        staged = SQL(", ").join(
            SQL("s.{}::jsonb" if name in json_columns else "s.{}").format(Identifier(name)) for name in self._staged
        )
        updates = (*self._typed, "raw", "version", "content_hash", "deleted_at", "synced_at", "run_id")
        return SQL(
            "INSERT INTO {target} AS t ({staged_names}, account, first_seen_at, synced_at, run_id)"
            " SELECT {staged}, %(account)s, %(now)s, %(now)s, %(run_id)s"
            " FROM {stage} s LEFT JOIN {target} t ON {joined} WHERE t.account IS NULL OR {writes}"
            " ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE {guard}"
        ).format(
            target=self._target,
            staged_names=_names(self._staged),
            staged=staged,
            stage=self._stage,
            joined=self._joined(),
            writes=SQL(condition),
            key=_names(self.key),
            updates=SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(name)) for name in updates),
            guard=SQL(condition.replace("s.", "excluded.")),
        )

    def _bury(self) -> Composed:
        names = (*self.key, "version", "content_hash", "deleted_at", "first_seen_at", "synced_at", "run_id")
        return SQL(
            "INSERT INTO {target} AS t ({names}, raw) VALUES ({places}, '{{}}')"
            " ON CONFLICT ({key}) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at,"
            " synced_at = excluded.synced_at, run_id = excluded.run_id"
            " WHERE t.version <= excluded.version AND t.deleted_at IS NULL"
        ).format(target=self._target, names=_names(names), places=SQL(", ").join([SQL("%s")] * len(names)), key=_names(self.key))


_STALE: LiteralString = "s.version < t.version OR (s.version = t.version AND t.deleted_at IS NOT NULL)"
"""The staged row ``s`` is older than the stored row ``t``; a tombstone wins over an update of its own time."""


def _differs(*, read_time: bool) -> LiteralString:
    """Condition under which the staged row ``s`` replaces the stored row ``t``."""
    newer: LiteralString = "t.version < s.version"
    if read_time:
        newer += " AND (t.content_hash <> s.content_hash OR t.deleted_at IS NOT NULL)"
    same_time: LiteralString = "t.version = s.version AND t.deleted_at IS NULL AND t.content_hash <> s.content_hash"
    return f"({newer}) OR ({same_time})"


@lru_cache(maxsize=256)
def _statements(table: Table) -> _Statements:
    return _Statements(table)


def _names(names: Iterable[str]) -> sql.Composed:
    return SQL(", ").join(Identifier(name) for name in names)


def _key_text(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in key)


def _type_name(table: Table, column: str) -> str:
    return str(table.columns[column].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
