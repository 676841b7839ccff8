"""What is personal in a stream's records, and how long it may stay. Knows no database.

A stream declares it once (`Stream.personal`); storing leaves it out of records that are too old already, and the daily maintenance
erases it from what is stored (`erasures`). The content hash stays that of the vendor's whole record, so that reading an erased
record again finds nothing to change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.jsons import Json, decode_json, encode_json
from sync_pipelines.core.records import Record

PERSONAL_DATA_DAYS = 730
"""How long vendors' orders keep their persons unless the account says otherwise: the two years of the legal guarantee on goods
that are sold to consumers in the EU (Directive 2019/771, Article 10), in which a seller may have to know who bought what."""


@dataclass(frozen=True, kw_only=True)
class Personal:
    """What is personal in the rows of one stream.

    Attributes:
        columns: Columns of the row that are emptied.
        fields: Places in ``raw``, dotted (``order_details.notes``), that are taken out; ``None`` empties all of ``raw``.
        days: The account's setting: so many days after `since` it is erased; ``None`` keeps it as long as the row.
        since: The row's time that counts: its last change at the vendor, or when it was found deleted there.
        rule: The setting's name, for the record of what was erased.
    """

    columns: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = ()
    days: Callable[[Any], int | None]
    since: Literal["version", "deleted_at"] = "version"
    rule: str = "personal_data_days"

    def permitted(self, record: Record, settings: Any, now: datetime) -> Record:
        """The record as it may be stored at this time; its hash stays that of the whole one.

        Args:
            record: As the vendor tells it.
            settings: The account's settings model.
            now: Aware UTC.
        """
        days = self.days(settings)
        if days is None or self.since == "deleted_at" or record.version >= now - timedelta(days=days):
            return record
        record.digest()
        record.row |= {name: None for name in self.columns if name in record.row}
        record.raw = b"{}" if self.fields is None else encode_json(without(decode_json(record.raw), self.fields))
        return record


def without(value: Json, fields: Iterable[str]) -> Json:
    """A copy of an object without these places.

    >>> without({"id": 1, "name": "A", "details": {"notes": "b", "status": 2}}, ["name", "details.notes"])
    {'id': 1, 'details': {'status': 2}}
    """
    if not isinstance(value, dict):
        return value
    here, below = _split(fields)
    return {name: without(part, below[name]) if name in below else part for name, part in value.items() if name not in here}


def without_anywhere(value: Json, fields: Collection[str]) -> Json:
    """The same at every depth, for texts that wrap a record in something else; rather too much than too little.

    >>> without_anywhere({"parcel": {"id": 1, "name": "A"}, "all": [{"name": "B"}]}, ["name"])
    {'parcel': {'id': 1}, 'all': [{}]}
    """
    if isinstance(value, list):
        return [without_anywhere(part, fields) for part in value]
    cleaned = without(value, fields)
    return {name: without_anywhere(part, fields) for name, part in cleaned.items()} if isinstance(cleaned, dict) else cleaned


def text_without(text: bytes, fields: Collection[str] | None) -> bytes:
    """A JSON text without these places at any depth; what is no JSON, and everything if ``fields`` is ``None``, is emptied."""
    if fields is None:
        return b"{}"
    try:
        value = decode_json(text)
    except ContractError:
        return b"{}"
    cleaned = without_anywhere(value, fields)
    return text if cleaned == value else encode_json(cleaned)


def _split(fields: Iterable[str]) -> tuple[set[str], dict[str, list[str]]]:
    here: set[str] = set()
    below: dict[str, list[str]] = {}
    for field in fields:
        name, _, rest = field.partition(".")
        if rest:
            below.setdefault(name, []).append(rest)
        else:
            here.add(name)
    return here, below
