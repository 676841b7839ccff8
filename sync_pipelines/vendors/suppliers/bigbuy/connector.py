"""BigBuy as a supplier: nine lists by taxonomy, three small ones, orders by id or reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from sync_pipelines.core.budget import Budget
from sync_pipelines.core.upsert import Record, content_hash
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers import facts
from sync_pipelines.vendors.suppliers.bigbuy import models
from sync_pipelines.vendors.suppliers.bigbuy.client import BUCKETS, BY_TAXONOMY, HOURLY, BigBuyClient, open_http
from sync_pipelines.vendors.suppliers.connector import Connector, Feed, Kind, OrderMapping, Origin
from sync_pipelines.vendors.suppliers.status import CommonStatus

CURRENCY = "EUR"
ZONE = ZoneInfo("Europe/Madrid")
"""BigBuy's seat; its naive times name no zone. They are shown, never used as a version."""

STATUSES = {
    "Pending payment": CommonStatus.UNPAID,
    "Pending validation": CommonStatus.PLACED,
    "In process": CommonStatus.PROCESSING,
    "Sent": CommonStatus.SHIPPED,
    "Delivered": CommonStatus.DELIVERED,
    "Cancelled": CommonStatus.CANCELLED,
}
"""BigBuy documents no list of names; these come from its help pages. Others are stored as they are, mapped to ``unknown``."""

_rows = msgspec.json.Decoder(list[msgspec.Raw])


def split(body: bytes) -> Sequence[bytes]:
    """The rows of a list."""
    return [bytes(row) for row in _rows.decode(body)]


def product(raw: bytes, origin: Origin) -> Record:
    """A row of ``products``; its price comes along at no extra call."""
    row = models.Product.model_validate_json(raw)
    record = facts.product(
        row.id,
        raw=raw,
        at=origin.received_at,
        sku=row.sku,
        ean=row.ean13,
        manufacturer_id=row.manufacturer,
        taxonomy_id=row.taxonomy,
        scope=origin.scope,
        status="active" if row.active else "inactive",
        condition=row.condition,
        weight_kg=row.weight,
        vat_rate=row.tax_rate,
        vendor_updated_at=instant(row.updated),
    )
    record.extra = {"prices": [_price(row.sku, facts.PRODUCT, row.id, None, row, raw, origin)]}
    return record


def information(raw: bytes, origin: Origin) -> Record:
    """A row of ``productsinformation``."""
    row = models.Information.model_validate_json(raw)
    return facts.information(
        row.id, row.language, raw=raw, at=origin.received_at, name=row.name, description=row.description, url=row.url
    )


def images(raw: bytes, origin: Origin) -> Record:
    """A row of ``productsimages``."""
    row = models.Images.model_validate_json(raw)
    cover = next((image.url for image in row.images if image.is_cover), None)
    return facts.images(row.id, [image.url for image in row.images], raw=raw, at=origin.received_at, cover=cover)


def variation(raw: bytes, origin: Origin) -> Record:
    """A row of ``productsvariations``, with its price."""
    row = models.ProductVariation.model_validate_json(raw)
    record = facts.variant(row.product, row.id, raw=raw, at=origin.received_at, sku=row.sku, ean=row.ean13, scope=origin.scope)
    record.extra = {"prices": [_price(row.sku, facts.VARIANT, row.product, row.id, row, raw, origin)]}
    return record


def attributes_of_variation(raw: bytes, origin: Origin) -> Record:
    """A row of ``variations``."""
    row = models.VariationAttributes.model_validate_json(raw)
    return Record((row.id,), origin.received_at, {"attribute_ids": [str(item["id"]) for item in row.attributes]}, raw)


def price(kind: str) -> Callable[[bytes, Origin], Record]:
    """A row of ``productprices`` or ``productvariationprices``."""

    def parse(raw: bytes, origin: Origin) -> Record:
        row = models.PriceRow.model_validate_json(raw)
        product_id, variant_id = (row.id, None) if kind == facts.PRODUCT else (None, row.id)
        return _price(row.sku, kind, product_id, variant_id, row, raw, origin)

    return parse


def stock(kind: str) -> Callable[[bytes, Origin], Record]:
    """A row of either stock list; ``id`` is a variation's id in the variations' list."""

    def parse(raw: bytes, origin: Origin) -> Record:
        row = models.StockRow.model_validate_json(raw)
        return facts.stock(
            row.sku,
            raw=raw,
            at=origin.received_at,
            kind=kind,
            product_id=row.id if kind == facts.PRODUCT else None,
            variant_id=row.id if kind == facts.VARIANT else None,
            rows=[part.model_dump() for part in row.stocks],
            scope=origin.scope,
        )

    return parse


def taxonomy(raw: bytes, origin: Origin) -> Record:
    """A row of ``taxonomies``."""
    row = models.Taxonomy.model_validate_json(raw)
    parent = None if row.parent == "0" else row.parent
    return Record((row.id, row.language), origin.received_at, {"name": row.name, "parent_id": parent}, raw)


def manufacturer(raw: bytes, origin: Origin) -> Record:
    """A row of ``manufacturers``."""
    row = models.Manufacturer.model_validate_json(raw)
    return Record((row.id,), origin.received_at, {"name": row.name}, raw)


def attribute(kind: str) -> Callable[[bytes, Origin], Record]:
    """A row of ``attributes`` or ``attributegroups``."""

    def parse(raw: bytes, origin: Origin) -> Record:
        row = models.Attribute.model_validate_json(raw)
        return Record((kind, row.id, row.language), origin.received_at, {"name": row.name, "group_id": row.group}, raw)

    return parse


def order(raw: bytes, origin: Origin) -> Record:
    """``order/{id}``."""
    row = models.Order.model_validate_json(raw)
    common = STATUSES.get(row.status, CommonStatus.UNKNOWN)
    lines = [
        {"line": number + 1, "sku": line.reference, "quantity": line.quantity, "price": line.price, "currency": CURRENCY}
        for number, line in enumerate(row.products)
    ]
    columns = {
        "reference": row.reference,
        "status": row.status,
        "common_status": str(common),
        "placed_at": instant(row.placed),
        "total": row.total,
        "currency": CURRENCY,
    }
    unknown = (f"status={row.status}",) if common is CommonStatus.UNKNOWN else ()
    return Record((row.id,), origin.received_at, columns, raw, children={"order_lines": lines}, unknown=unknown)


def tracking(order_raw: bytes, tracking_raw: bytes | None, origin: Origin) -> list[Record]:
    """An element of ``tracking/orders``: one row a parcel."""
    del order_raw
    if tracking_raw is None:
        return []
    row = models.Tracking.model_validate_json(tracking_raw)
    return [
        Record(
            (row.id, parcel.number),
            origin.received_at,
            {"carrier": parcel.carrier.id if parcel.carrier else None, "status": parcel.status, "status_at": instant(parcel.at)},
            parcel.model_dump_json().encode(),
        )
        for parcel in row.trackings
    ]


def instant(naive: str | None) -> datetime | None:
    """A naive vendor time in `ZONE`; zero dates and gibberish are no time."""
    try:
        return datetime.fromisoformat(naive).replace(tzinfo=ZONE) if naive else None
    except ValueError:
        return None


def _price(
    sku: str, kind: str, product_id: str | None, variant_id: str | None, row: models.Prices, raw: bytes, origin: Origin
) -> Record:
    record = facts.price(
        sku,
        raw=raw,
        at=origin.received_at,
        kind=kind,
        product_id=product_id,
        variant_id=variant_id,
        cost=row.wholesale,
        currency=CURRENCY,
        scope=origin.scope,
        recommended=row.retail,
    )
    # Two lists tell the same price in different objects: only the price itself makes a record different.
    record.content_hash = content_hash(f"{row.wholesale}|{row.retail}".encode())
    return record


def connect(context: AccountContext) -> BigBuyClient:
    """Opens the client of an account."""
    budget = Budget(context.database, context.id, context.lane, BUCKETS)
    http = open_http(account=context.id, base_url=context.base_url, api_key=context.credentials["api_key"], budget=budget)
    return BigBuyClient(http, context.settings)


def _feed(name: str, table: str, parse: Callable[[bytes, Origin], Record]) -> Feed:
    return Feed(name, table, split, parse, limit=HOURLY[name], is_divided=name in BY_TAXONOMY)


CONNECTOR = Connector(
    name="bigbuy",
    open=connect,
    feeds=(
        _feed("taxonomies", "taxonomies", taxonomy),
        _feed("manufacturers", "manufacturers", manufacturer),
        _feed("attributegroups", "attributes", attribute("group")),
        _feed("attributes", "attributes", attribute("attribute")),
        _feed("products", "products", product),
        _feed("productsinformation", "product_information", information),
        _feed("productsimages", "product_images", images),
        _feed("productsvariations", "variants", variation),
        _feed("variations", "variant_attributes", attributes_of_variation),
        _feed("productsvariationsstockbyhandlingdays", "stock", stock(facts.VARIANT)),
        _feed("productsstockbyhandlingdays", "stock", stock(facts.PRODUCT)),
        _feed("productvariationprices", "prices", price(facts.VARIANT)),
        _feed("productprices", "prices", price(facts.PRODUCT)),
    ),
    kinds={
        Kind.INVENTORY_UPDATE: ("stock",),
        Kind.PRICE_UPDATE: ("prices",),
        Kind.ORDER_SYNC: ("orders",),
        Kind.SUPPLIER_API: (
            "taxonomies",
            "manufacturers",
            "attributes",
            "products",
            "variants",
            "product_information",
            "product_images",
            "variant_attributes",
        ),
    },
    orders=OrderMapping(order, tracking),
    scopes_kept=timedelta(hours=12),
)
