"""What is read from Grand Shooting: the main account's catalogue, by change day and in full, into the mirror.

A change becomes one task per followed link in the transaction that stores it, whichever way it was learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from psycopg import Connection

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.stream import DeletePolicy, Deletes, Page, ParseContext, Reconciling, Stream, Sweep, WriteContext
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.grand_shooting.client import GrandShootingClient, ReferencePage
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import spread
from sync_pipelines.vendors.grand_shooting.models import Reference
from sync_pipelines.vendors.grand_shooting.tables import references

SOURCE = "v3"

_items = msgspec.json.Decoder(list[msgspec.Raw])
_COLUMNS = frozenset(column.name for column in references.columns) & frozenset(Reference.model_fields)

A_DAY = timedelta(days=1)


def split(body: bytes, source: str) -> list[bytes]:
    """The JSON text of each reference of a page.

    Raises:
        ContractError: The body is no array, or of a shape this version does not know.
    """
    if source != SOURCE:
        raise ContractError(f"grand_shooting/references: unknown source {source}")
    try:
        return [bytes(item) for item in _items.decode(body)]
    except msgspec.MsgspecError as error:
        raise ContractError("grand_shooting/references: a page is no array", body=body[:2000]) from error


def parse(raw: bytes, context: ParseContext) -> Record:
    """One reference. Its version is ``date_mod``; where that is only a day, the time it was received."""
    reference = Reference.model_validate(decode_json(raw))
    row = reference.model_dump(include=set(_COLUMNS) - {"ref"})
    row["created_at"], row["changed_at"] = reference.date_cre, reference.date_mod
    version = reference.date_mod if reference.date_mod is not None and reference.has_change_time else context.received_at
    return Record(key=(reference.ref,), version=version.astimezone(UTC), row=row, raw=raw)


def key_of(raw: bytes, _: str) -> str | None:
    """The ``ref`` of a reference that cannot be parsed."""
    found = decode_json(raw)
    return str(found["ref"]) if isinstance(found, dict) and found.get("ref") else None


def changed(client: GrandShootingClient, window: Window, token: str | None) -> Iterator[Page]:
    """References changed in a window; filters know whole days only, so its first and last day are read entirely.

    The window of a delta begins `REFERENCES.overlap` early already; an account may want more days than that one.
    """
    earlier = client.overlap_days * A_DAY - REFERENCES.overlap
    days = ((window.start - earlier).date(), window.end.date())
    for page in client.pages(after=int(token or 0), changed=days):
        yield _page(page)


def everything(client: GrandShootingClient, token: str | None) -> Iterator[Page]:
    """The whole catalogue."""
    for page in client.pages(after=int(token or 0)):
        yield _page(page)


def fetch_one(client: GrandShootingClient, key: str) -> Page:
    """One reference anew by its ``ref``."""
    page = client.by_refs([key])
    return Page(page.body, SOURCE, page.request)


def revive(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """A ``ref`` deleted and made again gets a higher id; then it is alive, whatever our tombstone's time says."""
    rows = connection.execute(
        "SELECT ref, reference_id, version FROM grand_shooting.references"
        " WHERE account = %s AND ref = ANY(%s) AND deleted_at IS NOT NULL",
        [context.account, [record.key[0] for record in records]],
    ).fetchall()
    buried = {ref: (reference_id or 0, version) for ref, reference_id, version in rows}
    for record in records:
        reference_id, version = buried.get(record.key[0], (None, None))
        if reference_id is not None and record.row["reference_id"] > reference_id and record.version <= version:
            record.version = version + timedelta(microseconds=1)
    return records


def note_changes(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Turns what this transaction wrote into one task per followed link."""
    rows = connection.execute(
        "SELECT ref FROM grand_shooting.references WHERE account = %s AND ref = ANY(%s) AND synced_at = %s AND run_id = %s",
        [context.account, [record.key[0] for record in records], context.now, context.run_id],
    ).fetchall()
    spread(connection, context.account, [ref for (ref,) in rows])


def _page(page: ReferencePage) -> Page:
    return Page(page.body, SOURCE, page.request, None if page.is_last else str(page.last_id))


def start_of(settings: Any) -> datetime:
    """Where the history of the mirror begins."""
    return datetime.combine(settings.start, datetime.min.time(), UTC)


REFERENCES: Stream[GrandShootingClient] = Stream(
    key="grand_shooting/references",
    table=references,
    description="The main account's catalogue as last read, the source of every replica.",
    records=split,
    parse=parse,
    key_of=key_of,
    changed=changed,
    everything=everything,
    fetch_one=fetch_one,
    before_store=revive,
    after_store=note_changes,
    reconciling=Reconciling(listed_by=("changed_at", "version")),
    overlap=A_DAY,
    slice=timedelta(days=36_500),
    freshness=timedelta(hours=2),
    sweeps=(Sweep("nightly", "30 1 * * *", timedelta(days=7)),),
    deletes=DeletePolicy(found_by=Deletes.ABSENT, confirmations=2, brake_share=0.2, brake_rows=1_000),
    max_runtime=timedelta(hours=2),
)

STREAMS = (REFERENCES,)
