"""AliExpress as a supplier: one call brings a whole product, so every feed reads the same method and keeps its own part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.budget import Budget
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.upsert import Record, content_hash
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers import facts
from sync_pipelines.vendors.suppliers.aliexpress import envelopes, models
from sync_pipelines.vendors.suppliers.aliexpress.client import PRODUCT_GET, AliExpressClient, buckets, open_http
from sync_pipelines.vendors.suppliers.aliexpress.tokens import tokens_of
from sync_pipelines.vendors.suppliers.connector import Connector, Feed, Kind, OrderMapping, Origin, Reach
from sync_pipelines.vendors.suppliers.status import CommonStatus

STATUSES = {
    "PLACE_ORDER_SUCCESS": CommonStatus.UNPAID,
    "PAYMENT_PROCESSING": CommonStatus.PLACED,
    "WAIT_SELLER_EXAMINE_MONEY": CommonStatus.PLACED,
    "RISK_CONTROL": CommonStatus.PLACED,
    "RISK_CONTROL_HOLD": CommonStatus.PLACED,
    "FUND_PROCESSING": CommonStatus.PLACED,
    "WAIT_GROUP": CommonStatus.PLACED,
    "WAIT_COMPLETE_ADDRESS": CommonStatus.PLACED,
    "WAIT_SELLER_SEND_GOODS": CommonStatus.PROCESSING,
    "SELLER_PART_SEND_GOODS": CommonStatus.PARTLY_SHIPPED,
    "WAIT_BUYER_ACCEPT_GOODS": CommonStatus.SHIPPED,
    "FINISH": CommonStatus.DELIVERED,
    "IN_CANCEL": CommonStatus.CANCELLED,
}


def result(body: bytes) -> dict[str, Any] | None:
    """The product inside an answer; ``None`` if the answer says that it is gone."""
    inner = envelopes.payload(decode_json(body), PRODUCT_GET)
    found = inner.get("result")
    return found if isinstance(found, dict) and "ae_item_base_info_dto" in found else None


def whole(body: bytes) -> Sequence[bytes]:
    """The product as one record, free of its envelope."""
    found = result(body)
    return [encode_json(found)] if found else []


def by_sku(body: bytes) -> Sequence[bytes]:
    """Each SKU with its product's id."""
    found = result(body)
    if not found:
        return []
    number = str(found["ae_item_base_info_dto"]["product_id"])
    return [encode_json({"product_id": number, "sku": sku}) for sku in envelopes.items(found.get("ae_item_sku_info_dtos"))]


def product(raw: bytes, origin: Origin) -> Record:
    """The product; its texts, images, SKUs, stock and prices go to their own tables with it."""
    found = models.Product.model_validate_json(raw)
    base, at, language = found.base, origin.received_at, origin.settings.language
    record = facts.product(
        base.product_id,
        raw=raw,
        at=at,
        taxonomy_id=base.category_id,
        scope=base.product_id,
        status=base.status,
        weight_kg=found.package.gross_weight,
        rating=base.rating,
        rating_count=base.rating_count,
        sold=base.sold,
    )
    units = [encode_json({"product_id": base.product_id, "sku": sku}) for sku in found.skus]
    urls = [url for url in found.media.image_urls.split(";") if url]
    texts = {"name": base.subject, "description": base.detail}
    record.extra = {
        "product_information": [
            facts.information(base.product_id, language, raw=encode_json(texts), at=at, name=base.subject, description=base.detail)
        ],
        "product_images": [facts.images(base.product_id, urls, raw=encode_json({"image_urls": urls}), at=at)],
        "variants": [variant(unit, origin) for unit in units],
        "stock": [stock(unit, origin) for unit in units],
        "prices": [price(unit, origin) for unit in units],
    }
    return record


def variant(raw: bytes, origin: Origin) -> Record:
    """One SKU; ``sku_id`` is what orders name."""
    product_id, sku = _unit(raw)
    record = facts.variant(
        product_id,
        sku.sku_id,
        raw=raw,
        at=origin.received_at,
        sku=sku.sku_id,
        ean=sku.ean or None,
        scope=product_id,
        options={part.name: part.value for part in sku.properties},
        order_code=sku.sku_attr or "",
    )
    record.content_hash = _hash(sku.sku_id, sku.sku_attr, sku.ean, [(part.name, part.value) for part in sku.properties])
    return record


def stock(raw: bytes, origin: Origin) -> Record:
    """The units of one SKU."""
    product_id, sku = _unit(raw)
    record = facts.stock(
        sku.sku_id,
        raw=raw,
        at=origin.received_at,
        kind=facts.VARIANT,
        product_id=product_id,
        variant_id=sku.sku_id,
        rows=[{"quantity": sku.stock, "min_days": 0, "max_days": 0, "warehouse": 0}],
        scope=product_id,
    )
    record.content_hash = _hash(sku.stock)
    return record


def price(raw: bytes, origin: Origin) -> Record:
    """The pay price of one SKU in the currency the answer names, which may not be the one asked for."""
    product_id, sku = _unit(raw)
    record = facts.price(
        sku.sku_id,
        raw=raw,
        at=origin.received_at,
        kind=facts.VARIANT,
        product_id=product_id,
        variant_id=sku.sku_id,
        cost=sku.sale_price,
        currency=sku.currency,
        scope=product_id,
        recommended=sku.list_price,
        includes_tax=sku.includes_tax,
    )
    record.content_hash = _hash(sku.sale_price, sku.list_price, sku.currency, sku.includes_tax)
    return record


def order(raw: bytes, origin: Origin) -> Record:
    """An order; a line that ended says why, while its order may still look live."""
    wrapped = decode_json(raw)
    found = models.Order.model_validate(wrapped["order"])
    common = STATUSES.get(found.status, CommonStatus.UNKNOWN)
    if found.lines and all(line.end_reason and "CANCEL" in line.end_reason.upper() for line in found.lines):
        common = CommonStatus.CANCELLED
    lines = [
        {
            "line": number + 1,
            "sku": line.sku_id,
            "supplier_product_id": line.product_id,
            "quantity": line.count,
            "price": line.price.amount if line.price else None,
            "currency": line.price.currency if line.price else None,
            "end_reason": line.end_reason,
        }
        for number, line in enumerate(found.lines)
    ]
    columns = {
        "status": found.status,
        "common_status": str(common),
        "logistics_status": found.logistics_status,
        "total": found.total.amount if found.total else None,
        "currency": found.total.currency if found.total else None,
    }
    unknown = (f"status={found.status}",) if common is CommonStatus.UNKNOWN else ()
    return Record((str(wrapped["order_id"]),), origin.received_at, columns, raw, children={"order_lines": lines}, unknown=unknown)


def tracking(order_raw: bytes, tracking_raw: bytes | None, origin: Origin) -> list[Record]:
    """One row a parcel with its newest event; the order's own numbers, which may be provisional, until tracking knows them."""
    wrapped = decode_json(order_raw)
    order_id = str(wrapped["order_id"])
    parcels: list[models.Parcel] = []
    if tracking_raw is not None:
        parcels = models.TrackingData.model_validate(decode_json(tracking_raw)["data"]).parcels
    known = {parcel.number for parcel in parcels}
    announced = [shipment for shipment in models.Order.model_validate(wrapped["order"]).shipments if shipment.number not in known]
    return [_parcel(order_id, parcel, origin) for parcel in parcels] + [
        Record((order_id, shipment.number), origin.received_at, {"carrier": shipment.service}, shipment.model_dump_json().encode())
        for shipment in announced
    ]


def _parcel(order_id: str, parcel: models.Parcel, origin: Origin) -> Record:
    nodes = sorted(parcel.nodes, key=lambda node: node.at, reverse=True)
    columns: dict[str, Any] = {"carrier": parcel.carrier, "events": [node.model_dump() for node in nodes]}
    if nodes:
        columns |= {"status": nodes[0].name, "status_at": datetime.fromtimestamp(nodes[0].at / 1000, UTC)}
    return Record((order_id, parcel.number), origin.received_at, columns, parcel.model_dump_json().encode())


def _unit(raw: bytes) -> tuple[str, models.Sku]:
    wrapped = decode_json(raw)
    return str(wrapped["product_id"]), models.Sku.model_validate(wrapped["sku"])


def _hash(*parts: object) -> bytes:
    return content_hash(repr(parts).encode())


def connect(context: AccountContext) -> AliExpressClient:
    """Opens the client of an account."""
    budget = Budget(context.database, context.id, context.lane, buckets(context.settings))
    http = open_http(account=context.id, base_url=context.base_url, budget=budget)
    return AliExpressClient(
        http,
        tokens_of(context),
        app_key=context.credentials["app_key"],
        app_secret=context.credentials["app_secret"],
        settings=context.settings,
    )


def _feed(table: str, split: Callable[[bytes], Sequence[bytes]], parse: Callable[[bytes, Origin], Record]) -> Feed:
    return Feed("product.get", table, split, parse, reach=Reach.SINGLE)


CONNECTOR = Connector(
    name="aliexpress",
    open=connect,
    feeds=(
        _feed("products", whole, product),
        _feed("variants", by_sku, variant),
        _feed("stock", by_sku, stock),
        _feed("prices", by_sku, price),
    ),
    kinds={
        Kind.INVENTORY_UPDATE: ("stock",),
        Kind.PRICE_UPDATE: ("prices",),
        Kind.ORDER_SYNC: ("orders",),
        Kind.SUPPLIER_API: ("products",),
    },
    orders=OrderMapping(order, tracking),
)
