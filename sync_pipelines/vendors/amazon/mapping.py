"""From Amazon's payloads to rows: v0, 2026-01-01 and reports come out the same, so that switching between them rewrites nothing.

The version of an order is the second of its last change, because v0 tells no more; a report's row counts as a microsecond older
than an API's row of the same second, because it knows less. Rows are equal if their mapped columns are, whatever their source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.stream import ParseContext
from sync_pipelines.core.upsert import Record
from sync_pipelines.vendors.amazon import models
from sync_pipelines.vendors.amazon.privacy import may_keep_persons, without_persons
from sync_pipelines.vendors.amazon.settings import OrdersApi
from sync_pipelines.vendors.amazon.tables import PERSONAL_COLUMNS, order_items

REPORT = "report"
_LINES = {OrdersApi.V2026: "orderItems", OrdersApi.V0: "OrderItems", REPORT: "rows"}

STATUSES = {
    "PendingAvailability": "PENDING_AVAILABILITY",
    "Pending": "PENDING",
    "Unshipped": "UNSHIPPED",
    "PartiallyShipped": "PARTIALLY_SHIPPED",
    "Partially Shipped": "PARTIALLY_SHIPPED",
    "Shipped": "SHIPPED",
    "Canceled": "CANCELLED",
    "Cancelled": "CANCELLED",
    "Unfulfillable": "UNFULFILLABLE",
    "InvoiceUnconfirmed": "INVOICE_UNCONFIRMED",
}
"""Status words of v0 and of reports in those of 2026-01-01 (facts §5.4)."""

FULFILLMENTS = {"AFN": "AMAZON", "MFN": "MERCHANT", "Amazon": "AMAZON", "Merchant": "MERCHANT"}

_KNOWN_STATUSES = frozenset(STATUSES.values())
_HASHED_ORDER = (
    "marketplace_id",
    "status",
    "fulfillment",
    "sales_channel",
    "purchased_at",
    "last_updated_at",
    "order_total",
    "currency",
    "items_shipped",
    "items_unshipped",
)
_HASHED_ITEM = (
    "order_item_id",
    "asin",
    "sku",
    "title",
    "quantity",
    "quantity_shipped",
    "item_price",
    "item_tax",
    "shipping_price",
    "promotion_discount",
    "currency",
)

MARKETPLACE_IDS = {
    "Amazon.ca": "A2EUQ1WTGCTBG2",
    "Amazon.com": "ATVPDKIKX0DER",
    "Amazon.com.mx": "A1AM78C64UM0Y8",
    "Amazon.com.br": "A2Q3Y263D00KWC",
    "Amazon.ie": "A28R8C7NBKEWEA",
    "Amazon.es": "A1RKKUPIHCS9HS",
    "Amazon.co.uk": "A1F83G8C2ARO7P",
    "Amazon.fr": "A13V1IB3VIYZZH",
    "Amazon.com.be": "AMEN7PMS3EDWL",
    "Amazon.nl": "A1805IZSGTT6HS",
    "Amazon.de": "A1PA6795UKMFR9",
    "Amazon.it": "APJ6JRA9NG5V4",
    "Amazon.se": "A2NODRKZP88ZB9",
    "Amazon.co.za": "AE08WJ6YKNBMC",
    "Amazon.pl": "A1C3SOZRARQ6R3",
    "Amazon.eg": "ARBP9OOSHTCHU",
    "Amazon.com.tr": "A33AVAJ2PDY3EV",
    "Amazon.sa": "A17E79C6D8DWNP",
    "Amazon.ae": "A2VIGQ35RCS4UG",
    "Amazon.in": "A21TJRUUN4KGV",
    "Amazon.sg": "A19VAU5U5O7RUS",
    "Amazon.com.au": "A39IBJ37TRP1C6",
    "Amazon.co.jp": "A1VC38T7YXB528",
}
"""Marketplace by the name that reports give it (facts §2.2)."""


def parse(raw: bytes, context: ParseContext) -> Record:
    """The `Record` of one order's JSON text of any source.

    Raises:
        DataError: The text is no order of this source.
        pydantic.ValidationError: A field is missing or has the wrong type.
    """
    if context.source == OrdersApi.V2026:
        row, items = _columns_2026(models.Order.model_validate_json(raw))
    elif context.source == OrdersApi.V0:
        row, items = _columns_v0(models.OrderV0.model_validate_json(raw))
    elif context.source == REPORT:
        row, items = _columns_report(decode_json(raw))
    else:
        raise DataError(f"an order of the unknown source {context.source}", account=context.account)
    row["source"] = str(context.source)
    is_kept = may_keep_persons(
        context.settings, latest_ship_at=row["latest_ship_at"], purchased_at=row["purchased_at"], now=context.received_at
    )
    if not is_kept:
        row |= dict.fromkeys(PERSONAL_COLUMNS)
    clean = without_persons(decode_json(raw))
    for item, line in zip(items, clean.get(_LINES[context.source], ()), strict=True):
        item["raw"] = encode_json(line)
    status = row["status"]
    return Record(
        key=(row.pop("order_id"),),
        version=_version(row["last_updated_at"], context.source),
        row=row,
        raw=encode_json(clean),
        children={order_items.name: items},
        content_hash=content_hash(row, items),
        unknown=() if status in _KNOWN_STATUSES else (f"status={status}",),
    )


def content_hash(row: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> bytes:
    """What makes two orders equal: the mapped columns and whether persons are stored; not the source or fractions of a second."""
    lines = sorted([[_plain(item.get(name)) for name in _HASHED_ITEM] for item in items], key=lambda line: str(line[0]))
    has_persons = any(row.get(name) for name in PERSONAL_COLUMNS)
    content = [[_plain(row.get(name)) for name in _HASHED_ORDER], has_persons, lines]
    return hashlib.blake2b(encode_json(content), digest_size=16).digest()


def key_of(raw: bytes, source: str) -> str | None:
    """The order id of a record that cannot be mapped, if it can be seen."""
    del source
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
    if not isinstance(value, dict):
        return None
    found = value.get("orderId") or value.get("AmazonOrderId") or value.get("amazon-order-id")
    return found if isinstance(found, str) else None


def whole_second(moment: datetime) -> datetime:
    """The second of an instant."""
    return moment.replace(microsecond=0)


def _version(changed_at: datetime, source: str) -> datetime:
    second = whole_second(changed_at)
    return second - timedelta(microseconds=1) if source == REPORT else second


def _columns_2026(order: models.Order) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    fulfillment, total = order.fulfillment, order.proceeds.grand_total if order.proceeds else None
    items = [_item_2026(item) for item in order.order_items]
    address = order.recipient.delivery_address if order.recipient else None
    row = {
        "order_id": order.order_id,
        "marketplace_id": order.sales_channel.marketplace_id,
        "status": fulfillment.fulfillment_status if fulfillment else None,
        "fulfillment": fulfillment.fulfilled_by if fulfillment else None,
        "sales_channel": order.sales_channel.marketplace_name or order.sales_channel.channel_name,
        "purchased_at": order.created_time,
        "last_updated_at": order.last_updated_time,
        "order_total": total.amount if total else None,
        "currency": total.currency_code if total else None,
        "items_shipped": _pieces(order, "quantity_fulfilled"),
        "items_unshipped": _pieces(order, "quantity_unfulfilled"),
        "latest_ship_at": fulfillment.ship_by_window.latest_date_time if fulfillment and fulfillment.ship_by_window else None,
        **_persons(order.buyer, address),
    }
    return row, items


def _pieces(order: models.Order, field: str) -> int | None:
    """Pieces of all lines; version 2026-01-01 no longer tells the sums (facts §5.4)."""
    if not any(item.fulfillment for item in order.order_items):
        return None
    return sum(getattr(item.fulfillment, field) or 0 for item in order.order_items if item.fulfillment)


def _item_2026(item: models.OrderItem) -> dict[str, Any]:
    subtotals: dict[str, models.Money] = {}
    details: dict[tuple[str, str], models.Money] = {}
    for part in item.proceeds.breakdowns if item.proceeds else ():
        subtotals[part.type] = part.subtotal
        details |= {
            (part.type, detail.subtype): detail.value for detail in part.detailed_breakdowns if detail.subtype and detail.value
        }
    price = subtotals.get("ITEM")
    return {
        "order_item_id": item.order_item_id,
        "asin": item.product.asin,
        "sku": item.product.seller_sku,
        "title": item.product.title,
        "quantity": item.quantity_ordered,
        "quantity_shipped": item.fulfillment.quantity_fulfilled if item.fulfillment else None,
        "item_price": _amount(price),
        "item_tax": _part(subtotals, details, "TAX"),
        "shipping_price": _amount(subtotals.get("SHIPPING")),
        "promotion_discount": _part(subtotals, details, "DISCOUNT"),
        "currency": price.currency_code if price else None,
    }


def _part(subtotals: Mapping[str, models.Money], details: Mapping[tuple[str, str], models.Money], kind: str) -> Decimal | None:
    """What of a TAX or DISCOUNT is the item's own; all of it where Amazon gives no details (facts §5.4)."""
    if any(key[0] == kind for key in details):
        return _amount(details.get((kind, "ITEM")))
    return _amount(subtotals.get(kind))


def _columns_v0(order: models.OrderV0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    total = order.order_total
    row = {
        "order_id": order.amazon_order_id,
        "marketplace_id": order.marketplace_id,
        "status": STATUSES.get(order.order_status, order.order_status),
        "fulfillment": FULFILLMENTS.get(order.fulfillment_channel or "", order.fulfillment_channel),
        "sales_channel": order.sales_channel,
        "purchased_at": _utc(order.purchase_date),
        "last_updated_at": _utc(order.last_update_date),
        "order_total": total.amount if total else None,
        "currency": total.currency_code if total else None,
        "items_shipped": order.number_of_items_shipped,
        "items_unshipped": order.number_of_items_unshipped,
        "latest_ship_at": _utc(order.latest_ship_date) if order.latest_ship_date else None,
        **_persons(order.buyer_info, order.shipping_address),
    }
    return row, [_item_v0(item) for item in order.order_items]


def _item_v0(item: models.OrderItemV0) -> dict[str, Any]:
    return {
        "order_item_id": item.order_item_id,
        "asin": item.asin,
        "sku": item.seller_sku,
        "title": item.title,
        "quantity": item.quantity_ordered,
        "quantity_shipped": item.quantity_shipped,
        "item_price": _amount(item.item_price),
        "item_tax": _amount(item.item_tax),
        "shipping_price": _amount(item.shipping_price),
        "promotion_discount": _amount(item.promotion_discount),
        "currency": item.item_price.currency_code if item.item_price else None,
    }


def _columns_report(order: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An order put together from a report's rows by `reports.split`: ``{"rows": [{column: text}]}``."""
    lines = order.get("rows")
    if not isinstance(lines, list) or not lines:
        raise DataError("an order of a report without rows")
    first = lines[0]
    status = STATUSES.get(first["order-status"], first["order-status"])
    shipped = sum(_whole(line["quantity"]) for line in lines if line.get("item-status") == "Shipped")
    pieces = sum(_whole(line["quantity"]) for line in lines)
    row = {
        "order_id": first["amazon-order-id"],
        "marketplace_id": MARKETPLACE_IDS.get(first["sales-channel"]),
        "status": status,
        "fulfillment": FULFILLMENTS.get(first["fulfillment-channel"], first["fulfillment-channel"]),
        "sales_channel": first["sales-channel"],
        "purchased_at": _instant(first["purchase-date"]),
        "last_updated_at": _instant(first["last-updated-date"]),
        "order_total": None,
        "currency": first.get("currency") or None,
        "items_shipped": shipped,
        "items_unshipped": 0 if status == "CANCELLED" else pieces - shipped,
        "latest_ship_at": None,
        **dict.fromkeys(PERSONAL_COLUMNS),
    }
    return row, [_item_report(line, position) for position, line in enumerate(lines, start=1)]


def _item_report(line: Mapping[str, str], position: int) -> dict[str, Any]:
    quantity = _whole(line["quantity"])
    return {
        "order_item_id": line.get("order-item-id") or f"report-{position}",
        "asin": line.get("asin") or None,
        "sku": line.get("sku") or None,
        "title": line.get("product-name") or None,
        "quantity": quantity,
        "quantity_shipped": quantity if line.get("item-status") == "Shipped" else 0,
        "item_price": _decimal(line.get("item-price")),
        "item_tax": _decimal(line.get("item-tax")),
        "shipping_price": _decimal(line.get("shipping-price")),
        "promotion_discount": _decimal(line.get("item-promotion-discount")),
        "currency": line.get("currency") or None,
    }


def _persons(
    buyer: models.Buyer | models.BuyerInfoV0 | None, address: models.CustomerAddress | models.AddressV0 | None
) -> dict[str, str | None]:
    return {
        "buyer_name": buyer.buyer_name if buyer else None,
        "buyer_email": buyer.buyer_email if buyer else None,
        "recipient_name": address.name if address else None,
        "address_line_1": address.address_line1 if address else None,
        "address_line_2": address.address_line2 if address else None,
        "address_line_3": address.address_line3 if address else None,
        "city": address.city if address else None,
        "region": address.state_or_region if address else None,
        "postal_code": address.postal_code if address else None,
        "country_code": address.country_code if address else None,
        "phone": address.phone if address else None,
    }


def _amount(money: models.Money | models.MoneyV0 | None) -> Decimal | None:
    return money.amount if money else None


def _plain(value: Any) -> Any:
    """A value as the hash sees it: 10.00 is 10.0, and instants end at the second."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _utc(moment: datetime) -> datetime:
    """v0 always says ``Z``; a naive time would be UTC too (facts §4.3)."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _instant(text: str) -> datetime:
    try:
        return _utc(datetime.fromisoformat(text))
    except ValueError as error:
        raise DataError("a report's row has an instant that is not ISO 8601") from error


def _whole(text: str) -> int:
    if not text.isdigit():
        raise DataError("a report's row has a quantity that is not a whole number")
    return int(text)


def _decimal(text: str | None) -> Decimal | None:
    if not text:
        return None
    value = Decimal(text) if text.replace(".", "", 1).removeprefix("-").isdigit() else None
    if value is None:
        raise DataError("a report's row has an amount that is not a number")
    return value
