"""Tracking over V3 (no envelope) and V2 (404 is an object store's XML), facts §5.4."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import answer
from sync_pipelines.sandbox.sendcloud.catalogue import ADDRESS_FIELDS, STATUSES
from sync_pipelines.sandbox.sendcloud.chance import at
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.parcels import tracking_url
from sync_pipelines.sandbox.sendcloud.rendering import instant
from sync_pipelines.sandbox.sendcloud.world import Account

NO_SUCH_KEY = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>v2/000/{number}.json</Key>\
<RequestId>SANDBOX0000000000</RequestId><HostId>sandbox</HostId></Error>"""


async def v3_tracking(account: Account, request: Request) -> Response:
    """``GET /v3/parcels/tracking/{number}``."""
    found = _find(account, request.path_params["number"])
    if found is None:
        return answer({"detail": "Parcel does not exist"}, 404)
    shipping, parcel = found
    record: dict[str, Any] = {
        "source_id": str(parcel.id),
        "announced_at": instant(parcel.announced or parcel.created),
        "created_at": instant(parcel.created),
        "updated_at": instant(parcel.updated),
        "details": {"is_mail_box": False, "is_return": False, "is_to_service_point": False},
        "events": [_event(moment, status) for moment, status in parcel.history],
        "tracking_numbers": [
            {
                "carrier_code": shipping.option.carrier if shipping.option else "sendcloud",
                "tracking_number": parcel.tracking_number,
                "tracking_url": tracking_url(parcel),
            }
        ],
        "from_address": {name: shipping.from_address[name] for name in ADDRESS_FIELDS if name in shipping.from_address},
        "to_address": {name: shipping.to_address[name] for name in ADDRESS_FIELDS if name in shipping.to_address},
    }
    if shipping.integration is not None:
        record["details"]["integration_id"] = shipping.integration
    return answer(record)


async def v2_tracking(account: Account, request: Request) -> Response:
    """``GET /v2/tracking/{number}``."""
    number = request.path_params["number"]
    found = _find(account, number)
    if found is None:
        return Response(NO_SUCH_KEY.format(number=number), 404, media_type="application/xml")
    shipping, parcel = found
    carrier = shipping.option.carrier if shipping.option else "sendcloud"
    statuses = [
        {
            "carrier_update_timestamp": str(at(moment)),
            "parcel_status_history_id": str(parcel.id * 100 + place),
            "parent_status": STATUSES[status].slug,
            "carrier_code": carrier,
            "carrier_message": STATUSES[status].message,
        }
        for place, (moment, status) in enumerate(parcel.history)
    ]
    return answer(
        {
            "parcel_id": str(parcel.id),
            "carrier_code": carrier,
            "created_at": str(at(parcel.created)),
            "carrier_tracking_url": f"https://carrier.example.com/{number}",
            "sendcloud_tracking_url": tracking_url(parcel),
            "is_return": False,
            "is_to_service_point": False,
            "is_mail_box": False,
            "expected_delivery_date": at(parcel.updated).date().isoformat(),
            "statuses": statuses,
        }
    )


def _event(moment: int, status_id: int) -> dict[str, Any]:
    status = STATUSES[status_id]
    return {
        "event_at": instant(moment),
        "event_type": "internal" if status_id >= 999 else "carrier",
        "status_code": status.code,
        "status_description": status.message,
        "status_type": status.slug,
        "sub_status_code": "",
    }


def _find(account: Account, number: str) -> tuple[Shipping, Parcel] | None:
    for shipping in account.shippings():
        for parcel in shipping.parcels:
            if number and parcel.tracking_number == number:
                return shipping, parcel
    return None
