"""Webhook deliveries in the database: raw body, headers and the work they mean, in one transaction.

A delivery is stored once: its identity, the vendor's event id or else the body's digest, is remembered as long as the vendor may
repeat it. Bodies may hold personal data; they are compressed, kept by day and dropped with their partition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import zstandard
from psycopg import Connection
from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core import dead_letters, partitions
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.faults import Fault
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.queue import NewTask, QueueSpec, enqueue
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

DAYS_AHEAD = 7

LETTER_SUBJECT = "/webhooks"
"""A delivery that cannot be read is a dead letter of the subject ``vendor/webhooks``."""

_compress = zstandard.ZstdCompressor(level=1).compress
"""The lowest level: bodies are small and arrive fast."""

delivery_table = Table(
    "deliveries",
    metadata,
    Column("account", Text, primary_key=True, comment="vendor/name"),
    instant("received_at", primary_key=True),
    Column("identity", LargeBinary, primary_key=True, comment="Digest of the event id, or of the body where there is none"),
    Column("route", Text, nullable=False, comment="Path of the webhook it came by"),
    Column("event_id", Text, comment="The vendor's id of the event"),
    Column("headers", JSONB, nullable=False, comment="Headers that help and carry no secret"),
    Column("size", Integer, nullable=False, comment="Bytes before compression"),
    Column("body", LargeBinary, nullable=False, comment="As received; zstd"),
    schema=SYNC_SCHEMA,
    comment="Webhook deliveries as received, by day",
    postgresql_partition_by="RANGE (received_at)",
)

delivery_identity_table = Table(
    "delivery_identities",
    metadata,
    Column("identity", LargeBinary, primary_key=True),
    instant("expires_at", nullable=False, comment="Until then the same identity is a repeat"),
    Index("ix_delivery_identities_expires", "expires_at", postgresql_using="brin"),
    schema=SYNC_SCHEMA,
    comment="Deliveries that would be repeats",
)

_STORE = """
with incoming as (
    select * from unnest(%(identities)b::bytea[], %(lasting)b::float8[], %(accounts)b::text[], %(times)b::float8[],
                         %(routes)b::text[], %(event_ids)b::text[], %(headers)b::text[], %(sizes)b::integer[], %(bodies)b::bytea[])
        as u (identity, lasting, account, received_at, route, event_id, headers, size, body)
), fresh as (
    insert into sync.delivery_identities as known (identity, expires_at)
    select identity, clock_timestamp() + make_interval(secs => lasting) from incoming order by identity
    on conflict (identity) do update set expires_at = excluded.expires_at where known.expires_at <= clock_timestamp()
    returning identity
)
insert into sync.deliveries (account, received_at, identity, route, event_id, headers, size, body)
select account, to_timestamp(received_at), identity, route, event_id, headers::jsonb, size, body
from incoming join fresh using (identity)
returning identity
"""
"""Sorted by identity, so that transactions with the same repeats wait for each other instead of dead-locking."""


class Delivery(msgspec.Struct, kw_only=True):
    """One verified delivery. Not to be made by several threads at once: they would share one compressor.

    Digest and compression are done here, where the delivery comes in. In the thread that stores it every one of them would let go
    of the interpreter and wait to get it back from the event loop, which costs more than they do.

    Attributes:
        account: ``vendor/name``.
        route: Path of the webhook it came by, as declared.
        body: As received.
        received_at: Aware UTC.
        headers: What is worth keeping; no secrets.
        event_id: The vendor's id of the event, if it sends one.
        dedupe_for: How long the same identity is taken for a repeat.
        tasks: The work it means.
        fault: Why its work could not be told; becomes a dead letter.
        retry_queue: Retries that letter by itself.
        identity: 16 bytes that are the same for a repeat; told by itself.
        packed: The body, compressed; told by itself.
    """

    account: str
    route: str
    body: bytes
    received_at: datetime
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    event_id: str | None = None
    dedupe_for: timedelta = timedelta(minutes=2)
    tasks: Sequence[tuple[QueueSpec, NewTask]] = ()
    fault: Fault | None = None
    retry_queue: RetryQueue | None = None
    identity: bytes = b""
    packed: bytes = b""

    def __post_init__(self) -> None:
        kind, told = (b"body", self.body) if self.event_id is None else (b"event", self.event_id.encode())
        self.identity = hashlib.blake2b(b"%b\x00%b" % (self.account.encode(), told), digest_size=16, person=kind).digest()
        self.packed = _compress(self.body)


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as it lies in the database, uncompressed; the time is aware UTC."""

    account: str
    route: str
    received_at: datetime
    event_id: str | None
    headers: dict[str, str]
    body: bytes


def store(connection: Connection[Any], deliveries: Sequence[Delivery]) -> list[bool]:
    """Stores deliveries and enqueues their work; repeats are left out.

    Args:
        connection: Open transaction; only its commit makes the deliveries safe to acknowledge.
        deliveries: Any number of any accounts.

    Returns:
        For each delivery whether it was new.

    Raises:
        DataError: A task holds what Postgres cannot; nothing must be committed.
    """
    first: dict[bytes, int] = {}
    for place, delivery in enumerate(deliveries):
        first.setdefault(delivery.identity, place)
    fresh = _store(connection, {identity: deliveries[place] for identity, place in first.items()})
    is_new = [False] * len(deliveries)
    for identity in fresh:
        is_new[first[identity]] = True
    accepted = [delivery for delivery, new in zip(deliveries, is_new, strict=True) if new]
    queues: dict[str, tuple[QueueSpec, list[NewTask]]] = {}
    for delivery in accepted:
        for spec, task in delivery.tasks:
            queues.setdefault(spec.name, (spec, []))[1].append(task)
    for spec, tasks in queues.values():
        enqueue(connection, spec, tasks, notify=False)
    for delivery in accepted:
        if delivery.fault:
            _open_letter(connection, delivery, delivery.fault)
    return is_new


def _store(connection: Connection[Any], unique: Mapping[bytes, Delivery]) -> set[bytes]:
    deliveries = list(unique.values())
    rows = connection.execute(
        _STORE,
        {
            "identities": list(unique),
            "lasting": [delivery.dedupe_for.total_seconds() for delivery in deliveries],
            "accounts": [delivery.account for delivery in deliveries],
            "times": [delivery.received_at.timestamp() for delivery in deliveries],
            "routes": [delivery.route for delivery in deliveries],
            "event_ids": [delivery.event_id for delivery in deliveries],
            "headers": [encode_json(dict(delivery.headers)).decode() for delivery in deliveries],
            "sizes": [len(delivery.body) for delivery in deliveries],
            "bodies": [delivery.packed for delivery in deliveries],
        },
        prepare=True,
    ).fetchall()
    return {identity for (identity,) in rows}


def _open_letter(connection: Connection[Any], delivery: Delivery, fault: Fault) -> None:
    dead_letters.open_letter(
        connection,
        dead_letters.NewLetter(
            account=delivery.account,
            subject=delivery.account.partition("/")[0] + LETTER_SUBJECT,
            key=delivery.event_id or delivery.identity.hex(),
            cause=fault.cause,
            error=fault.text,
            payload=delivery.body,
            request=delivery.route,
            run_id="service",
            retry=delivery.retry_queue,
        ),
    )


def read(
    database: Database, *, account: str, since: datetime | None = None, until: datetime | None = None
) -> Iterator[StoredDelivery]:
    """Stored deliveries of an account in the order of their arrival, a hundred in memory at a time.

    Args:
        database: Where they are.
        account: ``vendor/name``.
        since: Received at or after, aware UTC.
        until: Received before, aware UTC.
    """
    decompress = zstandard.ZstdDecompressor().decompress
    last = (since or datetime(1970, 1, 1, tzinfo=UTC), b"")
    end = until or datetime(9999, 1, 1, tzinfo=UTC)
    while True:
        with database.connect() as connection:
            rows = connection.execute(
                "select received_at, identity, route, event_id, headers::text, body from sync.deliveries"
                " where account = %s and (received_at, identity) > (%s, %s) and received_at < %s"
                " order by received_at, identity limit 100",
                [account, *last, end],
            ).fetchall()
        if not rows:
            return
        for received_at, _, route, event_id, headers, body in rows:
            yield StoredDelivery(account, route, received_at.astimezone(UTC), event_id, decode_json(headers), decompress(body))
        last = (rows[-1][0], rows[-1][1])


def ensure_partitions(connection: Connection[Any], *, now: datetime | None = None) -> None:
    """Makes the coming days' partitions; call it daily. Rows of a missing day go to the default partition."""
    today = (now or datetime.now(UTC)).date()
    partitions.ensure_days(connection, "deliveries", first=today, days=DAYS_AHEAD + 1)


def forget(connection: Connection[Any], before: datetime) -> int:
    """Drops the days before ``before`` (aware UTC) and every identity whose time is over; returns the number of days."""
    connection.execute("delete from sync.delivery_identities where expires_at < clock_timestamp()")
    dropped = partitions.drop_days_before(connection, "deliveries", before.astimezone(UTC).date())
    connection.execute("delete from sync.deliveries_rest where received_at < %s", [before])
    return dropped
