"""The applied configuration: versioned, audited, rolled back, and compared in words. Knows no vendor and no file.

A document is what a person wrote, with references to secrets and never their values. The newest version is the active one;
nothing is ever changed or removed, a rollback applies an old document again as a new version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from sqlalchemy import BigInteger, Column, Identity, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import Json, encode_json
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

config_versions_table = Table(
    "config_versions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("document", JSONB, nullable=False, comment="As written, with references to secrets instead of secrets"),
    Column("digest", LargeBinary, nullable=False, comment="BLAKE2b-128 of the document"),
    instant("applied_at", nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("changes", JSONB, nullable=False, comment="What changed against the version before"),
    Column("restores", BigInteger, comment="The version a rollback went back to"),
    schema=SYNC_SCHEMA,
    comment="Every configuration that was ever active",
)

_COLUMNS = "id, document, digest, applied_at, applied_by, comment, changes, restores"


@dataclass(frozen=True, slots=True)
class Version:
    """One applied configuration; the fields are those of the table."""

    id: int
    document: Json
    digest: bytes
    applied_at: datetime
    applied_by: str
    comment: str
    changes: list[dict[str, Json]]
    restores: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two documents.

    Attributes:
        path: ``links[paris].filter.include[0].value``; items of a list are named by their ``id`` where they have one.
        before: The old value; `ABSENT` if there was none.
        after: The new value; `ABSENT` if there is none.
    """

    path: str
    before: Json
    after: Json

    def as_json(self) -> dict[str, Json]:
        """For the audit trail; an absent side is left out."""
        sides = {"before": self.before, "after": self.after}
        return {"path": self.path, **{name: value for name, value in sides.items() if value is not ABSENT}}


class _Absent:
    def __repr__(self) -> str:
        return "(nothing)"


ABSENT: Any = _Absent()
"""Stands for a value that one of two documents does not have."""


def exists(connection: Connection[Any]) -> bool:
    """Whether this database has been prepared so far that something can have been applied to it."""
    found = connection.execute("select to_regclass('sync.config_versions') is not null").fetchone()
    return bool(found and found[0])


def active(connection: Connection[Any]) -> Version | None:
    """The newest version; ``None`` until something was applied."""
    return next(iter(history(connection, limit=1)), None)


def history(connection: Connection[Any], *, limit: int = 50) -> list[Version]:
    """Versions, newest first."""
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(f"select {_COLUMNS} from sync.config_versions order by id desc limit %s", [limit]).fetchall()  # noqa: S608


def version(connection: Connection[Any], version_id: int) -> Version:
    """One version.

    Raises:
        ConfigError: There is none of that id.
    """
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        found = cursor.execute(f"select {_COLUMNS} from sync.config_versions where id = %s", [version_id]).fetchone()  # noqa: S608
    if found is None:
        raise ConfigError(f"there is no configuration version {version_id}; `sync-pipelines config history` lists them")
    return found


def apply(
    connection: Connection[Any],
    document: Json,
    *,
    by: str,
    comment: str = "",
    planned_on: int | None = None,
    restores: int | None = None,
) -> Version:
    """Makes a validated document the active one; applying what is active already changes nothing.

    Args:
        connection: Open transaction; two people who apply at once wait for each other.
        document: As written; validate it before.
        by: Who applies it.
        comment: Why.
        planned_on: The version the change was planned on (0: none); refused if another one has become active since.
        restores: Set by `rollback`.

    Raises:
        ConfigError: Somebody else applied another version since the plan was made.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('sync.config_versions', 0))")
    current = active(connection)
    if planned_on is not None and planned_on != (current.id if current else 0):
        raise ConfigError("another configuration was applied since this change was planned; plan again and look at the difference")
    digest = document_digest(document)
    if current is not None and current.digest == digest:
        return current
    changes = [change.as_json() for change in differences(current.document if current else ABSENT, document)]
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        stored = cursor.execute(
            "insert into sync.config_versions (document, digest, applied_at, applied_by, comment, changes, restores)"  # noqa: S608
            f" values (%s::jsonb, %s, clock_timestamp(), %s, %s, %s::jsonb, %s) returning {_COLUMNS}",
            [encode_json(document).decode(), digest, by, comment, encode_json(changes).decode(), restores],
        ).fetchone()
    assert stored is not None  # noqa: S101 - returning gives one row
    return stored


def rollback(connection: Connection[Any], version_id: int, *, by: str, comment: str = "") -> Version:
    """Applies an old version's document again; validate it before, the code may have changed since."""
    old = version(connection, version_id)
    return apply(connection, old.document, by=by, comment=comment or f"back to version {version_id}", restores=version_id)


def document_digest(document: Json) -> bytes:
    """BLAKE2b-128 of a document, whatever the order of its keys."""
    return blake2b(msgspec.json.encode(document, order="deterministic"), digest_size=16).digest()


def differences(before: Json, after: Json, path: str = "") -> Iterator[Change]:
    """What changed from one document to another, leaf by leaf.

    >>> [change.path for change in differences({"a": [{"id": "x", "b": 1}]}, {"a": [{"id": "x", "b": 2}]})]
    ['a[x].b']
    """
    left, right = _parts(before), _parts(after)
    if left is None or right is None:
        if before is not after and (before is ABSENT or after is ABSENT or before != after):
            yield Change(path or "(document)", before, after)
        return
    for name in [*left, *(name for name in right if name not in left)]:
        below = f"{path}{name}" if name.startswith("[") or not path else f"{path}.{name}"
        yield from differences(left.get(name, ABSENT), right.get(name, ABSENT), below)


def _parts(value: Json) -> dict[str, Json] | None:
    """A container's parts by name; lists of objects with ids go by id, so that moving one is no change."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "id" in item for item in value):
        return {f"[{item['id']}]": item for item in value}
    return None
