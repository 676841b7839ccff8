"""The world before anybody changed it: order number ``i`` and its parcels as pure functions of the seed.

Nothing is stored, so a world of a million orders starts at once. Changes live in `Account`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sync_pipelines.sandbox.sendcloud.catalogue import (
    CITIES,
    FIRST_NAMES,
    JOURNEYS,
    LAST_NAMES,
    LETTER,
    NO_LABEL,
    OPTIONS,
    SENDERS,
    STATUSES,
    STREETS,
    Option,
    Product,
    product,
)
from sync_pipelines.sandbox.sendcloud.chance import made_uuid, mix, server_time, shop_time

DAY = 86_400_000_000
"""One day in microseconds."""

OPEN_STATUSES = (("unfulfilled", "Unfulfilled"), ("on_hold", "On hold"), ("partially_fulfilled", "Partially fulfilled"),
                 ("awaiting_stock", "Awaiting stock"))  # fmt: skip
SHIPPED_STATUS = ("fulfilled", "Fulfilled")
CANCELLED_STATUS = ("cancelled", "Cancelled")
ORDER_COUNTRIES = ("FR", "FR", "FR", "NL", "NL", "BE", "DE", "ES", "IT", "GB", "CH", "US")
CURRENCIES = {"GB": "GBP", "US": "USD", "CH": "CHF"}


class Meta(NamedTuple):
    """What lists filter and sort by. Times in epoch microseconds; ``updated`` is the shop's and may be unknown."""

    created: int
    updated: int | None
    modified: int
    integration: int
    status: str
    order_number: str
    order_id: str


@dataclass
class Parcel:
    """One parcel. ``history`` holds (epoch microseconds, status id), oldest first; weights in grams."""

    id: int
    created: int
    updated: int
    grams: int
    lines: list[dict[str, Any]]
    collo: int = 0
    history: list[tuple[int, int]] = field(default_factory=list)
    announced: int | None = None
    tracking_number: str = ""
    mime_type: str = "application/pdf"
    request: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The current status id."""
        return self.history[-1][1]


@dataclass
class Shipping:
    """What V3 calls a shipment: parcels going out together. ``order`` is SendCloud's order id, if it belongs to one.

    ``order_name`` and ``order_ref`` are the shop's order number and id. ``cancel`` says what an attempt to cancel does.
    """

    id: str
    serial: int
    order: int | None
    order_name: str
    order_ref: str
    integration: int | None
    parcels: list[Parcel]
    to_address: dict[str, Any]
    from_address: dict[str, Any]
    option: Option | None = None
    total: tuple[str, str] | None = None
    external_reference_id: str | None = None
    reference: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    request: dict[str, Any] = field(default_factory=dict)
    cancel: str = "ok"

    @property
    def has_label(self) -> bool:
        """Whether it was announced, or tried to be, so that V3 lists it."""
        return any(parcel.status != NO_LABEL for parcel in self.parcels)

    @property
    def updated(self) -> int:
        """When a parcel of it last changed."""
        return max(parcel.updated for parcel in self.parcels)

    def words(self, name: str) -> set[str]:
        """The values V3's list compares its filters with."""
        if name == "parcel_status":
            known = [STATUSES[parcel.status] for parcel in self.parcels]
            return {str(status.id) for status in known} | {status.code for status in known}
        if name == "tracking_number":
            return {parcel.tracking_number for parcel in self.parcels}
        values = {
            "external_reference_id": self.external_reference_id,
            "order_number": self.order_name,
            "integration_id": self.integration,
        }
        return {str(values[name])}


def price(cents: int, currency: str) -> dict[str, Any]:
    """A V3 order price: a JSON number beside its currency."""
    return {"value": cents / 100, "currency": currency}


@dataclass(frozen=True)
class Generator:
    """Order ``i`` (0 ≤ i < ``count``) was created at its share of ``[start, end)`` (epoch microseconds).

    ``shipped_percent`` of those older than a day have their labels; 4 % are cancelled, the rest is open.
    """

    seed: int
    account: int
    count: int
    products: int
    start: int
    end: int
    integrations: tuple[int, ...]
    shipped_percent: int = 71

    @property
    def first_order_id(self) -> int:
        """SendCloud's id of order 0; the others follow without gaps."""
        return 750_000_000 + self.account * 50_000_000

    @property
    def first_parcel_id(self) -> int:
        """Id of the first parcel of order 0; four ids are kept for each order."""
        return 380_000_000 + self.account * 200_000_000

    def meta(self, i: int) -> Meta:
        """What lists need to know of order ``i``, without making it."""
        created, updated, modified = self.times(i)
        status = self._status(mix(self.seed, self.account, i), created)
        integration = self.integrations[i % len(self.integrations)]
        return Meta(created, updated, modified, integration, status[0], self._number(i), self._order_id(i))

    def times(self, i: int) -> tuple[int, int | None, int]:
        """When the shop created and last changed order ``i``, and when SendCloud last did."""
        chance = mix(self.seed, self.account, i)
        step = (self.end - self.start) // max(self.count, 1)
        created = (self.start + i * step + chance % max(step, 1)) // 1000 * 1000
        later = min(chance // 7 % (5 * DAY), self.end - created) // 1000 * 1000
        return created, None if chance % 1000 < 60 else created + later, created + later + chance % 90_000_000

    def order(self, i: int) -> dict[str, Any]:
        """Order ``i`` as ``GET /v3/orders`` shows it."""
        meta = self.meta(i)
        chance = mix(self.seed, self.account, i, 1)
        country = ORDER_COUNTRIES[chance % len(ORDER_COUNTRIES)]
        currency = CURRENCIES.get(country, "EUR")
        items = [self._item(i, place, currency) for place in range(1 + chance // 16 % 4)]
        goods = sum(round(item["total_price"]["value"] * 100) for item in items)
        shipping = 495 if goods < 5000 else 0
        status = self._status(mix(self.seed, self.account, i), meta.created)
        details: dict[str, Any] = {
            "integration": {"id": meta.integration},
            "status": {"code": status[0], "message": status[1]},
            "order_created_at": shop_time(meta.created),
            "order_items": items,
        }
        if meta.updated is not None:
            details["order_updated_at"] = shop_time(meta.updated)
        if chance // 64 % 5 == 0:
            details["notes"] = ("Please ring twice", "", "Gift — keep the receipt out")[chance // 320 % 3]
        if chance // 64 % 3 == 0:
            details["tags"] = ["vip"] if chance % 2 else []
        address = self._address(chance, country)
        order: dict[str, Any] = {
            "id": str(self.first_order_id + i),
            "order_id": meta.order_id,
            "order_number": meta.order_number,
            "created_at": server_time(meta.created + chance % 900_000_000),
            "modified_at": server_time(meta.modified),
            "order_details": details,
            "payment_details": {
                "total_price": price(goods + shipping, currency),
                "subtotal_price": price(goods, currency),
                "estimated_shipping_price": price(shipping, currency),
                "estimated_tax_price": price(goods // 6, currency),
                "status": {"code": "paid", "message": "Paid"},
                "is_cash_on_delivery": None if chance % 3 else False,
            },
            "customer_details": {
                "name": address["name"],
                "phone_number": address["phone_number"],
                "email": address["email"],
            },
            "billing_address": address,
            "shipping_address": address,
            "shipping_details": self._shipping_details(chance, items, country),
        }
        if country in {"GB", "CH", "US"}:
            order["customs_details"] = {
                "commercial_invoice_number": f"INV-{i:06d}",
                "shipment_type": "commercial_goods",
                "export_type": "commercial_b2c",
            }
        elif chance % 4 == 0:
            order["customs_details"] = None
        return order

    def parcel_count(self, i: int) -> int:
        """How many parcels order ``i`` has: at least the one that waits for its label."""
        return (2 + mix(self.seed, i, 5) % 2) if self.is_shipped(i) and mix(self.seed, i, 4) % 25 == 0 else 1

    def is_shipped(self, i: int) -> bool:
        """Whether order ``i`` had its label made before the world began."""
        return self.meta(i).status == SHIPPED_STATUS[0]

    def shipping(self, i: int, order: dict[str, Any]) -> Shipping:
        """The parcels of order ``i``, given the order itself."""
        meta = self.meta(i)
        chance = mix(self.seed, self.account, i, 2)
        shipped = self.is_shipped(i)
        address = order["shipping_address"]
        option = self.option_for(address["country_code"], chance)
        total = order["payment_details"]["total_price"]
        count = self.parcel_count(i)
        lines = order["order_details"]["order_items"]
        parcels = [
            self._parcel(i, collo, option if shipped else None, meta, chance, lines[collo::count] or lines[:1])
            for collo in range(count)
        ]
        return Shipping(
            id=made_uuid(self.seed, self.account, i),
            serial=i,
            order=self.first_order_id + i,
            order_name=meta.order_number,
            order_ref=meta.order_id,
            integration=meta.integration,
            parcels=parcels,
            to_address=address,
            from_address={key: value for key, value in SENDERS[0].items() if key != "id"},
            option=option if shipped or chance % 2 else None,
            total=(f"{total['value']:.2f}", total["currency"]),
            cancel=("ok", "queued", "ok", "refused")[chance // 64 % 4],
        )

    @staticmethod
    def option_for(country: str, chance: int) -> Option:
        """An option that serves a country."""
        fitting = [option for option in OPTIONS[1:] if country in option.countries and not option.needs_service_point]
        return fitting[chance % len(fitting)] if fitting else LETTER

    def _status(self, chance: int, created: int) -> tuple[str, str]:
        draw = chance // 1013 % 100
        if draw < 4:
            return CANCELLED_STATUS
        if draw < 4 + self.shipped_percent and created < self.end - DAY:
            return SHIPPED_STATUS
        return OPEN_STATUSES[(0, 0, 0, 0, 1, 1, 2, 3)[chance // 131 % 8]]

    def _number(self, i: int) -> str:
        """Every 97th order carries the number of its neighbour in another integration, as shops' counters do."""
        if i % 97 == 96 and len(self.integrations) > 1:
            i -= 1
        return f"SO-{10_000 + i}"

    def _order_id(self, i: int) -> str:
        return f"{self.integrations[i % len(self.integrations)]}-{1_000_000 + i}"

    def _item(self, i: int, place: int, currency: str) -> dict[str, Any]:
        chance = mix(self.seed, self.account, i, 3, place)
        thing: Product = product(self.seed, chance % self.products)
        quantity = 1 + (chance // 8192 % 4 == 0) + (chance // 32768 % 9 == 0)
        name = thing.name if chance % 53 else f"{thing.name} (new)"
        item: dict[str, Any] = {
            "item_id": f"{1_000_000 + i}-{place}",
            "product_id": f"P{thing.number}",
            "name": name,
            "quantity": quantity,
            "sku": thing.sku,
            "ean": thing.ean,
            "hs_code": thing.hs_code,
            "country_of_origin": thing.origin,
            "unit_price": price(thing.price, currency),
            "total_price": price(thing.price * quantity, currency),
            "measurement": {"weight": {"value": thing.grams / 1000, "unit": "kg"}},
        }
        if chance % 5 == 0:
            item |= {"variant_id": f"V{thing.number}", "image_url": f"https://shop.example.com/images/{thing.number}.jpg"}
        if chance % 7 == 0:
            item |= {"description": f"{name}, boxed", "properties": {"size": "M", "engraving": None}}
        if chance % 11 == 0:
            item |= {"mid_code": None, "delivery_dates": {"handover_at": None, "deliver_at": None}}
        if chance % 13 == 0:
            item["measurement"] = {"weight": {"value": thing.grams, "unit": "g"}}
        for rare, absent in ((31, "item_id"), (41, "sku"), (9, "ean"), (17, "unit_price"), (23, "hs_code"), (29, "measurement")):
            if chance // 64 % rare == 0:
                item.pop(absent)
        if chance // 64 % 37 == 0:
            item["ean"] = ""
        return item

    @staticmethod
    def _address(chance: int, country: str) -> dict[str, Any]:
        city, postal_code = CITIES[country][chance // 128 % len(CITIES[country])]
        first, last = FIRST_NAMES[chance // 256 % len(FIRST_NAMES)], LAST_NAMES[chance // 4096 % len(LAST_NAMES)]
        address: dict[str, Any] = {
            "name": f"{first} {last}",
            "company_name": "" if chance // 8192 % 3 else "Example & Co",
            "address_line_1": STREETS[chance // 16_384 % len(STREETS)],
            "house_number": str(1 + chance // 65_536 % 199) + ("bis" if chance // 65_536 % 17 == 0 else ""),
            "address_line_2": "",
            "postal_code": postal_code,
            "city": city,
            "country_code": country,
            "email": f"customer{chance // 131_072 % 100_000}@example.com",
            "phone_number": "+00000000000",
        }
        if country == "IT":
            address["state_province_code"] = "IT-RM"
        if chance // 8192 % 11 == 0:
            address["po_box"] = None
        return address

    def _shipping_details(self, chance: int, items: list[dict[str, Any]], country: str) -> dict[str, Any]:
        details: dict[str, Any] = {
            "is_local_pickup": False if chance % 2 else None,
            "delivery_indicator": ("Home delivery", "Express", "Pick-up point", "")[chance // 32 % 4],
            "measurement": {"weight": {"value": sum(item["quantity"] for item in items) * 250 / 1000, "unit": "kg"}},
        }
        if chance // 128 % 2:
            option = self.option_for(country, chance)
            properties = {"shipping_option_code": option.code, "contract_id": option.contract_id}
            details["ship_with"] = {"type": "shipping_option_code", "properties": properties}
        return details

    def _parcel(self, i: int, collo: int, option: Option | None, meta: Meta, chance: int, lines: list[dict[str, Any]]) -> Parcel:
        created = meta.created + 60_000_000
        parcel = Parcel(
            id=self.first_parcel_id + 4 * i + collo,
            created=created,
            updated=created,
            grams=200 + chance % 4000,
            lines=lines,
            collo=collo,
        )
        parcel.history.append((created, NO_LABEL))
        if option is None:
            return parcel
        moment = min(created + 3_600_000_000 + chance % DAY, self.end - 2)
        parcel.announced = moment
        parcel.tracking_number = f"SBX{mix(self.seed, i, collo) % 10**11:011d}"
        journey = JOURNEYS[(0, 0, 1, 1, 2, 3, 4)[chance // 256 % 7]]
        for step, status in enumerate(journey):
            if moment >= self.end - 1:
                break
            parcel.history.append((moment, status))
            moment += (2 + mix(self.seed, i, step) % 20) * 3_600_000_000
        parcel.updated = parcel.history[-1][0]
        return parcel
