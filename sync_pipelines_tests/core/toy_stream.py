"""A vendor small enough to think about: numbered things with a change time, served in pages, and the stream that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from sync_pipelines.core import tables
from sync_pipelines.core.db import Database
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.stream import DeletePolicy, Deletes, Page, ParseContext, Stream
from sync_pipelines.core.tables import child_table, vendor_table
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _declare() -> tuple[Table, Table]:
    """Declares the tables outside of the product's metadata, so that migrations do not expect them."""
    kept, tables.metadata = tables.metadata, MetaData()
    try:
        things = vendor_table(
            "toy",
            "things",
            key=[Column("thing_id", Text)],
            columns=[Column("name", Text), Column("count", Integer)],
            comment="Things",
        )
        parts = child_table(
            things, "parts", key=[Column("part_id", Text)], columns=[Column("colour", Text)], comment="Parts of things"
        )
    finally:
        tables.metadata = kept
    return things, parts


THINGS, PARTS = _declare()


def create_tables(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA toy")
        for table in (THINGS, PARTS):
            connection.execute(str(CreateTable(table).compile(dialect=postgresql.dialect())))  # type: ignore[no-untyped-call]


class Thing(BaseModel):
    id: str
    changed_at: datetime
    name: str
    count: int
    parts: list[dict[str, str]] = []


@dataclass
class ToyVendor:
    """The truth, and a client that reads it page by page."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_size: int = 3
    stats: CallStats = field(default_factory=CallStats)
    before_page: Callable[[int], None] = lambda _: None
    pages_served: int = 0

    def put(self, thing_id: str, *, minute: int, name: str = "thing", count: Any = 1, parts: dict[str, str] | None = None) -> None:
        self.things[thing_id] = {
            "id": thing_id,
            "changed_at": (NOON + timedelta(minutes=minute)).isoformat(),
            "name": name,
            "count": count,
            "parts": [{"part_id": key, "colour": colour} for key, colour in (parts or {}).items()],
        }

    def page(self, things: list[dict[str, Any]], token: str | None) -> Iterator[Page]:
        position = int(token or 0)
        while True:
            self.before_page(self.pages_served)
            self.pages_served += 1
            body = msgspec.json.encode({"things": things[position : position + self.page_size]})
            position += self.page_size
            following = str(position) if position < len(things) else None
            yield Page(body, "toy", f"GET /things?from={position}", following)
            if following is None:
                return

    def changed(self, window: Window, token: str | None) -> Iterator[Page]:
        inside = [
            thing for thing in self.things.values() if window.start <= datetime.fromisoformat(thing["changed_at"]) < window.end
        ]
        return self.page(sorted(inside, key=lambda thing: (thing["changed_at"], thing["id"])), token)

    def everything(self, token: str | None) -> Iterator[Page]:
        return self.page(sorted(self.things.values(), key=lambda thing: str(thing["id"])), token)


class _Envelope(msgspec.Struct):
    things: list[msgspec.Raw]


def _records(body: bytes, _source: str) -> list[bytes]:
    return [bytes(raw) for raw in msgspec.json.decode(body, type=_Envelope).things]


def _parse(raw: bytes, _context: ParseContext) -> Record:
    thing = Thing.model_validate_json(raw)
    row = {"name": thing.name, "count": thing.count}
    return Record((thing.id,), thing.changed_at, row, raw, {"parts": [dict(part) for part in thing.parts]})


def _key_of(raw: bytes, _source: str) -> str | None:
    key = msgspec.json.decode(raw).get("id")
    return None if key is None else str(key)


def toy_stream(*, is_windowed: bool = True, deletes: DeletePolicy | None = None, **options: Any) -> Stream[ToyVendor]:
    return Stream[ToyVendor](
        key="toy/things",
        table=THINGS,
        children=(PARTS,),
        description="Things.",
        records=_records,
        parse=_parse,
        key_of=_key_of,
        changed=(lambda vendor, window, token: vendor.changed(window, token)) if is_windowed else None,
        everything=lambda vendor, token: vendor.everything(token),
        deletes=deletes or DeletePolicy(Deletes.NEVER),
        overlap=options.pop("overlap", timedelta(minutes=5)),
        slice=options.pop("slice", timedelta(days=3650)),
        **options,
    )


def stored(database: Database) -> dict[str, tuple[str, int, dict[str, str]]]:
    """Living things with their parts."""
    with database.connect() as connection:
        parts: dict[str, dict[str, str]] = {}
        for thing, part, colour in connection.execute("SELECT thing_id, part_id, colour FROM toy.parts").fetchall():
            parts.setdefault(thing, {})[part] = colour
        rows = connection.execute("SELECT thing_id, name, count FROM toy.things WHERE deleted_at IS NULL").fetchall()
    return {key: (name, count, parts.get(key, {})) for key, name, count in rows}


def truth(vendor: ToyVendor) -> dict[str, tuple[str, int, dict[str, str]]]:
    return {
        key: (thing["name"], thing["count"], {part["part_id"]: part["colour"] for part in thing["parts"]})
        for key, thing in vendor.things.items()
    }
