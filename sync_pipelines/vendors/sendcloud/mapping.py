"""How SendCloud's payloads become rows: orders from v3, orders and parcels from v2, parcels from v3 shipments."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

import msgspec

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.stream import ParseContext
from sync_pipelines.core.upsert import Record
from sync_pipelines.vendors.sendcloud.fields import EPOCH
from sync_pipelines.vendors.sendcloud.models import Order, OrderItem, Shipment, ShipmentParcel
from sync_pipelines.vendors.sendcloud.tables import UNKNOWN_INTEGRATION
from sync_pipelines.vendors.sendcloud.v2_models import V2Parcel, V2ParcelItem
from sync_pipelines.vendors.sendcloud.vocabulary import v2_code, wms_status

V3, V3_HINT, V2, V3_SHIPMENTS = "v3", "v3+shipments", "v2", "v3-shipments"
"""Sources of archived pages: orders, orders re-read because a shipment changed, v2 parcels, v3 shipments."""


T = TypeVar("T")

_V2_YIELDS = timedelta(microseconds=1)
"""v2 tells whole seconds and fewer fields: of the same second's state, v3's is kept."""


class OrderWithShipments(msgspec.Struct):
    """An order re-read because shipments of it changed, with those shipments."""

    order: msgspec.Raw
    shipments: list[msgspec.Raw]


class ShippedParcel(msgspec.Struct):
    """One parcel together with the shipment it belongs to."""

    shipment: msgspec.Raw
    parcel: msgspec.Raw


class _Data(msgspec.Struct):
    data: list[msgspec.Raw]


class _Parcels(msgspec.Struct):
    parcels: list[msgspec.Raw]


class _Key(msgspec.Struct):
    id: int | str | None = None
    order_id: str | None = None
    order_number: str | None = None


class _ShipmentParcels(msgspec.Struct):
    parcels: list[msgspec.Raw] | None = None


def split_orders(body: bytes, source: str) -> list[bytes]:
    """The orders (or v2 parcels) of an archived page."""
    return _split(body, _Parcels if source == V2 else _Data)


def split_parcels(body: bytes, source: str) -> list[bytes]:
    """The parcels of an archived page; each v3 parcel takes its shipment with it."""
    if source == V2:
        return _split(body, _Parcels)
    parcels: list[bytes] = []
    for shipment in _split(body, _Data):
        for parcel in _decode(shipment, _ShipmentParcels).parcels or []:
            parcels.append(msgspec.json.encode(ShippedParcel(msgspec.Raw(shipment), parcel)))  # noqa: PERF401
    return parcels


def order_key_of(raw: bytes, source: str) -> str | None:
    """What an order that cannot be read is known by."""
    try:
        if source == V3_HINT:
            raw = bytes(msgspec.json.decode(raw, type=OrderWithShipments).order)
        key = msgspec.json.decode(raw, type=_Key)
    except msgspec.MsgspecError:
        return None
    return key.order_id or key.order_number or (None if key.id is None else str(key.id))


def parcel_key_of(raw: bytes, source: str) -> str | None:
    """What a parcel that cannot be read is known by."""
    try:
        if source == V3_SHIPMENTS:
            raw = bytes(msgspec.json.decode(raw, type=ShippedParcel).parcel)
        key = msgspec.json.decode(raw, type=_Key)
    except msgspec.MsgspecError:
        return None
    return None if key.id is None else str(key.id)


def parse_order(raw: bytes, context: ParseContext) -> Record:
    """An order from any source; v2 and re-read orders carry their parcels in ``extra``."""
    if context.source == V2:
        return _order_of_v2_parcel(raw, context)
    parcels: list[Record] = []
    if context.source == V3_HINT:
        pair = _decode(raw, OrderWithShipments)
        raw = bytes(pair.order)
        body = msgspec.json.encode({"data": pair.shipments})
        inner = ParseContext(context.account, V3_SHIPMENTS, context.received_at, context.settings)
        parcels = [parse_parcel(parcel, inner) for parcel in split_parcels(body, V3_SHIPMENTS)]
    order = Order.parse(raw)
    details, payment, address = order.order_details, order.payment_details, order.shipping_address
    mapped = wms_status(details.status.code, context.settings.wms_status)
    return Record(
        key=(order.order_id, details.integration.id),
        version=order.modified_at,
        row={
            "sendcloud_id": int(order.id),
            "order_number": order.order_number,
            "status": details.status.code,
            "status_message": details.status.message,
            "order_wms_status": mapped,
            "payment_status": payment.status.code if payment.status else None,
            "total_amount": payment.total_price.value,
            "currency": payment.total_price.currency,
            "delivery_indicator": order.shipping_details.delivery_indicator if order.shipping_details else None,
            "customer_name": address.name if address else None,
            "customer_email": address.email if address else None,
            "ship_to_country": address.country_code if address else None,
            "ship_to_postal_code": address.postal_code if address else None,
            "ship_to_city": address.city if address else None,
            "order_created_at": details.order_created_at,
            "order_updated_at": details.order_updated_at,
            "modified_at": order.modified_at,
            "source": V3,
        },
        raw=raw,
        children={"order_items": [_item(item, position) for position, item in enumerate(details.order_items)]},
        extra=parcels,
        unknown=() if mapped else (f"orders.status={details.status.code}",),
    )


def parse_parcel(raw: bytes, context: ParseContext) -> Record:
    """A parcel from v3 shipments or v2."""
    if context.source == V2:
        return v2_parcel(V2Parcel.parse(raw), raw, context)
    pair = _decode(raw, ShippedParcel)
    shipment, parcel = Shipment.parse(bytes(pair.shipment)), ShipmentParcel.parse(bytes(pair.parcel))
    mapped = wms_status(parcel.status.code, context.settings.wms_status)
    total = shipment.total_order_price
    label = next((document.link for document in parcel.documents if document.kind == "label"), None)
    return Record(
        key=(parcel.id,),
        version=parcel.updated_at or parcel.announced_at or parcel.created_at or EPOCH,
        row={
            "shipment_id": shipment.id,
            "order_number": shipment.order_number,
            "external_reference_id": shipment.external_reference_id,
            "status_code": parcel.status.code,
            "status_message": parcel.status.message,
            "wms_status": mapped,
            "tracking_number": parcel.tracking_number,
            "tracking_url": parcel.tracking_url,
            "carrier": shipment.carrier.code if shipment.carrier else None,
            "shipping_option": shipment.ship_with.option if shipment.ship_with else None,
            "weight_kg": parcel.weight.kilograms if parcel.weight else None,
            "label_url": label,
            "total_amount": total.value if total else None,
            "currency": total.currency if total else None,
            "parcel_created_at": parcel.created_at,
            "announced_at": parcel.announced_at,
            "errors": [fault.detail or fault.code or "" for fault in shipment.errors] or None,
            "source": "v3",
        },
        raw=bytes(pair.parcel),
        unknown=() if mapped else (f"parcels.status={parcel.status.code}",),
    )


def _order_of_v2_parcel(raw: bytes, context: ParseContext) -> Record:
    parcel = V2Parcel.parse(raw)
    record = v2_parcel(parcel, raw, context)
    currency = parcel.total_order_value_currency
    return Record(
        key=(parcel.external_order_id or parcel.order_number or f"parcel:{parcel.id}", UNKNOWN_INTEGRATION),
        version=record.version,
        row={
            "order_number": parcel.order_number,
            "status": record.row["status_code"],
            "status_message": parcel.status.message,
            "order_wms_status": record.row["wms_status"],
            "total_amount": parcel.total_order_value,
            "currency": currency,
            "delivery_indicator": parcel.shipping_method_checkout_name,
            "ship_to_country": parcel.country.iso_2 if parcel.country else None,
            "order_created_at": parcel.date_created,
            "modified_at": parcel.date_updated,
            "source": V2,
        },
        raw=raw,
        children={"order_items": [_v2_item(item, position, currency) for position, item in enumerate(parcel.parcel_items)]},
        extra=[record],
        unknown=record.unknown,
    )


def v2_parcel(parcel: V2Parcel, raw: bytes, context: ParseContext) -> Record:
    """A v2-shaped parcel, from v2 lists or webhooks."""
    code = v2_code(parcel.status.id)
    mapped = wms_status(code, context.settings.wms_status)
    return Record(
        key=(parcel.id,),
        version=(parcel.date_updated or parcel.date_announced or parcel.date_created) - _V2_YIELDS,
        row={
            "shipment_id": parcel.shipment_uuid,
            "order_number": parcel.order_number,
            "order_id": parcel.external_order_id,
            "external_reference_id": parcel.external_reference,
            "status_code": code,
            "status_message": parcel.status.message,
            "wms_status": mapped,
            "tracking_number": parcel.tracking_number,
            "tracking_url": parcel.tracking_url,
            "carrier": parcel.carrier.code if parcel.carrier else None,
            "shipping_method": parcel.shipment.name if parcel.shipment else None,
            "weight_kg": parcel.weight,
            "label_url": parcel.label_url,
            "is_return": parcel.is_return,
            "total_amount": parcel.total_order_value,
            "currency": parcel.total_order_value_currency,
            "parcel_created_at": parcel.date_created,
            "announced_at": parcel.date_announced,
            "source": V2,
        },
        raw=raw,
        unknown=() if mapped else (f"parcels.status={code}",),
    )


def _item(item: OrderItem, position: int) -> dict[str, object]:
    price = item.unit_price or item.total_price
    return {
        "item_id": item.item_id or f"#{position}",
        "product_id": item.product_id,
        "variant_id": item.variant_id,
        "sku": item.sku,
        "ean": item.ean,
        "name": item.name,
        "description": item.description,
        "quantity": item.quantity,
        "unit_price": item.unit_price.value if item.unit_price else None,
        "total_price": item.total_price.value if item.total_price else None,
        "currency": price.currency if price else None,
        "hs_code": item.hs_code,
        "country_of_origin": item.country_of_origin,
        "weight_kg": item.measurement.kilograms if item.measurement else None,
        "image_url": item.image_url,
    }


def _v2_item(item: V2ParcelItem, position: int, currency: str | None) -> dict[str, object]:
    return {
        "item_id": item.item_id or f"#{position}",
        "product_id": item.product_id,
        "sku": item.sku,
        "name": item.description,
        "quantity": item.quantity,
        "unit_price": item.value,
        "currency": currency,
        "hs_code": item.hs_code,
        "country_of_origin": item.origin_country,
        "weight_kg": item.weight,
    }


def _split(body: bytes, envelope: type[_Data] | type[_Parcels]) -> list[bytes]:
    page = _decode(body, envelope)
    return [bytes(item) for item in (page.data if isinstance(page, _Data) else page.parcels)]


def _decode(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise ContractError("SendCloud answered a page without its list of records", body=raw[:2000]) from error
