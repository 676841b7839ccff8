"""From a wish to ship to parcels with labels, or to the carrier's refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sync_pipelines.sandbox.sendcloud.catalogue import (
    ANNOUNCEMENT_FAILED,
    ANNOUNCING,
    LETTER,
    OPTION_BY_CODE,
    READY_TO_SEND,
    SENDERS,
    Option,
)
from sync_pipelines.sandbox.sendcloud.chance import made_uuid, mix
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.world import Account

ADDRESS = ("name", "address_line_1", "postal_code", "city", "country_code")
ITEM = ("description", "quantity", "weight", "price", "hs_code")
GRAMS = {"kg": 1000.0, "g": 1.0, "lbs": 453.592, "oz": 28.3495}


class Complaint(NamedTuple):
    """What is wrong with a request."""

    pointer: str
    code: str
    detail: str


class Request:
    """A checked shipment request, with what is missing filled in from the account's defaults."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        properties = (body.get("ship_with") or {}).get("properties") or {}
        self.option: Option = OPTION_BY_CODE.get(properties.get("shipping_option_code") or "", LETTER)
        self.external_reference_id: str | None = body.get("external_reference_id") or None
        self.order_number: str = body.get("order_number") or ""
        self.to_address: dict[str, Any] = body["to_address"]
        self.from_address = _sender(body.get("from_address") or {"sender_address_id": SENDERS[0]["id"]})
        self.parcels: list[dict[str, Any]] = body.get("parcels") or [{"weight": {"value": "1.000", "unit": "kg"}}]

    def refusal(self, failing_carriers: list[str]) -> str | None:
        """Why the carrier will not take it; told in a 201."""
        if self.option.carrier in failing_carriers:
            return "Service error: An error occurred while connecting to the carrier."
        if self.to_address["country_code"] not in self.option.countries:
            return f"Service error: {self.option.carrier_name} does not deliver to {self.to_address['country_code']}."
        for parcel in self.parcels:
            if not self.option.min_grams <= grams(parcel.get("weight")) < self.option.max_grams:
                return f"Service error: the weight is outside the limits of {self.option.name}."
        return None


def check_request(body: Any, *, most: int, rules: bool) -> Complaint | None:
    """The first thing wrong with a shipment request, or ``None``."""
    if not isinstance(body, dict):
        return Complaint("", "invalid", "Invalid data. Expected a dictionary.")
    for name in ("to_address",) if rules else ("to_address", "from_address", "ship_with", "parcels"):
        if not body.get(name):
            return Complaint(f"/{name}", "required", "This field is required.")
    complaint = _address(body["to_address"], "/to_address") or _from_address(body.get("from_address"))
    if complaint:
        return complaint
    code = ((body.get("ship_with") or {}).get("properties") or {}).get("shipping_option_code")
    if code not in OPTION_BY_CODE and not (rules and code is None):
        return Complaint("/ship_with/properties/shipping_option_code", "invalid", f"Shipping option {code} does not exist.")
    parcels = body.get("parcels") or []
    if len(parcels) > most:
        return Complaint("/parcels", "invalid", f"Ensure this field has no more than {most} elements.")
    for place, parcel in enumerate(parcels):
        complaint = _parcel(parcel, f"/parcels/{place}", rules=rules)
        if complaint:
            return complaint
    return None


def announce(account: Account, wish: Request, *, wait: bool, order: int | None = None) -> Shipping:
    """Makes the shipment. It takes the place of the waiting parcel of its order: ``order``, or the only open one of that number."""
    refusal = wish.refusal(account.settings.failing_carriers)
    key = order if order is not None else _only_open_order(account, wish.order_number)
    waiting = account.shipping_of(key) if key is not None else None
    serial = waiting.serial if waiting else account.new_serial()
    uuid = waiting.id if waiting else made_uuid(account.generator.seed, account.profile.number, serial)
    now = account.now
    shipping = Shipping(
        id=uuid,
        serial=serial,
        order=key,
        order_name=wish.order_number or (waiting.order_name if waiting else ""),
        order_ref=waiting.order_ref if waiting else "",
        integration=waiting.integration if waiting else None,
        parcels=[_new_parcel(account, now, collo, asked, waiting) for collo, asked in enumerate(wish.parcels)],
        to_address=wish.to_address,
        from_address=wish.from_address,
        option=wish.option,
        total=_total(wish.body, waiting),
        external_reference_id=wish.external_reference_id,
        reference=wish.body.get("reference"),
        request=wish.body,
        cancel=("ok", "ok", "queued", "refused")[mix(account.generator.seed, serial, 9) % 4],
    )
    account.keep_shipping(shipping, removed_parcels=tuple(parcel.id for parcel in waiting.parcels) if waiting else ())
    finish = _finisher(account, shipping, refusal)
    if wait:
        finish()
    else:
        account.later(account.settings.announce_s, ("announce", uuid), finish)
    return shipping


def grams(weight: Any) -> int:
    """A V3 weight in grams; unknown counts as one kilogram."""
    if not weight:
        return 1000
    return round(float(weight["value"]) * GRAMS.get(weight.get("unit", "kg"), 1000.0))


def _finisher(account: Account, shipping: Shipping, refusal: str | None) -> Callable[[], None]:
    def finish() -> None:
        for parcel in shipping.parcels:
            moment = max(account.now, parcel.updated + 1000)
            parcel.updated = moment
            if refusal:
                parcel.history.append((moment, ANNOUNCEMENT_FAILED))
                continue
            parcel.announced = moment
            parcel.tracking_number = f"SBX{mix(account.generator.seed, parcel.id, 6) % 10**11:011d}"
            parcel.history.append((moment, READY_TO_SEND))
        if refusal:
            shipping.errors = [{"status": "500", "code": "parcel_announcement_error", "detail": refusal}]
        account.keep_shipping(shipping)

    return finish


def _new_parcel(account: Account, now: int, collo: int, asked: dict[str, Any], waiting: Shipping | None) -> Parcel:
    lines = [_line(item) for item in asked.get("parcel_items") or []] or (waiting.parcels[0].lines if waiting else [])
    return Parcel(
        id=account.new_parcel_id(),
        created=now,
        updated=now,
        grams=grams(asked.get("weight")),
        lines=lines,
        collo=collo,
        history=[(now, ANNOUNCING)],
        request=asked,
    )


def _line(item: dict[str, Any]) -> dict[str, Any]:
    """A parcel item as the order item it stands for."""
    cost = {"value": float(item["price"]["value"]), "currency": item["price"]["currency"]} if item.get("price") else None
    return {
        "name": item.get("description", ""),
        "quantity": item["quantity"],
        "unit_price": cost,
        "total_price": {**cost, "value": round(cost["value"] * item["quantity"], 2)} if cost else {"value": 0, "currency": "EUR"},
        "measurement": {"weight": item["weight"]} if item.get("weight") else None,
        **{name: item[name] for name in ("item_id", "sku", "product_id", "hs_code", "properties", "mid_code") if item.get(name)},
        **({"country_of_origin": item["origin_country"]} if item.get("origin_country") else {}),
    }


def _only_open_order(account: Account, number: str) -> int | None:
    if not number:
        return None
    keys = [key for key in account.orders_numbered(number) if (one := account.shipping_of(key)) is not None and not one.has_label]
    return keys[0] if len(keys) == 1 else None


def _total(body: dict[str, Any], waiting: Shipping | None) -> tuple[str, str] | None:
    total = body.get("total_order_price")
    return (str(total["value"]), total["currency"]) if total else (waiting.total if waiting else None)


def _sender(given: dict[str, Any]) -> dict[str, Any]:
    known = next((one for one in SENDERS if one["id"] == given.get("sender_address_id")), {})
    return {name: value for name, value in {**known, **given}.items() if name not in {"id", "sender_address_id"}}


def _from_address(given: Any) -> Complaint | None:
    if not given:
        return None
    if "sender_address_id" not in given:
        return _address(given, "/from_address")
    if given["sender_address_id"] not in {one["id"] for one in SENDERS}:
        return Complaint("/from_address/sender_address_id", "invalid", "Does not exist.")
    return None


def _address(address: Any, pointer: str) -> Complaint | None:
    for name in ADDRESS:
        if not isinstance(address, dict) or not address.get(name):
            return Complaint(f"{pointer}/{name}", "required", "This field is required.")
    return None


def _parcel(parcel: Any, pointer: str, *, rules: bool) -> Complaint | None:
    weight = parcel.get("weight") if isinstance(parcel, dict) else None
    if weight is None and not rules:
        return Complaint(f"{pointer}/weight", "required", "This field is required.")
    if weight is not None and not isinstance(weight.get("value"), str):
        return Complaint(f"{pointer}/weight/value", "invalid", "Not a valid string.")
    for place, item in enumerate(parcel.get("parcel_items") or []):
        for name in ("quantity",) if rules else ITEM:
            if name not in item:
                return Complaint(f"{pointer}/parcel_items/{place}/{name}", "required", "This field is required.")
    return None
