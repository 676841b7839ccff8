"""What to ask the vendor for: a label request and its order as a shipment in the vendor's words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import Json
from sync_pipelines.vendors.sendcloud.models import Order, OrderItem
from sync_pipelines.vendors.sendcloud.settings import LabelRule, LabelSettings

_ADDRESS = (
    "name", "company_name", "address_line_1", "house_number", "address_line_2", "postal_code", "city", "po_box",
    "state_province_code", "country_code", "email", "phone_number",
)  # fmt: skip
_GRAM = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Wish:
    """The columns of ``sendcloud.label_requests`` that say what is wanted."""

    external_reference_id: str
    shipping_option: str | None = None
    contract_id: int | None = None
    service: str | None = None
    weight_kg: Decimal | None = None
    parcels: list[dict[str, Any]] | None = None
    sender_address_id: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The shipping option to ask for; ``None``: the vendor's own rules choose."""

    option: str | None
    contract_id: int | None = None


def choose(wish: Wish, settings: LabelSettings, *, country: str | None, weight_kg: Decimal | None, service: str | None) -> Choice:
    """The request's own option, or the first rule's that fits.

    Raises:
        DataError: No rule fits, and the vendor's rules are not to choose.
    """
    if wish.shipping_option:
        return Choice(wish.shipping_option, wish.contract_id)
    for rule in settings.rules:
        if _fits(rule, country=country, weight_kg=weight_kg, service=wish.service or service):
            return Choice(rule.option, wish.contract_id or rule.contract_id)
    if settings.vendor_rules:
        return Choice(None)
    kilograms = "unknown weight" if weight_kg is None else f"{weight_kg} kg"
    raise DataError(
        f"no rule of settings.labels.rules fits {country or 'an unknown country'}, {kilograms}, service"
        f" {wish.service or service or 'none'}; name a shipping_option in the request, or add a rule"
    )


def shipment(wish: Wish, order: Order, settings: LabelSettings, *, sender: int) -> tuple[Json, Choice]:
    """The announcement's body and the option in it.

    Args:
        wish: What the request asks for.
        order: The order as SendCloud last showed it.
        settings: ``settings.labels``.
        sender: Sender address used where neither request nor settings name one.

    Raises:
        DataError: It cannot be asked for; the text says what is missing.
    """
    address = order.shipping_address
    if address is None:
        raise DataError(f"order {order.order_number} has no shipping address")
    weight = wish.weight_kg or _weight(order) or settings.default_weight_kg
    if weight is None and not wish.parcels:
        raise DataError(
            f"the weight of order {order.order_number} is unknown; give weight_kg in the request,"
            " or settings.labels.default_weight_kg"
        )
    indicator = order.shipping_details.delivery_indicator if order.shipping_details else None
    choice = choose(wish, settings, country=address.country_code, weight_kg=weight, service=indicator)
    total = order.payment_details.total_price
    body: dict[str, Json] = {
        "external_reference_id": wish.external_reference_id,
        "order_number": order.order_number,
        "to_address": {name: value for name in _ADDRESS if (value := getattr(address, name))},
        "from_address": {"sender_address_id": wish.sender_address_id or settings.sender_address_id or sender},
        "parcels": wish.parcels or [_parcel(order, weight or Decimal(0))],
        "total_order_price": {"value": f"{total.value:f}", "currency": total.currency},
        "label_details": {"mime_type": settings.media_type} | ({"dpi": settings.dpi} if settings.dpi else {}),
    }
    if choice.option:
        properties = {"shipping_option_code": choice.option} | ({"contract_id": choice.contract_id} if choice.contract_id else {})
        body["ship_with"] = {"type": "shipping_option_code", "properties": properties}
    customs = order.customs_details or {}
    if customs.get("commercial_invoice_number"):
        body["customs_information"] = {
            "invoice_number": customs["commercial_invoice_number"],
            "export_reason": customs.get("shipment_type") or "commercial_goods",
        }
    return body, choice


def _fits(rule: LabelRule, *, country: str | None, weight_kg: Decimal | None, service: str | None) -> bool:
    if rule.countries and (country or "").upper() not in {one.upper() for one in rule.countries}:
        return False
    if rule.min_kg is not None and (weight_kg is None or weight_kg < rule.min_kg):
        return False
    if rule.max_kg is not None and (weight_kg is None or weight_kg >= rule.max_kg):
        return False
    return not rule.services or (service or "").casefold() in {one.casefold() for one in rule.services}


def _weight(order: Order) -> Decimal | None:
    """The order's own weight, or its items' together if every one is known."""
    measured = order.shipping_details.measurement if order.shipping_details else None
    if measured and measured.kilograms:
        return measured.kilograms
    pieces = [item.measurement.kilograms if item.measurement else None for item in order.order_details.order_items]
    total = Decimal(0)
    for item, piece in zip(order.order_details.order_items, pieces, strict=True):
        if piece is None:
            return None
        total += piece * item.quantity
    return total or None


def _parcel(order: Order, weight: Decimal) -> Json:
    items = [item for item in order.order_details.order_items if item.quantity > 0]
    complete = [shown for item in items if (shown := _item(item)) is not None]
    parcel: dict[str, Json] = {"weight": {"value": f"{max(weight, _GRAM).quantize(_GRAM):f}", "unit": "kg"}}
    if complete and len(complete) == len(items):
        parcel["parcel_items"] = complete
    return parcel


def _item(item: OrderItem) -> Json | None:
    """A line with all the vendor requires of one (facts §5.1); ``None`` if something is unknown, since then it cannot be sent."""
    weight = item.measurement.kilograms if item.measurement else None
    if not (item.hs_code and item.unit_price and weight):
        return None
    shown: dict[str, Json] = {
        "description": item.name,
        "quantity": item.quantity,
        "weight": {"value": weight, "unit": "kg"},
        "price": {"value": f"{item.unit_price.value:f}", "currency": item.unit_price.currency},
        "hs_code": item.hs_code,
    }
    more = {"item_id": item.item_id, "sku": item.sku, "product_id": item.product_id, "origin_country": item.country_of_origin}
    return shown | {name: value for name, value in more.items() if value}
