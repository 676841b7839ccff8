"""SendCloud's webhooks: whether a body is genuine, what it says, and how it becomes rows.

A parcel event carries all it changes, so storing it needs no call to the vendor. Deliveries come twice, late and in any order;
versions (the event's own time) decide, and polling shipments is the net under lost ones. Knows neither HTTP server nor queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier
from pydantic import ValidationError

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_tasks import fail
from sync_pipelines.core.errors import ContractError, DataError
from sync_pipelines.core.faults import Fault, describe
from sync_pipelines.core.jsons import Json, decode_json, encode_json
from sync_pipelines.core.queue import NewTask, QueueSpec, Task, claim, finish
from sync_pipelines.core.stream import ParseContext, WriteContext
from sync_pipelines.core.tables import COMMON_COLUMNS
from sync_pipelines.core.upsert import Record, upsert
from sync_pipelines.core.webhooks import Verdict, WebhookRoute, keys_match, known_keys, signature_matches
from sync_pipelines.vendors.sendcloud import mapping, matching, tables
from sync_pipelines.vendors.sendcloud.letters import EVENTS, RETRY_QUEUE
from sync_pipelines.vendors.sendcloud.models import ParcelEventCreated, ParcelStatusChanged
from sync_pipelines.vendors.sendcloud.vocabulary import wms_status

SIGNATURE = "sendcloud-signature"
PARCEL_STATUS_CHANGED = "parcel_status_changed"
PARCEL_EVENT_CREATED = "parcels.event.created"
WEBHOOK, SUBSCRIPTION = "webhook", "subscription"


def is_genuine(body: bytes, headers: Mapping[str, str], keys: Iterable[str]) -> bool:
    """Whether one of our keys signed the raw body, or, for event subscriptions, came as bearer token (facts §7).

    Args:
        body: As received, byte for byte.
        headers: Header names in lower case.
        keys: Integration secret keys or webhook signature keys; two while rotating.
    """
    signature = headers.get(SIGNATURE)
    if signature is not None:
        return signature_matches(signature.strip(), body, keys)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return scheme == "Bearer" and keys_match(token.strip(), keys)


def subject_of(event: Json) -> str | None:
    """The key under which events stay in order: ``parcel/<id>``; ``None`` for events we do not keep.

    Raises:
        DataError: An event that we keep does not say which parcel it is about.
    """
    kind = _kind(event)
    if kind == PARCEL_STATUS_CHANGED:
        key = _inside(event, "parcel", "id")
    elif kind == PARCEL_EVENT_CREATED:
        key = _inside(event, "data", "parcel", "parcel_id")
    else:
        return None
    if isinstance(key, bool) or not str(key or "").isdecimal():
        raise DataError(f"{kind}: the event names no parcel")
    return f"parcel/{int(key)}"


@dataclass(slots=True)
class Parsed:
    """What deliveries say: parcel states, events, and what could not be read.

    Attributes:
        parcels: Newest state by the event, for the guarded upsert; columns the event does not know are missing.
        events: Rows of ``sendcloud.tracking_events``.
        ignored: Genuine events of kinds we do not keep.
        broken: Position of each unreadable delivery and what is wrong with it, without values.
    """

    parcels: list[Record] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    ignored: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)


def parse(events: Sequence[Json], context: ParseContext) -> Parsed:
    """Reads any number of genuine bodies, decoded."""
    parsed = Parsed()
    for position, event in enumerate(events):
        try:
            kind = _kind(event)
            if kind == PARCEL_STATUS_CHANGED:
                _status_changed(event, context, parsed)
            elif kind == PARCEL_EVENT_CREATED:
                _event_created(event, context, parsed)
            else:
                parsed.ignored += 1
        except ValidationError as error:
            parsed.broken.append((position, describe(error).text))
        except (DataError, ContractError) as error:
            parsed.broken.append((position, str(error)))
    return parsed


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch of deliveries: parcel rows and events written, deliveries ignored or broken."""

    parcels: int
    stale: int
    events: int
    ignored: int
    broken: list[tuple[int, str]]


def store(connection: Connection[Any], context: WriteContext, bodies: Sequence[bytes]) -> Stored:
    """Stores genuine bodies inside the caller's transaction: parcels, tracking events, and the orders that follow them."""
    return store_events(connection, context, [_decoded(body) for body in bodies])


def store_events(connection: Connection[Any], context: WriteContext, decoded: Sequence[Json]) -> Stored:
    """The same for bodies that are decoded."""
    parsed = parse(decoded, ParseContext(context.account, WEBHOOK, context.now, context.settings))
    common: dict[str, Any] = {"account": context.account, "run_id": context.run_id, "now": context.now}
    newest: dict[tuple[Any, ...], Record] = {}
    for record in parsed.parcels:
        if record.key not in newest or newest[record.key].version <= record.version:
            newest[record.key] = record
    numbers = _complete(connection, context.account, list(newest.values()))
    written = upsert(connection, tables.parcels, newest.values(), **common)
    events = upsert(connection, tables.tracking_events, parsed.events, **common)
    matching.follow(connection, context, numbers)
    return Stored(written.inserted + written.updated, written.stale, events.inserted, parsed.ignored, parsed.broken)


_FACTS = tuple(name for name in tables.parcels.columns.keys() if name not in {"account", "parcel_id", *COMMON_COLUMNS})  # noqa: SIM118

_STORED = SQL("SELECT {} FROM sendcloud.parcels WHERE account = %s AND parcel_id = ANY(%s) ORDER BY parcel_id FOR UPDATE").format(
    SQL(", ").join(Identifier(name) for name in ("parcel_id", *_FACTS))
)


def _complete(connection: Connection[Any], account: str, records: list[Record]) -> set[str | None]:
    """Fills what an event does not say from the stored row, so that a bare status change loses no tracking URL or label."""
    said = {record.key[0]: record.row for record in records}
    for key, *facts in connection.execute(_STORED, [account, list(said)]):
        row = said[key]
        for name, value in zip(_FACTS, facts, strict=True):
            if row.get(name) is None:
                row[name] = value
    return {record.row.get("order_number") for record in records}


def _decoded(body: bytes) -> Json:
    """The body's JSON; ``None``, which is no event, if it has none."""
    try:
        return decode_json(body)
    except ContractError:
        return None


def _kind(event: Json) -> str | None:
    if not isinstance(event, dict):
        raise ContractError("SendCloud sent a webhook that is not one")
    return event.get("action") or event.get("event_type")


def _inside(value: Json, *path: str) -> Json:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _status_changed(said: Json, context: ParseContext, parsed: Parsed) -> None:
    event = ParcelStatusChanged.model_validate(said)
    record = mapping.v2_parcel(event.parcel, encode_json(said["parcel"]), context)
    record.version = event.timestamp
    record.row["source"] = WEBHOOK
    parsed.parcels.append(record)
    names = ("order_number", "status_code", "status_message", "wms_status", "tracking_number", "carrier")
    row = {**{name: record.row[name] for name in names}, "source": WEBHOOK}
    parsed.events.append(_event(event.parcel.id, event.timestamp, row, encode_json({"status": event.parcel.status.model_dump()})))


def _event_created(event: Json, context: ParseContext, parsed: Parsed) -> None:
    """A subscription event. Its vocabulary is finer than parcel statuses: only a word we know changes the parcel's row."""
    data, raw = ParcelEventCreated.model_validate(event).data, encode_json(event)
    parcel, happened = data.parcel, data.event
    if not parcel.parcel_id.isdecimal():
        raise DataError("parcel.parcel_id: not a number")
    words = [word for word in (happened.sub_status, happened.status_type) if word]
    code = words[0].upper() if words else "UNKNOWN"
    mapped = wms_status(code, context.settings.wms_status)
    said = {
        "status_code": code,
        "status_message": happened.description,
        "wms_status": mapped,
        "tracking_number": parcel.tracking_number,
        "carrier": parcel.carrier_code,
    }
    key = int(parcel.parcel_id)
    row = {**said, "phase": happened.phase, "exception": happened.exception, "source": SUBSCRIPTION}
    parsed.events.append(_event(key, happened.timestamp, row, raw))
    if mapped:
        facts = {**said, "announced_at": parcel.announced_at, "source": WEBHOOK}
        parsed.parcels.append(Record(key=(key,), version=happened.timestamp, row=facts, raw=raw))


def _event(parcel: int, at: datetime, row: dict[str, Any], raw: bytes) -> Record:
    number = round(at.timestamp() * 1000)
    return Record(key=(parcel, f"{number}:{row['status_code']}"), version=at, row={**row, "event_at": at}, raw=raw)


QUEUE = QueueSpec(name=EVENTS, batch_size=500)
"""Parcel events on their way into the tables; events of one parcel in the order of their arrival."""


def _verify(settings: Any, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Verdict:
    del query
    return Verdict.GENUINE if is_genuine(body, headers, known_keys(settings.webhook_keys)) else Verdict.FORGED


def tasks_of(account: str, settings: Any, body: Json) -> list[tuple[QueueSpec, NewTask]]:
    """One task for a parcel's event, none for other kinds. What else the event says is looked at when it is stored.

    Raises:
        DataError: An event that we keep names no parcel.
    """
    del settings
    subject = subject_of(body)
    return [(QUEUE, NewTask(account=account, key=subject, payload=body, lane=Lane.WEBHOOK))] if subject else []


def drain(database: Database, settings_of: Mapping[str, Any], *, run_id: str) -> int:
    """Stores all waiting events of the given accounts; an event and the end of its task commit together."""
    count = 0
    while tasks := claim(database, QUEUE, run_id, accounts=list(settings_of)):
        for account in sorted({task.account for task in tasks}):
            own = [task for task in tasks if task.account == account]
            _store_tasks(database, WriteContext(account, run_id, datetime.now(UTC), settings_of[account]), own)
        count += len(tasks)
    return count


def _store_tasks(database: Database, context: WriteContext, tasks: list[Task]) -> None:
    """Stores events; what cannot be read or what the database refuses becomes a dead letter, alone."""
    try:
        with database.transaction() as connection:
            broken = dict(store_events(connection, context, [task.payload for task in tasks]).broken)
            finish(connection, [task for place, task in enumerate(tasks) if place not in broken])
            for place, words in broken.items():
                fail(connection, tasks[place], Fault("DataError", words), run_id=context.run_id, retry=RETRY_QUEUE)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(tasks) == 1:
            with database.transaction() as connection:
                fail(connection, tasks[0], describe(error), run_id=context.run_id, retry=RETRY_QUEUE)
            return
        middle = len(tasks) // 2
        _store_tasks(database, context, tasks[:middle])
        _store_tasks(database, context, tasks[middle:])


WEBHOOKS = (
    WebhookRoute(
        vendor="sendcloud",
        path="/webhooks/sendcloud/{account}",
        verify=_verify,
        to_tasks=tasks_of,
        work_locally=drain,
        retry_queue=RETRY_QUEUE,
    ),
)
