"""SendCloud's webhooks as they arrive in life: one of two keys, out of order, twice, forged, or not at all (facts §7)."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.sendcloud.catalogue import STATUSES
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.mutate import next_status, set_status, ship
from sync_pipelines.sandbox.sendcloud.parcels import v2_parcel
from sync_pipelines.sandbox.sendcloud.posting import Delivery, post_all
from sync_pipelines.sandbox.sendcloud.profiles import Key
from sync_pipelines.sandbox.sendcloud.reference import v2_integration
from sync_pipelines.sandbox.sendcloud.rendering import instant
from sync_pipelines.sandbox.sendcloud.world import Account

SIGNATURE = "Sendcloud-Signature"


@dataclass
class Campaign:
    """What to send. Shares are of all events; ``forged`` ones come in addition, ``dropped`` ones are never sent.

    Attributes:
        url: Where to.
        events: How many status changes to make and tell of.
        style: ``classic`` (``parcel_status_changed``) or ``subscription`` (``parcels.event.created``).
        integration: Only parcels of this one.
        sign_with: ``signature`` key, ``secret`` key, or ``mixed`` (by integration).
        headers: Sent along (subscriptions authenticate by header, they are not signed).
        shuffle: Send in random order.
        duplicates: Share that is sent twice.
        forged: Share of additional bodies with a wrong signature and a status that never was.
        dropped: Share that is never sent.
        others: Also send one of each other classic event.
        parcels: Only these.
        concurrency: Requests at a time.
        per_second: The pace of sending; 0 sends as fast as is answered.
        seed: Same seed, same campaign.
    """

    url: str
    events: int = 100
    style: str = "classic"
    integration: int | None = None
    sign_with: str = "mixed"
    headers: dict[str, str] = field(default_factory=dict)
    shuffle: bool = True
    duplicates: float = 0.1
    forged: float = 0.0
    dropped: float = 0.0
    others: bool = False
    parcels: list[int] = field(default_factory=list)
    concurrency: int = 8
    per_second: float = 0
    seed: int = 0


async def send(account: Account, campaign: Campaign, *, base: str) -> dict[str, Any]:
    """Changes parcels, tells of it, and reports: ``events, sent, duplicated, forged, dropped, statuses, dropped_parcels``."""
    chance = random.Random(campaign.seed)
    deliveries: list[Delivery] = []
    report: dict[str, Any] = {"events": campaign.events, "duplicated": 0, "forged": 0, "dropped": 0}
    dropped_parcels: set[int] = set()
    for shipping, parcel in _happenings(account, campaign, chance):
        delivery = _delivery(account, campaign, shipping, parcel, base=base)
        if chance.random() < campaign.dropped:
            report["dropped"] += 1
            dropped_parcels.add(parcel.id)
        else:
            twice = chance.random() < campaign.duplicates
            deliveries += [delivery] * (2 if twice else 1)
            report["duplicated"] += twice
        if chance.random() < campaign.forged:
            deliveries.append(_forged(delivery, chance))
            report["forged"] += 1
    if campaign.others:
        deliveries += _others(account, campaign)
    if campaign.shuffle:
        chance.shuffle(deliveries)
    statuses = await post_all(campaign.url, deliveries, concurrency=campaign.concurrency, per_second=campaign.per_second)
    return {**report, "sent": len(deliveries), "statuses": statuses, "dropped_parcels": sorted(dropped_parcels)}


def sign(body: bytes, key: str) -> str:
    """Hex HMAC-SHA256 of the raw body."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def _happenings(account: Account, campaign: Campaign, chance: random.Random) -> Any:
    """Advances a parcel, ``events`` times; yields it as it is right then."""
    chosen = [owner for key in campaign.parcels if (owner := account.parcel_owner(key)) is not None]
    shippings = chosen or [
        shipping for shipping in account.shippings() if campaign.integration is None or shipping.integration == campaign.integration
    ]
    for _ in range(campaign.events):
        shipping = chance.choice(shippings)
        parcel = chance.choice([one for one in shipping.parcels if not campaign.parcels or one.id in campaign.parcels])
        if shipping.has_label:
            set_status(account, shipping, parcel, next_status(parcel, chance))
        elif shipping.order is not None:
            ship(account, shipping.order, chance)
        yield shipping, parcel


def _delivery(account: Account, campaign: Campaign, shipping: Shipping, parcel: Parcel, *, base: str) -> Delivery:
    if campaign.style == "subscription":
        return Delivery(_dump(_subscription_event(shipping, parcel)), campaign.headers)
    milliseconds = parcel.updated // 1000
    record = v2_parcel(account, shipping, parcel, base=base)
    body = {
        "action": "parcel_status_changed",
        "timestamp": milliseconds,
        "carrier_status_change_timestamp": milliseconds - 250 if parcel.id % 3 else None,
        "parcel": {
            **record,
            "label": {"normal_printer": None, "label_printer": None} if parcel.id // 4 % 4 == 0 else record["label"],
            "carrier": {**record["carrier"], "name": record["carrier"]["code"].title(), "servicepoints_carrier_code": None},
            "insured_value": 0.0,
            "total_insured_value": 0.0,
            "from_country": "FR",
            "date_shipped": None,
            "track_trace_notifications": [],
            "should_send_feedback": True,
            "source": "api",
            "extra_data": {},
        },
    }
    raw = _dump(body)
    return Delivery(raw, {SIGNATURE: sign(raw, _signing_key(account, campaign, shipping.integration)), **campaign.headers})


def _subscription_event(shipping: Shipping, parcel: Parcel) -> dict[str, Any]:
    status = STATUSES[parcel.status]
    return {
        "event_type": "parcels.event.created",
        "data": {
            "parcel": {
                "parcel_id": parcel.id,
                "tracking_number": parcel.tracking_number,
                "carrier_code": shipping.option.carrier if shipping.option else "sendcloud",
                "announced_at": instant(parcel.announced or parcel.created),
            },
            "event": {
                "event_type": "carrier",
                "timestamp": instant(parcel.updated),
                "phase": "delivered" if parcel.status == 11 else "in_transit",
                "exception": None,
                "status_type": status.slug,
                "sub_status": status.code,
                "description": status.message,
                "end_of_tracking": parcel.status in {11, 93},
                "is_offered": True,
                "is_carrier_responsible": True,
                "is_returned": parcel.status == 62992,
                "location_details": {},
                "extra_data": {},
            },
        },
    }


def _forged(delivery: Delivery, chance: random.Random) -> Delivery:
    """The same event with a status that never was, signed by somebody else."""
    body = json.loads(delivery.body)
    if "parcel" in body:
        body["parcel"]["status"] = {"id": 66666, "message": "Forged"}
        body["timestamp"] += 86_400_000
    raw = _dump(body)
    wrong = (sign(raw, "not-the-key"), "", "0" * 64, sign(delivery.body, "not-the-key"))[chance.randrange(4)]
    return Delivery(raw, {SIGNATURE: wrong} if wrong else {})


def _others(account: Account, campaign: Campaign) -> list[Delivery]:
    """One of each event that is not about a parcel's status."""
    integration = account.profile.integrations[0]
    milliseconds = account.now // 1000
    shown = v2_integration(account, integration)
    bodies: list[dict[str, Any]] = [
        {"action": f"integration_{what}", "timestamp": milliseconds, "integration": shown}
        for what in ("connected", "updated", "deleted")
    ]
    items = [{"item_id": "1", "description": "mug", "quantity": 1, "sku": "SKU-00001", "return_reason_id": 2}]
    returned = {
        "id": 1,
        "brand_id": 1,
        "order_number": "SO-10000",
        "paid_return": False,
        "delivery_choice": "drop_off_point",
        "items": items,
    }
    bodies.append({"action": "return_created", "timestamp": milliseconds, "data": returned})
    bodies.append({"action": "test_webhook", "timestamp": milliseconds})
    key = _signing_key(account, campaign, integration.id)
    return [Delivery(raw, {SIGNATURE: sign(raw, key)}) for raw in map(_dump, bodies)]


def _signing_key(account: Account, campaign: Campaign, integration: int | None) -> str:
    keys = {key.integration: key for key in account.profile.keys}
    key: Key = keys.get(integration or 0, account.profile.keys[0])
    system = next((one.system for one in account.profile.integrations if one.id == integration), "api")
    use_secret = campaign.sign_with == "secret" or (campaign.sign_with == "mixed" and system == "api")
    return key.secret if use_secret else key.webhook_signature


def _dump(body: Any) -> bytes:
    """Spaces after ``:`` and ``,``, as SendCloud most likely writes them."""
    return json.dumps(body).encode()
