"""What is personal in Amazon's payloads, and taking it out before anything is stored (facts §2.4, §5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.jsons import Json, decode_json, encode_json

PERSONAL_FIELDS = frozenset(
    {
        # 2026-01-01
        "buyer",
        "recipient",
        "tax",
        "payment",
        "customization",
        "giftOption",
        # v0
        "BuyerInfo",
        "BuyerTaxInformation",
        "BuyerRequestedCancel",
        "ShippingAddress",
        "DefaultShipFromLocationAddress",
        "PaymentExecutionDetail",
        # reports
        "ship-city",
        "ship-state",
        "ship-postal-code",
        "ship-country",
        "purchase-order-number",
        "cpf",
    }
)
"""Fields that are left out wherever they appear: persons, addresses, and free text that persons wrote."""

_PERSONAL_WORDS = ("buyer", "address", "recipient", "phone", "giftmessage", "taxregistration")
"""A field that Amazon adds some day is left out too if its name has one of these words."""


def without_persons(value: Json) -> Json:
    """A copy of a payload without personal data.

    >>> without_persons({"orderId": "1", "buyer": {"buyerName": "A"}, "orderItems": [{"fulfillment": {"giftOption": {}}}]})
    {'orderId': '1', 'orderItems': [{'fulfillment': {}}]}
    """
    if isinstance(value, dict):
        return {name: without_persons(part) for name, part in value.items() if not is_personal(name)}
    if isinstance(value, list):
        return [without_persons(part) for part in value]
    return value


def evidence(body: bytes) -> bytes:
    """What may be kept of an answer that Amazon's contract does not allow: no persons, and nothing that cannot be looked through.

    >>> evidence(b'{"orders": 7, "buyer": "A"}'), evidence(b"<html>"), evidence(b'{"buyer": "A')
    (b'{"orders":7}', b'<html>', b'')
    """
    if body.lstrip()[:1] == b"<":
        return body
    try:
        return encode_json(without_persons(decode_json(body)))
    except ContractError:
        return b""


def is_personal(name: str) -> bool:
    """Whether a field of this name is left out."""
    return name in PERSONAL_FIELDS or any(word in name.lower() for word in _PERSONAL_WORDS)


def may_keep_persons(settings: Any, *, latest_ship_at: datetime | None, purchased_at: datetime | None, now: datetime) -> bool:
    """Whether an order's personal data may be stored at this time.

    Args:
        settings: The account's `settings.Settings`.
        latest_ship_at: Promised shipping; many orders have none, then the purchase counts.
        purchased_at: When it was bought.
        now: Aware UTC.
    """
    since = latest_ship_at or purchased_at
    return bool(settings.personal_data and since is not None and now < since + timedelta(days=settings.personal_data_days))


def order_instants(order: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Latest ship date and purchase date of a raw order of either version."""
    window = (order.get("fulfillment") or {}).get("shipByWindow") or {}
    shipping = order.get("LatestShipDate") or window.get("latestDateTime")
    return _instant(shipping), _instant(order.get("PurchaseDate") or order.get("createdTime"))


def _instant(value: Json) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
