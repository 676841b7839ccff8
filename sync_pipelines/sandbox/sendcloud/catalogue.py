"""What a SendCloud account chooses from, all invented: statuses, carriers, shipping options, sender addresses, products, people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sync_pipelines.sandbox.sendcloud.chance import mix


class Status(NamedTuple):
    """One parcel status in its three spellings."""

    id: int
    message: str
    code: str
    slug: str


STATUSES = {
    status.id: status
    for status in (
        Status(1, "Announced", "ANNOUNCED", "announced"),
        Status(3, "En route to sorting center", "EN_ROUTE_TO_SORTING_CENTER", "to-sorting"),
        Status(4, "Delivery delayed", "DELIVERY_DELAYED", "delayed"),
        Status(5, "Sorted", "SORTED", "sorted"),
        Status(6, "Not sorted", "NOT_SORTED", "unsorted"),
        Status(7, "Being sorted", "BEING_SORTED", "sorting"),
        Status(8, "Delivery attempt failed", "DELIVERY_ATTEMPT_FAILED", "delivery-failed"),
        Status(11, "Delivered", "DELIVERED", "delivered"),
        Status(12, "Awaiting customer pickup", "AWAITING_CUSTOMER_PICKUP", "awaiting-customer-pickup"),
        Status(13, "Announced: not collected", "ANNOUNCED_NOT_COLLECTED", "announced-uncollected"),
        Status(15, "Error collecting", "ERROR_COLLECTING", "collect-error"),
        Status(22, "Shipment picked up by driver", "SHIPMENT_PICKED_UP_BY_DRIVER", "picked-up-by-driver"),
        Status(80, "Unable to deliver", "UNABLE_TO_DELIVER", "undeliverable"),
        Status(91, "Parcel en route", "PARCEL_EN_ROUTE", "shipment-on-route"),
        Status(92, "Driver en route", "DRIVER_EN_ROUTE", "driver-on-route"),
        Status(93, "Shipment collected by customer", "SHIPMENT_COLLECTED_BY_CUSTOMER", "collected-by-customer"),
        Status(94, "Parcel cancellation failed", "PARCEL_CANCELLATION_FAILED", "unknown"),
        Status(999, "No label", "NO_LABEL", "no-label"),
        Status(1000, "Ready to send", "READY_TO_SEND", "ready-to-send"),
        Status(1001, "Being announced", "ANNOUNCING", "announcing"),
        Status(1002, "Announcement failed", "ANNOUNCEMENT_FAILED", "announcement-failed"),
        Status(1337, "Unknown status - check carrier track & trace page for more insights", "UNKNOWN", "unknown"),
        Status(1998, "Cancelled upstream", "CANCELLED_UPSTREAM", "cancelled-upstream"),
        Status(1999, "Cancellation requested", "CANCELLATION_REQUESTED", "cancelling-upstream"),
        Status(2000, "Cancelled", "CANCELLED", "cancelled"),
        Status(2001, "Submitting cancellation request", "SUBMITTING_CANCELLATION_REQUEST", "cancelling"),
        Status(62989, "At Customs", "AT_CUSTOMS", "at-customs"),
        Status(62990, "At sorting centre", "AT_SORTING_CENTRE", "at-sorting-centre"),
        Status(62991, "RefusedError by recipient", "REFUSED_BY_RECIPIENT", "refused-by-recipient"),
        Status(62992, "Returned to sender", "RETURNED_TO_SENDER", "returned-to-sender"),
        Status(62993, "Delivery method changed", "DELIVERY_METHOD_CHANGED", "delivery-method-changed"),
        Status(62994, "Delivery date changed", "DELIVERY_DATE_CHANGED", "delivery-date-changed"),
        Status(62995, "Delivery address changed", "DELIVERY_ADDRESS_CHANGED", "delivery-address-changed"),
        Status(62996, "Exception", "EXCEPTION", "exception"),
        Status(62997, "Address invalid", "ADDRESS_INVALID", "address-invalid"),
    )
}
STATUS_BY_CODE = {status.code: status.id for status in STATUSES.values()}

NO_LABEL, READY_TO_SEND, ANNOUNCING, ANNOUNCEMENT_FAILED = 999, 1000, 1001, 1002
CANCELLATION_REQUESTED, CANCELLED, DELIVERED = 1999, 2000, 11

JOURNEYS: tuple[tuple[int, ...], ...] = (
    (1000, 1, 3, 7, 5, 92, 11),
    (1000, 1, 22, 91, 92, 11),
    (1000, 1, 3, 4, 91, 92, 8, 12, 93),
    (1000, 1, 62990, 62989, 91, 11),
    (1000, 1, 91, 8, 80, 62992),
)
"""Status sequences a shipped parcel goes through."""


@dataclass(frozen=True)
class Option:
    """One way to ship, in V3 (``code``) and V2 (``method_id``) terms. Weights in grams, price in cents."""

    code: str
    name: str
    carrier: str
    carrier_name: str
    method_id: int
    min_grams: int
    max_grams: int
    countries: tuple[str, ...]
    price: int
    contract_id: int | None = None
    needs_service_point: bool = False


EUROPE = ("FR", "BE", "NL", "DE", "ES", "IT", "GB", "CH")
OPTIONS: tuple[Option, ...] = (
    Option("sendcloud:letter", "Unstamped letter", "sendcloud", "Sendcloud", 8, 1, 100_001, (*EUROPE, "US"), 0),
    Option("postnl:standard", "PostNL Standard 0-23kg", "postnl", "PostNL", 101, 1, 23_001, ("NL", "BE", "DE"), 645, 517),
    Option("postnl:standard/signature", "PostNL Signature 0-23kg", "postnl", "PostNL", 102, 1, 23_001, ("NL", "BE"), 795, 517),
    Option("colissimo:home", "Colissimo Home 0-30kg", "colissimo", "Colissimo", 103, 1, 30_001, ("FR", "BE"), 810, 518),
    Option("colissimo:home/signature", "Colissimo Signature", "colissimo", "Colissimo", 104, 1, 30_001, ("FR",), 930, 518),
    Option("mondial_relay:point", "Mondial Relay Point", "mondial_relay", "Mondial Relay", 105, 1, 25_001, ("FR",), 480, 519, True),
    Option("dpd:classic", "DPD Classic 0-31.5kg", "dpd", "DPD", 106, 1, 31_501, EUROPE, 990, 520),
    Option("ups:standard", "UPS Standard 0-70kg", "ups", "UPS", 107, 1, 70_001, EUROPE, 1190, 521),
    Option("dhl_express:worldwide/incoterm=dap", "DHL Express Worldwide", "dhl_express", "DHL Express", 108, 1, 70_001,
           ("GB", "CH", "US"), 3990, 4195),
)  # fmt: skip
OPTION_BY_CODE = {option.code: option for option in OPTIONS}
LETTER = OPTIONS[0]

COUNTRIES = {
    "FR": (2, "FRA", "France"),
    "BE": (3, "BEL", "Belgium"),
    "NL": (1, "NLD", "Netherlands"),
    "DE": (4, "DEU", "Germany"),
    "ES": (5, "ESP", "Spain"),
    "IT": (6, "ITA", "Italy"),
    "GB": (7, "GBR", "United Kingdom"),
    "CH": (8, "CHE", "Switzerland"),
    "US": (9, "USA", "United States"),
}
"""ISO 3166-1 alpha-2 to SendCloud-like id, alpha-3 and name."""

CITIES = {
    "FR": (("Exempleville", "75999"), ("Port-Essai", "13999")),
    "BE": (("Voorbeeldstad", "1999"),),
    "NL": (("Voorbeeldhoven", "5699 ZZ"), ("Testdam", "1099 AA")),
    "DE": (("Musterstadt", "10999"),),
    "ES": (("Villa Ejemplo", "28999"),),
    "IT": (("Esempio sul Mare", "00999"),),
    "GB": (("Exampleton", "ZZ1 1ZZ"),),
    "CH": (("Beispielwil", "8999"),),
    "US": (("Sampleburg", "99999"),),
}
FIRST_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Elif", "François", "Grete", "Hélène", "İpek", "José", "Kim", "Łucja")
LAST_NAMES = ("Example", "Sample", "Muster", "Exemple", "Ejemplo", "Esempio", "O'Test", "van der Proef")
STREETS = ("Example Street", "Rue de l'Exemple", "Musterweg", "Proeflaan", "Calle Ejemplo")

ADDRESS_FIELDS = (
    "name",
    "company_name",
    "address_line_1",
    "house_number",
    "address_line_2",
    "postal_code",
    "city",
    "po_box",
    "state_province_code",
    "country_code",
)
SENDERS: tuple[dict[str, Any], ...] = (
    {
        "id": 92001,
        "company_name": "Example Warehouse",
        "name": "Logistics Desk",
        "address_line_1": "Quai de l'Exemple",
        "house_number": "1",
        "address_line_2": "",
        "postal_code": "69999",
        "city": "Exempleville",
        "po_box": None,
        "country_code": "FR",
        "email": "warehouse@example.com",
        "phone_number": "+33000000001",
    },
    {
        "id": 92002,
        "company_name": "Example Outlet",
        "name": "Returns Desk",
        "address_line_1": "Proeflaan",
        "house_number": "2",
        "address_line_2": "Unit B",
        "postal_code": "5699 ZZ",
        "city": "Voorbeeldhoven",
        "po_box": None,
        "country_code": "NL",
        "email": "outlet@example.com",
        "phone_number": "+31000000002",
    },
)

ADJECTIVES = ("Pebble", "Amber", "Nordic", "Linen", "Copper", "Velvet", "Alpine", "Cobalt")
NOUNS = ("candle", "mug", "scarf", "lamp", "notebook", "backpack", "kettle", "cushion", "vase")
HS_CODES = ("340600", "691200", "621420", "940520", "482010", "420292", "851610")
ORIGINS = ("FR", "PT", "IN", "CN", "IT", "TR")


class Product(NamedTuple):
    """One product of the shop. ``price`` in cents, ``grams`` a piece."""

    number: int
    sku: str
    name: str
    ean: str
    hs_code: str
    origin: str
    grams: int
    price: int


def ean13(number: int) -> str:
    """An EAN-13 of the in-store range with its check digit."""
    digits = f"29{number:010d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


@lru_cache(maxsize=8192)
def product(seed: int, number: int) -> Product:
    """The ``number``-th product of a world."""
    chance = mix(seed, 7, number)
    name = f"{ADJECTIVES[chance % 8]} {NOUNS[chance // 8 % 9]} {number}"
    return Product(
        number=number,
        sku=f"SKU-{number:05d}",
        name=name,
        ean=ean13(number),
        hs_code=HS_CODES[chance // 72 % 7],
        origin=ORIGINS[chance // 504 % 6],
        grams=50 + chance // 3024 % 2950,
        price=99 + chance // 8_920_800 % 14_900,
    )
