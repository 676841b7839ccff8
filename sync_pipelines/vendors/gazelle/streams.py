"""What Gazelle is read for: the whole list of everything, and the timeline by time of occurrence.

The vendor cannot say what changed since (apis/gazelle/facts.md §1), so all but the timeline are snapshots with change detection
by id and change time (`reader`). A thorough run, weekly in the backfill lane, reads every field of every record and the whole
calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.sql import SQL, Identifier
from sqlalchemy import Table

from sync_pipelines.core.personal import Personal
from sync_pipelines.core.stream import DeletePolicy, Deletes, Page, ParseContext, Reconciling, Stream, WriteContext
from sync_pipelines.core.tables import COMMON_COLUMNS
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.gazelle import rows, selections, tables
from sync_pipelines.vendors.gazelle.reader import Reader, Snapshot, split
from sync_pipelines.vendors.gazelle.selections import Listing, Lookup

LATE_EDITS = timedelta(days=7)
"""Timeline entries are edited and dated back; so far every run reads again."""

_NO_CHANGE = datetime(1970, 1, 1, tzinfo=UTC)
"""Version of a mark that a record is unchanged; never stored."""

_DAILY = timedelta(hours=30)
_MISSING_TWICE = DeletePolicy(found_by=Deletes.ABSENT, confirmations=2, brake_share=0.05, brake_rows=200)
_SMALL_LIST = DeletePolicy(found_by=Deletes.ABSENT, confirmations=2, brake_share=0.5, brake_rows=50)


def _parse(name: str) -> Callable[[bytes, ParseContext], Record]:
    parse = rows.PARSERS[name]

    def parse_or_mark(raw: bytes, context: ParseContext) -> Record:
        if raw.startswith(b'{"seen":'):
            return Record(key=(_seen_key(raw),), version=_NO_CHANGE, row={}, raw=raw, extra=None)
        return parse(raw, context)

    return parse_or_mark


def _seen_key(raw: bytes) -> str:
    return str(msgspec.json.decode(raw)["seen"])


def _key_of(raw: bytes, source: str) -> str | None:
    del source
    try:
        record = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
    key = record.get("id") or record.get("tag") if isinstance(record, dict) else None
    return str(key) if key else None


def _keep_whole(table: Table) -> Callable[[Connection[Any], WriteContext, list[Record]], list[Record]]:
    """Stores whole records only, and lets one that came back to life outrank its tombstone.

    A buried record that is read again is proof that it exists; its change time may be older than the burial, its reading is not.
    """
    query = SQL("SELECT external_id FROM {} WHERE account = %s AND external_id = ANY(%s) AND deleted_at IS NOT NULL").format(
        Identifier(table.schema or "public", table.name)
    )

    def before_store(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
        whole = [record for record in records if record.extra is not None]
        if whole:
            buried = {row[0] for row in connection.execute(query, [context.account, [record.key[0] for record in whole]])}
            for record in whole:
                if record.key[0] in buried:
                    record.version = max(record.version, record.extra)
        return whole

    return before_store


def _of_deleted(table: Table) -> Personal:
    """A customer register consists of persons: nothing of the living is erased by rule, and all of the deleted if it is wished."""
    return Personal(
        columns=tuple(column.name for column in table.columns if column.nullable and column.name not in COMMON_COLUMNS),
        fields=None,
        days=lambda settings: settings.deleted_clients_days,
        since="deleted_at",
        rule="deleted_clients_days",
    )


def _snapshot_stream(
    name: str,
    table: Table,
    *,
    listing: Listing,
    lookup: Lookup,
    description: str,
    children: tuple[Table, ...] = (),
    everything: Callable[[Reader, Snapshot, str | None], Iterator[Page]] | None = None,
    personal: Personal | None = None,
) -> Stream[Reader]:
    snapshot = Snapshot(f"gazelle/{name}", table, listing, lookup)
    read = everything or (lambda reader, snapshot, token: reader.scan(snapshot, token))
    return Stream(
        key=snapshot.stream,
        table=table,
        children=children,
        description=description,
        records=split,
        parse=_parse(name),
        key_of=_key_of,
        everything=lambda reader, token: read(reader, snapshot, token),
        fetch_one=lambda reader, key: reader.one(lookup, key),
        before_store=_keep_whole(table),
        deletes=_MISSING_TWICE,
        cron=None,
        freshness=_DAILY,
        max_runtime=timedelta(hours=4),
        personal=personal,
    )


clients = _snapshot_stream(
    "clients",
    tables.clients,
    listing=selections.CLIENTS,
    lookup=selections.CLIENT,
    description="Clients with the contact data of their default contact. Ids and change times first, then what differs.",
    personal=_of_deleted(tables.clients),
)

contacts = _snapshot_stream(
    "contacts",
    tables.contacts,
    listing=selections.CONTACTS,
    lookup=selections.CONTACT,
    children=(tables.contact_emails, tables.contact_phones, tables.contact_locations),
    description="Contacts of all clients, archived ones included, read through their clients because there is no list of contacts.",
    personal=_of_deleted(tables.contacts),
)

pianos = _snapshot_stream(
    "pianos",
    tables.pianos,
    listing=selections.PIANOS,
    lookup=selections.PIANO,
    description="Pianos with owner and service dates. A piano that changes hands gets a new id; the old row stays, inactive.",
)

appointments = _snapshot_stream(
    "appointments",
    tables.appointments,
    listing=selections.EVENTS,
    lookup=selections.EVENT,
    children=(tables.appointment_participants, tables.appointment_pianos, tables.appointment_services),
    everything=lambda reader, snapshot, token: reader.appointments(snapshot, token),
    description="Events of the calendar around today, daily; the whole calendar weekly. A deleted event vanishes without a trace,"
    " so one that is missed twice and not found by id is buried.",
)


def _timeline_changed(reader: Reader, window: Window, token: str | None) -> Iterator[Page]:
    return reader.timeline(window, token, stream=timeline_entries.key, pianos=tables.pianos)


timeline_entries: Stream[Reader] = Stream(
    key="gazelle/timeline_entries",
    table=tables.timeline_entries,
    description="What happened with clients and pianos, by time of occurrence; the last seven days are read again for late edits."
    " An entry that two thorough runs miss is buried.",
    records=split,
    parse=_parse("timeline_entries"),
    key_of=_key_of,
    changed=_timeline_changed,
    everything=lambda reader, token: reader.whole_timeline(token),
    version_is_read_time=True,
    overlap=LATE_EDITS,
    deletes=_MISSING_TWICE,
    reconciling=Reconciling(listed_by=("occurred_at",)),
    # The vendor has no upper bound to ask for: a cut window would read everything after it as well.
    slice=timedelta(days=36_500),
    cron=None,
    freshness=_DAILY,
    max_runtime=timedelta(hours=4),
)


def _plain_stream(name: str, table: Table, read: Callable[[Reader], Iterator[Page]], description: str) -> Stream[Reader]:
    return Stream(
        key=f"gazelle/{name}",
        table=table,
        description=description,
        records=split,
        parse=_parse(name),
        key_of=_key_of,
        everything=lambda reader, _: read(reader),
        version_is_read_time=name == "tags",
        deletes=_SMALL_LIST,
        cron=None,
        freshness=_DAILY,
    )


users = _plain_stream(
    "users", tables.users, lambda reader: reader.plain(selections.USERS, "allUsers"), "Technicians and assistants of the business."
)

service_items = _plain_stream(
    "service_items",
    tables.service_items,
    lambda reader: reader.plain(selections.SERVICE_ITEMS, "allMasterServiceItems"),
    "The business's list of services with prices in minor units.",
)

tags = _plain_stream("tags", tables.tags, lambda reader: reader.tags(), "Tags in use on clients, pianos, invoices and estimates.")

STREAMS: tuple[Stream[Reader], ...] = (users, service_items, tags, clients, contacts, pianos, appointments, timeline_entries)
"""In the order a first sync reads them: small lists first, then what the rest points to."""
