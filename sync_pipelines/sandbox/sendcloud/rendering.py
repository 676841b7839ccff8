"""V3's view of shipments, parcels and their documents."""

from __future__ import annotations

import base64
from typing import Any

from sync_pipelines.sandbox.sendcloud.catalogue import ADDRESS_FIELDS, ANNOUNCEMENT_FAILED, STATUSES
from sync_pipelines.sandbox.sendcloud.chance import at
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.papers import has_label, label_of
from sync_pipelines.sandbox.sendcloud.parcels import grams_of, tracking_url

CUSTOMS_COUNTRIES = {"GB", "CH", "US"}


def v3_shipment(shipping: Shipping, *, base: str, with_label: bool = False) -> dict[str, Any]:
    """A shipment as V3 shows it; ``with_label`` adds the file of a single parcel, as a synchronous announcement does."""
    option = shipping.option
    record: dict[str, Any] = {
        "id": shipping.id,
        "order_number": shipping.order_name,
        "reference": shipping.reference,
        "external_reference_id": shipping.external_reference_id,
        "to_address": _address(shipping.to_address),
        "from_address": _address(shipping.from_address),
        "parcels": [v3_parcel(shipping, parcel, base=base) for parcel in shipping.parcels],
        "errors": shipping.errors,
    }
    if option:
        properties = {"shipping_option_code": option.code, "contract_id": option.contract_id}
        record["ship_with"] = {"type": "shipping_option_code", "properties": properties}
        record["carrier"] = {"code": option.carrier, "name": option.carrier_name}
    if shipping.total:
        record["total_order_price"] = {"value": shipping.total[0], "currency": shipping.total[1]}
    if shipping.request.get("customs_information"):
        record["customs_information"] = shipping.request["customs_information"]
    point = shipping.request.get("to_service_point")
    if point:
        record["to_service_point"] = {
            "id": point.get("id", "1"),
            "carrier_service_point_id": point.get("carrier_service_point_id", "SP-1"),
        }
    if with_label:
        details = {"mime_type": "application/pdf", "dpi": 72, **(shipping.request.get("label_details") or {})}
        record["label_details"] = details
        if len(shipping.parcels) == 1 and has_label(shipping.parcels[0]):
            label = label_of(shipping, shipping.parcels, details["mime_type"])
            record["parcels"][0]["label_file"] = base64.b64encode(label).decode()
    return record


def v3_parcel(shipping: Shipping, parcel: Parcel, *, base: str) -> dict[str, Any]:
    """A parcel below a shipment."""
    status = STATUSES[parcel.status]
    record: dict[str, Any] = {
        "id": parcel.id,
        "status": {"code": status.code, "message": status.message},
        "documents": _documents(shipping, parcel, base) if has_label(parcel) else [],
        "weight": {"value": f"{parcel.grams / 1000:.3f}", "unit": "kg"},
        "tracking_number": parcel.tracking_number,
        "tracking_url": tracking_url(parcel) if parcel.tracking_number else None,
        "additional_carrier_data": {"awb_tracking_number": None, "box_number": None},
        "created_at": instant(parcel.created),
        "updated_at": instant(parcel.updated),
        "announced_at": instant(parcel.announced) if parcel.announced else None,
        "parcel_items": [_item(line) for line in parcel.lines],
    }
    if parcel.status == ANNOUNCEMENT_FAILED:
        record.pop("documents")
    for name in ("dimensions", "label_notes", "package_type", "sscc", "additional_insured_price"):
        if parcel.request.get(name) is not None:
            record[name] = parcel.request[name]
    return record


def instant(moment: int) -> str:
    """V3 shipments write microseconds and ``Z``."""
    return at(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _documents(shipping: Shipping, parcel: Parcel, base: str) -> list[dict[str, Any]]:
    def document(kind: str, size: str) -> dict[str, Any]:
        old = "label" if kind == "label" else "commercial-invoice"
        return {"type": old, "document_type": kind, "size": size, "link": f"{base}/v3/parcels/{parcel.id}/documents/{kind}"}

    documents = [document("label", "a6")]
    if shipping.to_address.get("country_code") in CUSTOMS_COUNTRIES:
        documents.append(document("customs-declaration", "a4"))
    return documents


def _address(address: dict[str, Any]) -> dict[str, Any]:
    names = (*ADDRESS_FIELDS, "email", "phone_number")
    return {name: address[name] for name in names if name in address}


def _item(line: dict[str, Any]) -> dict[str, Any]:
    cost = line.get("unit_price") or {
        "value": line["total_price"]["value"] / line["quantity"],
        "currency": line["total_price"]["currency"],
    }
    item: dict[str, Any] = {
        "description": line["name"],
        "quantity": line["quantity"],
        "weight": {"value": grams_of(line) / 1000, "unit": "kg"},
        "price": {"value": f"{cost['value']:.2f}", "currency": cost["currency"]},
        "hs_code": line.get("hs_code", ""),
        "properties": line.get("properties", {}),
        "mid_code": line.get("mid_code"),
    }
    renamed = (("item_id", "item_id"), ("sku", "sku"), ("product_id", "product_id"), ("country_of_origin", "origin_country"))
    return item | {new: line[old] for old, new in renamed if line.get(old)}
