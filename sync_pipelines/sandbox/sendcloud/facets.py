"""What lists and parcels need of a whole order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sync_pipelines.sandbox.sendcloud.chance import micros
from sync_pipelines.sandbox.sendcloud.generate import Meta
from sync_pipelines.sandbox.sendcloud.paging import Entry

NEVER = 1 << 62
"""Sort value of an unknown time: last in ascending order, as in SendCloud's database."""

SORTABLE = ("pk", "integration", "order_number", "order_created_at", "order_updated_at")


def meta_of(order: dict[str, Any], modified: int) -> Meta:
    """Reads what lists need from a whole order."""
    details = order["order_details"]
    updated = details.get("order_updated_at")
    return Meta(
        micros(datetime.fromisoformat(details["order_created_at"])),
        micros(datetime.fromisoformat(updated)) if updated else None,
        modified,
        details["integration"]["id"],
        details["status"]["code"],
        order["order_number"],
        order["order_id"],
    )


def entry(name: str, meta: Meta, key: int) -> Entry:
    """An order's place in a list sorted by one of `SORTABLE`."""
    values: dict[str, int | str] = {
        "pk": key,
        "integration": meta.integration,
        "order_number": meta.order_number,
        "order_created_at": meta.created,
        "order_updated_at": NEVER if meta.updated is None else meta.updated,
    }
    return values[name], key


def address_of(order: dict[str, Any]) -> dict[str, Any]:
    """An order may come without an address; its parcel then has an empty one."""
    blank = {"name": "", "address_line_1": "", "house_number": "", "postal_code": "", "city": "", "country_code": "FR"}
    return {**blank, **(order.get("shipping_address") or {})}


def total_of(order: dict[str, Any]) -> tuple[str, str]:
    """An order's total and its currency, as V2 writes them."""
    total = order["payment_details"]["total_price"]
    return f"{total['value']:.2f}", total["currency"]
