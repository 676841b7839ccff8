"""Ship an order: labels for orders SendCloud has already (facts §5.2)."""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import answer, read_json, v3_error
from sync_pipelines.sandbox.sendcloud.announcing import Request as ShipmentRequest
from sync_pipelines.sandbox.sendcloud.announcing import announce
from sync_pipelines.sandbox.sendcloud.catalogue import OPTION_BY_CODE, SENDERS
from sync_pipelines.sandbox.sendcloud.generate import Shipping
from sync_pipelines.sandbox.sendcloud.papers import label_of
from sync_pipelines.sandbox.sendcloud.rendering import v3_parcel
from sync_pipelines.sandbox.sendcloud.urls import api_url
from sync_pipelines.sandbox.sendcloud.world import Account

MOST_ORDERS = 20


async def create_labels(account: Account, request: Request) -> Response:
    """``POST /v3/orders/create-labels-async``: 202 with ``data``, ``errors``, or both."""
    body = read_json(await request.body())
    orders = body.get("orders")
    if not isinstance(orders, list) or not orders:
        return v3_error(400, "invalid", "Field required", source={"pointer": "/data/attributes/orders"})
    if len(orders) > MOST_ORDERS:
        detail = f"List should have at most {MOST_ORDERS} items after validation, not {len(orders)}"
        return v3_error(400, "invalid", detail, source={"pointer": "/data/attributes/orders"})
    for place, wish in enumerate(orders):
        if not isinstance(wish.get("order_id", ""), str):
            pointer = {"pointer": f"/data/attributes/orders/{place}/order_id"}
            return v3_error(400, "invalid", "Input should be a valid string", source=pointer)
    trouble = _common_trouble(account, body)
    if trouble:
        return answer({"errors": [trouble]}, 202)
    data: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for place, wish in enumerate(orders):
        shipping = _ship(account, body, wish, f"/data/attributes/orders/[{place}]", wait=False)
        if isinstance(shipping, Shipping):
            data.append(_accepted(shipping))
        else:
            errors.append(shipping)
    return answer({**({"data": data} if data else {}), **({"errors": errors} if errors else {})}, 202)


async def create_label(account: Account, request: Request) -> Response:
    """``POST /v3/orders/create-label-sync``: one order, with the file."""
    body = read_json(await request.body())
    wish = body.get("order")
    if not isinstance(wish, dict):
        return v3_error(400, "invalid", "Field required", source={"pointer": "/data/attributes/order"})
    trouble = _common_trouble(account, body)
    shipping = trouble or _ship(account, body, wish, "/data/attributes/order", wait=True)
    if not isinstance(shipping, Shipping):
        return answer({"errors": [{**shipping, "status": "400"}]}, 400)
    if shipping.errors:
        return answer({"errors": shipping.errors}, 400)
    parcel = shipping.parcels[0]
    details = {"mime_type": "application/pdf", "dpi": 72, **(body.get("label_details") or {})}
    file = base64.b64encode(label_of(shipping, shipping.parcels, details["mime_type"])).decode()
    shown = v3_parcel(shipping, parcel, base=api_url(request))
    record = {
        **_accepted(shipping),
        "documents": shown["documents"],
        "tracking_number": shown["tracking_number"],
        "tracking_url": shown["tracking_url"],
        "label_details": {**details, "file": file},
    }
    record.pop("parcels_ids")
    if account.settings.label_in_list:
        record.pop("label_details")
        return answer({"data": [{**record, "label": {**details, "file": file}}]}, 201)
    return answer({"data": record}, 201)


def _common_trouble(account: Account, body: dict[str, Any]) -> dict[str, Any] | None:
    """What stops all orders of a call."""
    if body.get("integration_id") not in {one.id for one in account.profile.integrations}:
        return _trouble("404", "invalid", "Does not exist.", "/data/attributes/integration_id")
    if body.get("sender_address_id", SENDERS[0]["id"]) not in {one["id"] for one in SENDERS}:
        return _trouble("404", "invalid", "Does not exist.", "/data/attributes/sender_address_id")
    code = ((body.get("ship_with") or {}).get("properties") or {}).get("shipping_option_code")
    if code is not None and code not in OPTION_BY_CODE:
        return _trouble("400", "invalid", "Does not exist.", "/data/attributes/ship_with/properties/shipping_option_code")
    return None


def _ship(account: Account, body: dict[str, Any], wish: dict[str, Any], pointer: str, *, wait: bool) -> Shipping | dict[str, Any]:
    """The shipment, or the error item."""
    key = _find(account, body["integration_id"], wish)
    if key is None:
        return _trouble("404", "not_found", "The order could not be found.", pointer)
    order, waiting = account.order(key) or {}, account.shipping_of(key)
    if waiting is not None and waiting.has_label:
        return _trouble("400", "validation_error", "The order has a label already.", pointer)
    if not order.get("shipping_address"):
        return _trouble("400", "validation_error", "The order has no valid shipping address.", pointer)
    ship_with = body.get("ship_with") or (order.get("shipping_details") or {}).get("ship_with")
    weight = ((order.get("shipping_details") or {}).get("measurement") or {}).get("weight") or {"value": 1, "unit": "kg"}
    parcels = [
        {
            "weight": {"value": str(weight["value"]), "unit": weight["unit"]},
            **{k: v for k, v in asked.items() if k != "parcel_items"},
        }
        for asked in wish.get("parcels") or [{}]
    ]
    request = {
        "to_address": order["shipping_address"],
        "from_address": {"sender_address_id": body.get("sender_address_id", SENDERS[0]["id"])},
        "ship_with": ship_with,
        "order_number": order["order_number"],
        "parcels": parcels,
    }
    return announce(account, ShipmentRequest(request), wait=wait, order=key)


def _find(account: Account, integration: int, wish: dict[str, Any]) -> int | None:
    if wish.get("order_id"):
        return account.find_order(integration, wish["order_id"])
    keys = [key for key in account.orders_numbered(wish.get("order_number") or "") if account.meta(key).integration == integration]
    return keys[-1] if keys else None


def _accepted(shipping: Shipping) -> dict[str, Any]:
    option = shipping.option
    properties = (
        {"shipping_option_code": option.code, "contract_id": option.contract_id} if option else {"shipping_option_code": None}
    )
    return {
        "shipment_id": shipping.id,
        "order_id": shipping.order_ref,
        "order_number": shipping.order_name,
        "parcels_ids": [parcel.id for parcel in shipping.parcels],
        "parcel_id": shipping.parcels[0].id,
        "ship_with": {"type": "shipping_option_code", "properties": properties},
    }


def _trouble(status: str, code: str, detail: str, pointer: str) -> dict[str, Any]:
    return {"status": status, "code": code, "detail": detail, "source": {"pointer": pointer}}
