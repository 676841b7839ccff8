"""Every response page as it came, compressed, by day: what replay reads instead of the vendor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import zstandard
from psycopg import Connection
from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, Table, Text

from sync_pipelines.core.db import Database
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

archive_table = Table(
    "archive",
    metadata,
    instant("received_at", primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("source", Text, nullable=False, comment="Which shape of the vendor's API the page has"),
    Column("request", Text, nullable=False, comment="What was asked, without secrets"),
    Column("size", Integer, nullable=False, comment="Bytes before compression"),
    Column("body", LargeBinary, nullable=False, comment="zstd"),
    Index("ix_archive_stream", "stream", "account", "received_at", "id"),
    schema=SYNC_SCHEMA,
    comment="Response pages as received, for replay and for evidence",
    postgresql_partition_by="RANGE (received_at)",
)

_LEVEL = 3
"""zstd level: JSON shrinks about eightfold at several hundred MB/s."""


@dataclass(frozen=True, slots=True)
class ArchivedPage:
    """One stored page, uncompressed."""

    id: int
    received_at: datetime
    account: str
    run_id: str
    source: str
    request: str
    body: bytes


def keep(
    connection: Connection[Any],
    *,
    account: str,
    stream: str,
    run_id: str,
    source: str,
    request: str,
    body: bytes,
    received_at: datetime,
) -> None:
    """Stores one page; the day's partition must exist (see `partitions.ensure_days`)."""
    compressed = zstandard.ZstdCompressor(level=_LEVEL).compress(body)
    connection.execute(
        "INSERT INTO sync.archive (received_at, account, stream, run_id, source, request, size, body)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [received_at, account, stream, run_id, source, request, len(body), compressed],
    )


def pages(
    database: Database, *, stream: str, account: str, since: datetime | None = None, until: datetime | None = None
) -> Iterator[ArchivedPage]:
    """Archived pages of one stream and account in the order they were read, one in memory at a time.

    Args:
        database: Where they are.
        stream: ``vendor/table``.
        account: ``vendor/name``.
        since: Received at or after, aware UTC.
        until: Received before, aware UTC.
    """
    last = (since or datetime(1970, 1, 1, tzinfo=UTC), 0)
    end = until or datetime(9999, 1, 1, tzinfo=UTC)
    while True:
        with database.connect() as connection:
            row = connection.execute(
                "SELECT id, received_at, run_id, source, request, body FROM sync.archive"
                " WHERE stream = %s AND account = %s AND (received_at, id) > (%s, %s) AND received_at < %s"
                " ORDER BY received_at, id LIMIT 1",
                [stream, account, *last, end],
            ).fetchone()
        if row is None:
            return
        page_id, received_at, run_id, source, request, body = row
        last = (received_at, page_id)
        text = zstandard.ZstdDecompressor().decompress(body)
        yield ArchivedPage(page_id, received_at.astimezone(UTC), account, run_id, source, request, text)
