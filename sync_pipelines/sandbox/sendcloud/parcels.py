"""V2 parcels: list, get, cancel, statuses, and the order blobs of an integration (facts §4, §6.4).

Every order is here too: as the parcel that waits for its label (status 999), or as the labelled ones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import RefusedError, answer, v2_error
from sync_pipelines.sandbox.sendcloud.cancelling import cancel_parcel
from sync_pipelines.sandbox.sendcloud.catalogue import ANNOUNCEMENT_FAILED, ANNOUNCING, COUNTRIES, NO_LABEL, STATUSES
from sync_pipelines.sandbox.sendcloud.chance import micros, v2_time
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.listing import Lists
from sync_pipelines.sandbox.sendcloud.paging import Cursor, InvalidCursorError, page
from sync_pipelines.sandbox.sendcloud.urls import api_url
from sync_pipelines.sandbox.sendcloud.world import Account

PAGE = 100
UNLABELLED = {NO_LABEL, ANNOUNCING, ANNOUNCEMENT_FAILED}


class Parcels:
    """The handlers below ``/api/v2/parcels``."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def list(self, account: Account, request: Request) -> Response:
        """``GET /parcels``: newest id first, 100 a page, ``next`` and ``previous`` are URLs."""
        wanted = _filter(account, request)
        text = request.query_params.get("cursor")
        try:
            cursor = Cursor.decode(text) if text else Cursor()
            found = page(account.parcel_index(), descending=True, cursor=cursor, size=PAGE, wanted=wanted)
        except InvalidCursorError:
            return v2_error(request, 404, "Invalid cursor")
        base = api_url(request)
        records = [v2_parcel(account, *owned(account, key), base=base) for key in found.keys]
        return self._lists.v2(request, "parcels", account, found.keys, records, found, name="parcels")

    async def get(self, account: Account, request: Request) -> Response:
        """``GET /parcels/{id}``: the same with item ids and customs information."""
        shipping, parcel = self._existing(account, request)
        record = v2_parcel(account, shipping, parcel, base=api_url(request), full=True)
        return self._lists.v2_one(account, parcel.id, record, name="parcel")

    async def statuses(self, _: Account, __: Request) -> Response:
        """``GET /parcels/statuses``: a bare array."""
        return answer([{"id": status.id, "message": status.message} for status in STATUSES.values()])

    async def create(self, account: Account, request: Request) -> Response:
        """``POST /parcels``: closed for accounts created since April 2026; which status they get is not documented."""
        return v2_error(request, account.settings.closed_status, "This endpoint is no longer available. Please use API v3.")

    async def cancel(self, account: Account, request: Request) -> Response:
        """``POST /parcels/{id}/cancel``."""
        shipping, parcel = self._existing(account, request)
        status, word, message = cancel_parcel(account, shipping, parcel)
        return answer({"status": word, "message": message}, status)

    async def return_portal(self, account: Account, request: Request) -> Response:
        """``GET /parcels/{id}/return_portal_url``: none is configured."""
        self._existing(account, request)
        return answer({"url": None}, 404)

    @staticmethod
    def _existing(account: Account, request: Request) -> tuple[Shipping, Parcel]:
        key = request.path_params["id"]
        shipping = account.parcel_owner(int(key)) if key.isascii() and key.isdigit() else None
        if shipping is None:
            raise RefusedError(v2_error(request, 404, "No Parcel matches the given query."))
        return owned(account, int(key))


def owned(account: Account, parcel_id: int) -> tuple[Shipping, Parcel]:
    """A parcel that is known to exist, with its shipment."""
    shipping = account.parcel_owner(parcel_id)
    if shipping is None:
        raise LookupError(parcel_id)
    return shipping, next(parcel for parcel in shipping.parcels if parcel.id == parcel_id)


def v2_parcel(account: Account, shipping: Shipping, parcel: Parcel, *, base: str, full: bool = False) -> dict[str, Any]:
    """A parcel as V2 shows it, with the quirks of its empty values."""
    address = shipping.to_address
    country = address.get("country_code") or "FR"
    _, alpha3, country_name = COUNTRIES.get(country, (0, "XXX", country))
    status = STATUSES[parcel.status]
    labelled = parcel.status not in UNLABELLED
    option = shipping.option
    record: dict[str, Any] = {
        "id": parcel.id,
        "name": address.get("name", ""),
        "company_name": address.get("company_name", ""),
        "address": f"{address.get('address_line_1', '')} {address.get('house_number', '')}".strip(),
        "address_2": address.get("address_line_2", ""),
        "address_divided": {"street": address.get("address_line_1", ""), "house_number": address.get("house_number", "")},
        "city": address.get("city", ""),
        "postal_code": address.get("postal_code", ""),
        "country": {"iso_2": country, "iso_3": alpha3, "name": country_name},
        "to_state": address.get("state_province_code"),
        "telephone": address.get("phone_number", ""),
        "email": address.get("email", ""),
        "to_service_point": None,
        "to_post_number": "",
        "date_created": v2_time(parcel.created),
        "date_updated": v2_time(parcel.updated),
        "date_announced": v2_time(parcel.announced) if parcel.announced else None,
        "tracking_number": parcel.tracking_number,
        "weight": f"{parcel.grams / 1000:.3f}",
        "length": None,
        "width": None,
        "height": None,
        "status": {"id": status.id, "message": status.message},
        "shipment": {"id": option.method_id + 1000 * account.method_epoch, "name": option.name} if option else None,
        "carrier": {"code": option.carrier if option else "sendcloud"},
        "contract": option.contract_id if option else None,
        "label": label_links(base, parcel) if labelled else {},
        "documents": v2_documents(base, shipping, parcel) if labelled else [],
        "customs_declaration": {},
        "customs_invoice_nr": "",
        "customs_shipment_type": 2 if country in {"GB", "CH", "US"} else None,
        "order_number": shipping.order_name,
        "reference": shipping.reference or "0",
        "external_reference": shipping.external_reference_id,
        "external_order_id": shipping.order_ref,
        "external_shipment_id": "",
        "shipment_uuid": shipping.id,
        "insured_value": 0,
        "total_insured_value": 0,
        "total_order_value": shipping.total[0] if shipping.total else None,
        "total_order_value_currency": shipping.total[1] if shipping.total else None,
        "parcel_items": [v2_line(line, full=full) for line in parcel.lines],
        "is_return": False,
        "note": "" if parcel.id % 3 else None,
        "type": "parcel" if parcel.id // 4 % 2 else None,
        "data": {},
        "colli_uuid": shipping.id,
        "colli_tracking_number": parcel.tracking_number,
        "collo_nr": parcel.collo,
        "collo_count": len(shipping.parcels),
        "awb_tracking_number": None,
        "box_number": None,
        "shipping_method_checkout_name": "Home delivery" if parcel.id // 4 % 2 else None,
    }
    if option:
        record["shipping_method"] = option.method_id + 1000 * account.method_epoch
    if parcel.tracking_number:
        record["tracking_url"] = tracking_url(parcel)
    elif parcel.id // 4 % 2:
        record["tracking_url"] = None
    if shipping.errors:
        record["errors"] = {"non_field_errors": [error["detail"] for error in shipping.errors]}
    if full:
        record["customs_information"] = {"customs_invoice_nr": "", "customs_shipment_type": 2, "export_type": "commercial_b2c"}
    return record


def v2_line(line: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """An order item as a parcel item: money and weight as text, no EAN."""
    unit = line.get("unit_price") or {"value": line["total_price"]["value"] / line["quantity"]}
    shown = {
        "description": line["name"],
        "quantity": line["quantity"],
        "weight": f"{grams_of(line) / 1000:.3f}",
        "value": f"{unit['value']:.2f}",
        "hs_code": line.get("hs_code", ""),
        "origin_country": line.get("country_of_origin"),
        "product_id": line.get("product_id", ""),
        "properties": line.get("properties", {}),
        "sku": line.get("sku", ""),
        "return_reason": None,
        "return_message": None,
    }
    return {**shown, "item_id": line.get("item_id"), "mid_code": line.get("mid_code") or ""} if full else shown


def grams_of(line: dict[str, Any]) -> int:
    """Weight of one piece."""
    weight = (line.get("measurement") or {}).get("weight") or {"value": 0.1, "unit": "kg"}
    return round(float(weight["value"]) * {"kg": 1000, "g": 1, "lbs": 453.592, "oz": 28.3495}[weight["unit"]])


def label_links(base: str, parcel: Parcel) -> dict[str, Any]:
    """Label URLs; some parcels lack the label printer's."""
    links: dict[str, Any] = {
        "normal_printer": [f"{base}/v2/labels/normal_printer/{parcel.id}?start_from={corner}" for corner in range(4)]
    }
    if parcel.id % 29:
        links["label_printer"] = f"{base}/v2/labels/label_printer/{parcel.id}"
    return links


def v2_documents(base: str, shipping: Shipping, parcel: Parcel) -> list[dict[str, Any]]:
    """Document links; one in many lacks its link."""
    documents = [{"type": "label", "size": "a6", "link": f"{base}/v2/parcels/{parcel.id}/documents/label"}]
    if shipping.to_address.get("country_code") in {"GB", "CH", "US"}:
        documents.append(
            {"type": "commercial-invoice", "size": "a4", "link": f"{base}/v2/parcels/{parcel.id}/documents/commercial-invoice"}
        )
    if parcel.id % 165 == 0:
        documents[0].pop("link")
    return documents


def tracking_url(parcel: Parcel) -> str:
    """Where a customer follows the parcel."""
    return f"https://tracking.example.com/forward?code={parcel.tracking_number}"


def _filter(account: Account, request: Request) -> Callable[[int], bool]:
    query = request.query_params
    updated, announced = (_moment(request, name) for name in ("updated_after", "announced_after"))
    ids = {part.strip() for part in query["ids"].split(",")} if query.get("ids") else None
    exact = {
        name: query[name] for name in ("parcel_status", "tracking_number", "external_reference", "order_number") if query.get(name)
    }

    def wanted(key: int) -> bool:
        if ids is not None and str(key) not in ids:
            return False
        shipping, parcel = owned(account, key)
        if updated is not None and parcel.updated <= updated:
            return False
        if announced is not None and (parcel.announced is None or parcel.announced <= announced):
            return False
        values = {
            "parcel_status": str(parcel.status),
            "tracking_number": parcel.tracking_number,
            "external_reference": shipping.external_reference_id or "",
            "order_number": shipping.order_name,
        }
        return all(values[name] == value for name, value in exact.items())

    return wanted


def _moment(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        return micros(datetime.fromisoformat(text.replace(" ", "+")))
    except ValueError as error:
        raise RefusedError(v2_error(request, 400, f"{name}: 'Enter a valid date/time.'")) from error
