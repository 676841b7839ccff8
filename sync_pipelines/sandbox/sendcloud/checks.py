"""What SendCloud checks in an order it is sent, and in which words it complains (facts §3.6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple


class Complaint(NamedTuple):
    """The first thing wrong: a pointer below the order, and the detail."""

    pointer: str
    detail: str


REQUIRED: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    ("order_id", str, "string"),
    ("order_number", str, "string"),
    ("order_details", dict, "dictionary"),
    ("order_details/integration", dict, "dictionary"),
    ("order_details/integration/id", int, "integer"),
    ("order_details/status", dict, "dictionary"),
    ("order_details/status/code", str, "string"),
    ("order_details/order_created_at", str, "string"),
    ("order_details/order_items", list, "list"),
    ("payment_details", dict, "dictionary"),
    ("payment_details/total_price", dict, "dictionary"),
    ("payment_details/total_price/value", (int, float), "number"),
    ("payment_details/total_price/currency", str, "string"),
    ("payment_details/status", dict, "dictionary"),
    ("payment_details/status/code", str, "string"),
)
ADDRESS = ("name", "address_line_1", "postal_code", "city", "country_code")


def check_order(order: Any, integrations: set[int]) -> Complaint | None:
    """The first complaint about an order, or ``None``."""
    if not isinstance(order, dict):
        return Complaint("", "Input should be a valid dictionary")
    if "id" in order and not isinstance(order["id"], str):
        return Complaint("/id", "Input should be a valid string")
    complaint = _required(order) or _times(order) or _addresses(order)
    if complaint:
        return complaint
    details = order["order_details"]
    if details["integration"]["id"] not in integrations:
        return Complaint("/order_details/integration/id", "Integration does not exist")
    for place, item in enumerate(details["order_items"]):
        complaint = _item(item, f"/order_details/order_items/{place}")
        if complaint:
            return complaint
    return _price(order["payment_details"]["total_price"], "/payment_details/total_price")


def _required(order: dict[str, Any]) -> Complaint | None:
    for path, kind, word in REQUIRED:
        value: Any = order
        for name in path.split("/"):
            if name not in value:
                return Complaint(f"/{path}", "Field required")
            value = value[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            return Complaint(f"/{path}", f"Input should be a valid {word}")
        if value == "":
            return Complaint(f"/{path}", "String should have at least 1 character")
    return None


def _times(order: dict[str, Any]) -> Complaint | None:
    for name in ("order_created_at", "order_updated_at"):
        value = order["order_details"].get(name)
        if value is None:
            continue
        try:
            datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return Complaint(f"/order_details/{name}", "Input should be a valid datetime")
    return None


def _addresses(order: dict[str, Any]) -> Complaint | None:
    for name in ("shipping_address", "billing_address"):
        address = order.get(name)
        if address is None:
            continue
        for field in ADDRESS:
            if not address.get(field):
                return Complaint(f"/{name}/{field}", "Field required")
    return None


def _item(item: Any, pointer: str) -> Complaint | None:
    if not isinstance(item, dict):
        return Complaint(pointer, "Input should be a valid dictionary")
    for name in ("name", "quantity", "total_price"):
        if name not in item:
            return Complaint(f"{pointer}/{name}", "Field required")
    if not isinstance(item["quantity"], int) or item["quantity"] <= 0:
        return Complaint(f"{pointer}/quantity", "Input should be greater than 0")
    for name in ("unit_price", "total_price"):
        if name in item:
            complaint = _price(item[name], f"{pointer}/{name}")
            if complaint:
                return complaint
    return None


def _price(value: Any, pointer: str) -> Complaint | None:
    """Any currency of three letters passes: the validator checks the length only (facts §3.4a)."""
    if not isinstance(value, dict) or not isinstance(value.get("value"), (int, float)):
        return Complaint(f"{pointer}/value", "Input should be a valid number")
    if len(str(value.get("currency", ""))) < 3:
        return Complaint(f"{pointer}/currency", "String should have at least 3 characters")
    return None
