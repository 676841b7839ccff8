"""The suppliers' streams: one for each table, the same for every supplier; a page's source says which connector understands it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import Json, decode_json
from sync_pipelines.core.personal import Personal
from sync_pipelines.core.stream import DeletePolicy, Deletes, ParseContext, Reconciling, Stream
from sync_pipelines.core.upsert import Record
from sync_pipelines.vendors.suppliers import session, storing, tables
from sync_pipelines.vendors.suppliers.connector import OrderMapping, Origin
from sync_pipelines.vendors.suppliers.connectors import CONNECTORS
from sync_pipelines.vendors.suppliers.session import Session

DESCRIPTIONS = {
    "products": ("Products of every supplier, with price and stock where they come along.", timedelta(hours=36)),
    "product_information": ("Names and descriptions of products by language.", timedelta(hours=36)),
    "product_images": ("Images of products.", timedelta(hours=36)),
    "variants": ("Variants of products and what one orders them by.", timedelta(hours=36)),
    "variant_attributes": ("Attributes that tell variants apart.", timedelta(days=3)),
    "taxonomies": ("Product groups.", timedelta(days=3)),
    "manufacturers": ("Makers of products.", timedelta(days=3)),
    "attributes": ("Attributes and attribute groups.", timedelta(days=3)),
    "stock": ("Units on hand by SKU, as the supplier last said; ageing and brake are in suppliers.offers.", timedelta(hours=6)),
    "prices": ("Purchase prices by SKU.", timedelta(hours=12)),
}

GONE = DeletePolicy(Deletes.ABSENT, confirmations=2, brake_share=0.10, brake_rows=1500)
"""Two whole scans must miss a row. A list that lost a tenth of its rows is rather broken than true."""

MAX_RUNTIME = timedelta(hours=1)
"""A run ends by itself when the windows of its lists are used up; reading what they allow takes minutes."""


def _records(table: str, body: bytes, source: str) -> Sequence[bytes]:
    return session.records(body, source, table, CONNECTORS)


def _parse(table: str, raw: bytes, context: ParseContext) -> Record:
    supplier, feed, scope = context.source.split("/", 2)
    record = CONNECTORS[supplier].by_name[feed, table].parse(raw, Origin(scope, context.received_at, context.settings))
    for known in (record, *(extra for extras in (record.extra or {}).values() for extra in extras)):
        if "quantity" in known.row or "cost" in known.row:
            known.row["feed"] = feed
    return record


def _key_of(raw: bytes, source: str) -> str | None:
    del source
    row: Json = decode_json(raw)
    if not isinstance(row, dict):
        return None
    found = row.get("id") or row.get("product_id") or row.get("sku")
    return str(found) if found else None


def _stream(table: str) -> Stream[Session]:
    description, freshness = DESCRIPTIONS[table]
    return Stream(
        key=f"suppliers/{table}",
        table=tables.BY_NAME[table],
        description=description,
        records=partial(_records, table),
        parse=partial(_parse, table),
        key_of=_key_of,
        everything=lambda reading, token: reading.read(table, token),
        before_store=storing.BEFORE.get(table),
        after_store=storing.AFTER.get(table),
        version_is_read_time=True,
        cron=None,
        freshness=freshness,
        deletes=GONE,
        reconciling=Reconciling(
            every=timedelta(days=7), read=lambda reading, _, token: reading.read(table, token, is_stored=False)
        ),
        max_runtime=MAX_RUNTIME,
    )


class _Asked(msgspec.Struct):
    """A page of `Session.read_orders`; split by parcel, ``parcel`` says which."""

    request: int
    order: msgspec.Raw
    tracking: msgspec.Raw
    parcel: int = 0


_asked = msgspec.json.Decoder(_Asked)


def _order_records(body: bytes, source: str) -> Sequence[bytes]:
    if source.split("/", 2)[1] == session.END or bytes(_asked.decode(body).order) == b"null":
        return []
    return [body]


def _parse_order(raw: bytes, context: ParseContext) -> Record:
    order_raw, tracking_raw, connector, origin = _order_parts(raw, context)
    record = connector.order(order_raw, origin)
    record.extra = {"order_tracking": connector.tracking(order_raw, tracking_raw, origin)}
    return record


def _tracking_records(body: bytes, source: str) -> Sequence[bytes]:
    """One record a parcel: the whole answer with the parcel's place in it."""
    asked = _asked.decode(body) if _order_records(body, source) else None
    if asked is None:
        return []
    return [msgspec.json.encode(msgspec.structs.replace(asked, parcel=place)) for place in range(_parcels(body, source))]


def _parse_parcel(raw: bytes, context: ParseContext) -> Record:
    order_raw, tracking_raw, connector, origin = _order_parts(raw, context)
    return connector.tracking(order_raw, tracking_raw, origin)[_asked.decode(raw).parcel]


def _parcels(raw: bytes, source: str) -> int:
    context = ParseContext("", source, datetime.now(UTC), None)
    order_raw, tracking_raw, connector, origin = _order_parts(raw, context)
    return len(connector.tracking(order_raw, tracking_raw, origin))


def _order_parts(raw: bytes, context: ParseContext) -> tuple[bytes, bytes | None, OrderMapping, Origin]:
    connector = CONNECTORS[context.source.split("/", 2)[0]]
    if connector.orders is None:
        raise DataError(f"{connector.name} has no orders to follow")
    asked = _asked.decode(raw)
    tracking = bytes(asked.tracking)
    origin = Origin("order", context.received_at, context.settings)
    return bytes(asked.order), None if tracking == b"null" else tracking, connector.orders, origin


RECIPIENT = Personal(
    # BigBuy's order; AliExpress' under ``order``, which today names no recipient (facts §7)
    fields=("shippingAddress", "order.logistics_address", "order.receipt_address", "order.contact_person"),
    days=lambda settings: settings.personal_data_days,
)

ORDERS: Stream[Session] = Stream(
    key="suppliers/orders",
    table=tables.orders,
    children=(tables.order_lines,),
    description="Supplier orders that are followed (suppliers.order_requests): status, lines, and their parcels.",
    records=_order_records,
    parse=_parse_order,
    key_of=lambda raw, source: source.rsplit("/", 1)[-1],
    everything=lambda reading, token: reading.read_orders(token),
    after_store=storing.AFTER["orders"],
    personal=RECIPIENT,
    reconciling=None,
    version_is_read_time=True,
    cron=None,
    freshness=timedelta(hours=6),
)

ORDER_TRACKING: Stream[Session] = Stream(
    key="suppliers/order_tracking",
    table=tables.order_tracking,
    description="Parcels of supplier orders; comes along with suppliers/orders, or by itself.",
    records=_tracking_records,
    parse=_parse_parcel,
    key_of=lambda raw, source: source.rsplit("/", 1)[-1],
    everything=lambda reading, token: reading.read_orders(token),
    personal=RECIPIENT,
    reconciling=None,
    version_is_read_time=True,
    cron=None,
    freshness=timedelta(hours=6),
)

STREAMS: dict[str, Stream[Session]] = {
    **{table: _stream(table) for table in DESCRIPTIONS},
    "orders": ORDERS,
    "order_tracking": ORDER_TRACKING,
}
