"""A vendor's record on its way into a table, and what storing it came to. Knows no database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
        extra: Further facts of the same vendor object, for the stream's ``before_store`` and ``after_store``.
        unknown: ``column=value`` for each vendor word our mapping does not know, ``field is absent`` for one it misses; counted.
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
