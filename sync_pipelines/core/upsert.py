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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import psycopg
from psycopg import Connection
from sqlalchemy import Table

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.records import Change, Record, UpsertCounts, content_hash
from sync_pipelines.core.tables import key_names
from sync_pipelines.core.upsert_sql import Guard, statements_of

__all__ = ["BATCH_ROWS", "Change", "Record", "UpsertCounts", "content_hash", "preview", "tombstone", "upsert"]

BATCH_ROWS = 10_000
"""Records staged at once: large enough to amortise the statements, small enough to bound memory (about 20 MB)."""


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
    guard = Guard(read_time=version_is_read_time, columns=compare_columns)
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
    statements = statements_of(table)
    with connection.cursor() as cursor:
        deleted = []
        for key, version in versions.items():
            cursor.execute(statements.bury, [account, *key, version, content_hash(b"{}"), now, now, now, run_id])
            if cursor.rowcount:
                deleted.append(key)
        for child in children:
            cursor.executemany(statements_of(child).remove_children_of(statements.key), [[account, *key] for key in deleted])
    counts.deleted = len(deleted)
    counts.stale = len(versions) - len(deleted)
    return counts


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
    statements = statements_of(table)
    with connection.cursor() as cursor:
        statements.fill_stage(cursor, newest.values())
        rows = cursor.execute(statements.changes(Guard(version_is_read_time, columns=True)), {"account": account}).fetchall()
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
    guard: Guard
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
        statement = statements_of(self.table).ask(self.guard)
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
        statements = statements_of(self.table)
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
        statements = statements_of(self.table)
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
        statements = statements_of(child)
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


def _key_text(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in key)
