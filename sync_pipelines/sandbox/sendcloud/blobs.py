"""V2 order blobs: ``GET /v2/integrations/{id}/shipments``, the imported orders with their ``shipment_uuid`` (facts §6.4)."""

from __future__ import annotations

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import v2_error
from sync_pipelines.sandbox.sendcloud.chance import at, shop_time
from sync_pipelines.sandbox.sendcloud.listing import Lists
from sync_pipelines.sandbox.sendcloud.paging import Cursor, InvalidCursorError, page
from sync_pipelines.sandbox.sendcloud.parcels import v2_line
from sync_pipelines.sandbox.sendcloud.world import Account

PAGE = 100
V2_CURRENCIES = ("EUR", "USD", "GBP")


class Blobs:
    """The handler of an integration's order blobs."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def list(self, account: Account, request: Request) -> Response:
        """Newest first; ``start_date`` and ``end_date`` are whole days of the shop's creation time, one year back by default."""
        integration = request.path_params["integration"]
        if integration not in {str(one.id) for one in account.profile.integrations}:
            return v2_error(request, 404, "No Integration matches the given query.")
        query = request.query_params
        try:
            start = date.fromisoformat(query.get("start_date") or at(account.now - 365 * 86_400_000_000).date().isoformat())
            end = date.fromisoformat(query.get("end_date") or "9999-12-31")
        except ValueError:
            return v2_error(request, 400, "start_date: 'Enter a valid date.'")
        number = query.get("order_number")
        references = {value for part in query.getlist("external_order_ids") for value in part.split(",")}

        def wanted(key: int) -> bool:
            meta = account.meta(key)
            return (
                meta.integration == int(integration)
                and start <= at(meta.created).date() <= end
                and (not number or meta.order_number == number)
                and (not references or meta.order_id in references)
            )

        try:
            cursor = Cursor.decode(query["cursor"]) if query.get("cursor") else Cursor()
            found = page(account.order_index("pk"), descending=True, cursor=cursor, size=PAGE, wanted=wanted)
        except InvalidCursorError:
            return v2_error(request, 404, "Invalid cursor")
        records = [blob(account, key) for key in found.keys]
        return self._lists.v2(request, "blobs", account, found.keys, records, found, name="results")


def blob(account: Account, key: int) -> dict[str, Any]:
    """One imported order in V2's shape."""
    order, meta, shipping = account.order(key) or {}, account.meta(key), account.shipping_of(key)
    address, payment = order.get("shipping_address") or {}, order["payment_details"]
    currency = payment["total_price"]["currency"]
    status = order["order_details"]["status"]
    return {
        "address": address.get("address_line_1") or "-",
        "address_2": address.get("address_line_2", ""),
        "allowed_shipping_methods": [],
        "city": address.get("city") or "-",
        "company_name": address.get("company_name", ""),
        "country": address.get("country_code") or "FR",
        "created_at": shop_time(meta.created),
        "currency": currency if currency in V2_CURRENCIES else None,
        "customs_invoice_nr": "",
        "customs_shipment_type": 2,
        "email": address.get("email") or "nobody@example.com",
        "external_order_id": meta.order_id,
        "external_shipment_id": None,
        "house_number": address.get("house_number", ""),
        "integration": meta.integration,
        "name": address.get("name") or "-",
        "order_number": meta.order_number,
        "order_status": {"id": status["code"], "message": status.get("message") or status["code"]},
        "parcel_items": [v2_line(line, full=False) for line in order["order_details"]["order_items"]],
        "payment_status": {"id": "paid", "message": "Paid"},
        "postal_code": address.get("postal_code") or "-",
        "sender_address": None,
        "shipment_uuid": shipping.id if shipping else None,
        "shipping_method": None,
        "shipping_method_checkout_name": (order.get("shipping_details") or {}).get("delivery_indicator", ""),
        "telephone": address.get("phone_number", ""),
        "to_post_number": "",
        "to_service_point": None,
        "to_state": address.get("state_province_code"),
        "total_order_value": f"{payment['total_price']['value']:.2f}",
        "updated_at": shop_time(meta.updated if meta.updated is not None else meta.created),
        "weight": None,
        "width": None,
        "height": None,
        "length": None,
        "shipment_created_at": shop_time(meta.created),
        "shipment_updated_at": shop_time(meta.modified),
    }
