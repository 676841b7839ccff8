"""The world goes on: realistic changes by seed, and the named ones tests ask for."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

from sync_pipelines.sandbox.sendcloud.catalogue import JOURNEYS, NO_LABEL, product
from sync_pipelines.sandbox.sendcloud.chance import shop_time
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping, price
from sync_pipelines.sandbox.sendcloud.world import Account

KINDS = {
    "update": 30,
    "items": 15,
    "status": 15,
    "touch": 10,
    "create": 15,
    "ship": 5,
    "parcel": 7,
    "delete": 3,
}
"""Kinds of change and how often each comes up. ``touch`` moves nothing but SendCloud's own ``modified_at``."""


def mutate(account: Account, *, operations: int, seed: int, kinds: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Makes ``operations`` random changes; returns what was done, in order.

    Raises:
        KeyError: for an unknown kind.
    """
    chance = random.Random(seed)
    names = list(kinds) or list(KINDS)
    weights = [KINDS[name] for name in names]
    done = []
    for _ in range(operations):
        kind = chance.choices(names, weights)[0]
        key = create(account, chance) if kind == "create" else _existing(account, chance)
        if kind != "create":
            ACTIONS[kind](account, key, chance)
        done.append({"kind": kind, "order": key})
    return done


def create(account: Account, chance: random.Random) -> int:
    """A new order, made now."""
    generator = account.generator
    key = account.new_order_key()
    i = key - generator.first_order_id
    order = generator.order(i)
    details = order["order_details"]
    details["order_created_at"] = details["order_updated_at"] = _now(account)
    details["status"] = {"code": "unfulfilled", "message": "Unfulfilled"}
    details["integration"] = {"id": chance.choice(generator.integrations)}
    order["order_id"] = f"{details['integration']['id']}-{1_000_000 + i}"
    order.pop("created_at")
    account.put_order(key, order)
    return key


def update(account: Account, key: int, chance: random.Random) -> None:
    """The shop changes an order and says when."""
    order = _copy(account, key)
    order["order_details"]["notes"] = f"Note {chance.randrange(10**6)}"
    if order.get("shipping_address"):
        order["shipping_address"]["house_number"] = str(chance.randrange(1, 300))
    _save(account, key, order)


def items(account: Account, key: int, chance: random.Random) -> None:
    """A line is added, changed or removed, and the total follows."""
    order = _copy(account, key)
    lines, payment = order["order_details"]["order_items"], order["payment_details"]
    currency = payment["total_price"]["currency"]
    what = chance.choice(("add", "change", "remove")) if len(lines) > 1 else "add"
    if what == "remove":
        lines.pop(chance.randrange(len(lines)))
    elif what == "change":
        line = chance.choice(lines)
        line["quantity"] += 1
        line["total_price"] = price(round(line["total_price"]["value"] * 100 * line["quantity"] / (line["quantity"] - 1)), currency)
    else:
        thing = product(account.generator.seed, chance.randrange(account.generator.products))
        lines.append(
            {
                "item_id": f"{key}-{chance.randrange(10**6)}",
                "product_id": f"P{thing.number}",
                "name": thing.name,
                "quantity": 1,
                "sku": thing.sku,
                "ean": thing.ean,
                "unit_price": price(thing.price, currency),
                "total_price": price(thing.price, currency),
            }
        )
    payment["total_price"] = price(sum(round(line["total_price"]["value"] * 100) for line in lines), currency)
    _save(account, key, order)


def status(account: Account, key: int, chance: random.Random) -> None:
    """The shop gives the order another status."""
    order = _copy(account, key)
    choices = (("unfulfilled", "Unfulfilled"), ("on_hold", "On hold"), ("fulfilled", "Fulfilled"), ("cancelled", "Cancelled"))
    code, message = chance.choice([one for one in choices if one[0] != order["order_details"]["status"]["code"]])
    order["order_details"]["status"] = {"code": code, "message": message}
    _save(account, key, order)


def touch(account: Account, key: int, chance: random.Random) -> None:
    """Something changes at SendCloud that the shop knows nothing of: only ``modified_at`` moves."""
    order = _copy(account, key)
    order["order_details"]["tags"] = [f"tag-{chance.randrange(1000)}"]
    account.put_order(key, order)


def delete(account: Account, key: int, _: random.Random) -> None:
    """The order disappears."""
    account.delete_order(key)


def ship(account: Account, key: int, chance: random.Random) -> None:
    """Somebody makes the label in the panel."""
    shipping = account.shipping_of(key)
    if shipping is None or shipping.has_label:
        return
    shipping.option = account.generator.option_for(shipping.to_address["country_code"], chance.randrange(1000))
    parcel = shipping.parcels[0]
    parcel.announced, parcel.tracking_number = account.now, f"SBX{chance.randrange(10**11):011d}"
    set_status(account, shipping, parcel, JOURNEYS[0][0])


def advance(account: Account, key: int, chance: random.Random) -> None:
    """A parcel of the order moves on; one without label is shipped."""
    shipping = account.shipping_of(key)
    if shipping is None or not shipping.has_label:
        ship(account, key, chance)
        return
    parcel = chance.choice(shipping.parcels)
    set_status(account, shipping, parcel, next_status(parcel, chance))


def next_status(parcel: Parcel, chance: random.Random) -> int:
    """Where a parcel goes from here; delivered ones may come back."""
    journeys = [journey for journey in JOURNEYS if parcel.status in journey[:-1]]
    if not journeys:
        return 62992 if parcel.status != 62992 else 1337
    journey = chance.choice(journeys)
    return journey[journey.index(parcel.status) + 1]


def set_status(account: Account, shipping: Shipping, parcel: Parcel, status_id: int) -> None:
    """Gives a parcel a status, now; changes are a millisecond apart at least, the resolution of webhooks."""
    moment = max(account.now, parcel.updated + 1000)
    parcel.history.append((moment, status_id))
    parcel.updated = moment
    if status_id != NO_LABEL and parcel.announced is None:
        parcel.announced = moment
    account.keep_shipping(shipping)


ACTIONS: dict[str, Callable[[Account, int, random.Random], None]] = {
    "update": update,
    "items": items,
    "status": status,
    "touch": touch,
    "delete": delete,
    "ship": ship,
    "parcel": advance,
}


def _existing(account: Account, chance: random.Random) -> int:
    first, last = account.generator.first_order_id, account.last_order_key
    for _ in range(1000):
        key = chance.randrange(first, last + 1)
        if account.order(key) is not None:
            return key
    return create(account, chance)


def _copy(account: Account, key: int) -> dict[str, Any]:
    return copy.deepcopy(account.order(key) or {})


def _now(account: Account) -> str:
    return shop_time(account.now)


def _save(account: Account, key: int, order: dict[str, Any]) -> None:
    order["order_details"]["order_updated_at"] = _now(account)
    account.put_order(key, order)
