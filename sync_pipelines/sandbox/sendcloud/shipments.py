"""V3 shipments: announce at once or in the background, list, get, cancel (facts §5.1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import RefusedError, answer, read_json, v3_error
from sync_pipelines.sandbox.sendcloud.announcing import Request as ShipmentRequest
from sync_pipelines.sandbox.sendcloud.announcing import announce, check_request
from sync_pipelines.sandbox.sendcloud.cancelling import cancel_shipment
from sync_pipelines.sandbox.sendcloud.chance import micros
from sync_pipelines.sandbox.sendcloud.generate import Shipping
from sync_pipelines.sandbox.sendcloud.listing import Lists
from sync_pipelines.sandbox.sendcloud.paging import Cursor, InvalidCursorError, page
from sync_pipelines.sandbox.sendcloud.rendering import v3_shipment
from sync_pipelines.sandbox.sendcloud.urls import api_url
from sync_pipelines.sandbox.sendcloud.world import Account

SYNC_PARCELS, ASYNC_PARCELS = 15, 50


class Shipments:
    """The handlers below ``/api/v3/shipments``."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def list(self, account: Account, request: Request) -> Response:
        """``GET /shipments``: newest first; the time filters are datetimes and exclude the given instant."""
        wanted = _filter(account, request)
        text = request.query_params.get("cursor")
        try:
            cursor = Cursor.decode(text) if text else Cursor()
            found = page(account.shipment_index(), descending=True, cursor=cursor, size=_page_size(request), wanted=wanted)
        except InvalidCursorError:
            return v3_error(404, "not_found", "Invalid cursor", source={"pointer": "/data"})
        base = api_url(request)
        records = [v3_shipment(shipping, base=base) for key in found.keys if (shipping := account.shipping(key)) is not None]
        return self._lists.v3(request, "shipments", account, found.keys, records, found)

    async def get(self, account: Account, request: Request) -> Response:
        """``GET /shipments/{id}``."""
        return answer({"data": v3_shipment(self._existing(account, request), base=api_url(request))})

    async def announce(self, account: Account, request: Request) -> Response:
        """``POST /shipments/announce``: labels in the answer."""
        return await self._announce(account, request, wait=True, rules=False)

    async def create(self, account: Account, request: Request) -> Response:
        """``POST /shipments``: labels later."""
        return await self._announce(account, request, wait=False, rules=False)

    async def announce_by_rules(self, account: Account, request: Request) -> Response:
        """``POST /shipments/announce-with-shipping-rules``."""
        return await self._announce(account, request, wait=True, rules=True)

    async def create_by_rules(self, account: Account, request: Request) -> Response:
        """``POST /shipments/create-with-shipping-rules``."""
        return await self._announce(account, request, wait=False, rules=True)

    async def cancel(self, account: Account, request: Request) -> Response:
        """``POST /shipments/{id}/cancel``."""
        status, word, message = cancel_shipment(account, self._existing(account, request))
        if status >= 400:
            return v3_error(status, word, message)
        return answer({"data": {"status": word, "message": message}}, status)

    async def return_portal(self, account: Account, request: Request) -> Response:
        """``GET /shipments/{id}/return-portal-url``: none is configured."""
        self._existing(account, request)
        return v3_error(404, "not_found", "No return portal is configured for this shipment.")

    async def _announce(self, account: Account, request: Request, *, wait: bool, rules: bool) -> Response:
        body = read_json(await request.body())
        most = SYNC_PARCELS if wait and not rules else ASYNC_PARCELS
        complaint = check_request(body, most=most, rules=rules)
        if complaint:
            prefix = "" if wait else "/data/attributes"
            return v3_error(400, complaint.code, complaint.detail, source={"pointer": prefix + complaint.pointer})
        wish = ShipmentRequest(body)
        base = api_url(request)
        if wish.external_reference_id:
            known = account.shipping_by_reference(wish.external_reference_id)
            if known is not None:
                return answer({"data": v3_shipment(known, base=base)}, 409)
        shipping = announce(account, wish, wait=wait)
        record = v3_shipment(shipping, base=base, with_label=wait)
        if rules:
            record["applied_shipping_rules"] = []
        return answer({"data": record}, 201)

    @staticmethod
    def _existing(account: Account, request: Request) -> Shipping:
        shipping = account.shipping_by_uuid(request.path_params["id"])
        if shipping is None or not shipping.has_label:
            raise RefusedError(v3_error(404, "not_found", "Not found"))
        return shipping


def _page_size(request: Request) -> int:
    try:
        return min(max(int(request.query_params.get("page_size") or 40), 1), 100)
    except ValueError:
        return 40


def _moment(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        return micros(datetime.fromisoformat(text.replace(" ", "+")))
    except ValueError as error:
        detail = f"Validation failed, {name} is not a datetime"
        raise RefusedError(v3_error(400, "validation_error", detail, source={"pointer": "/list_shipments/filters"})) from error


def _filter(account: Account, request: Request) -> Callable[[int], bool]:
    query = request.query_params
    after, before = _moment(request, "updated_after"), _moment(request, "updated_before")
    announced_after, announced_before = _moment(request, "announced_after"), _moment(request, "announced_before")
    parcels = set(query["ids"].split(",")) if query.get("ids") else None
    uuids = set(query["shipment_uuids"].split(",")) if query.get("shipment_uuids") else None
    names = ("external_reference_id", "order_number", "integration_id", "tracking_number", "parcel_status")
    exact = {name: query[name] for name in names if query.get(name)}

    def wanted(key: int) -> bool:
        shipping = account.shipping(key)
        if shipping is None or (uuids is not None and shipping.id not in uuids):
            return False
        if parcels is not None and not any(str(parcel.id) in parcels for parcel in shipping.parcels):
            return False
        announced = max((parcel.announced or 0 for parcel in shipping.parcels), default=0)
        for moment, low, high in ((shipping.updated, after, before), (announced, announced_after, announced_before)):
            if (low is not None and moment <= low) or (high is not None and moment >= high):
                return False
        return all(value in shipping.words(name) for name, value in exact.items())

    return wanted
