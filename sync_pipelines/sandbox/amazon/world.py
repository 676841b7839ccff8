"""The sellers, their orders, and how these change: one set of data that both API versions and the reports are made from.

Same seed, same world. All persons, addresses and products are invented.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from sync_pipelines.sandbox.common.clock import Clock

DAY = 86_400.0
FIRST_ORDERS = {"demo": 80, "full": 3_000}
"""Orders per seller at the start."""
HISTORY_DAYS = 14
"""How far back the first orders reach."""


@dataclass(frozen=True)
class Marketplace:
    """One of Amazon's shops."""

    id: str
    country: str
    name: str
    currency: str
    language: str


MARKETPLACES = {
    item.id: item
    for item in (
        Marketplace("A13V1IB3VIYZZH", "FR", "Amazon.fr", "EUR", "fr_FR"),
        Marketplace("A1PA6795UKMFR9", "DE", "Amazon.de", "EUR", "de_DE"),
        Marketplace("A1F83G8C2ARO7P", "GB", "Amazon.co.uk", "GBP", "en_GB"),
        Marketplace("A2NODRKZP88ZB9", "SE", "Amazon.se", "SEK", "sv_SE"),
        Marketplace("APJ6JRA9NG5V4", "IT", "Amazon.it", "EUR", "it_IT"),
        Marketplace("A1RKKUPIHCS9HS", "ES", "Amazon.es", "EUR", "es_ES"),
    )
}


@dataclass
class Tenant:
    """A seller who has authorized the application; credentials are obviously fake.

    Attributes:
        has_pii_role: Whether the application may see who buys and where the parcel goes.
        is_revoked: The seller has withdrawn the authorization.
    """

    name: str
    marketplaces: tuple[str, ...]
    client_id: str = "amzn1.application-oa2-client.sandbox"
    client_secret: str = "sandbox-secret"
    has_pii_role: bool = True
    is_revoked: bool = False

    @property
    def refresh_token(self) -> str:
        """The seller's refresh token."""
        return f"Atzr|sandbox-{self.name}"


def tenants() -> dict[str, Tenant]:
    """The sellers of every world, by name."""
    return {
        item.name: item
        for item in (
            Tenant("alpha", ("A13V1IB3VIYZZH", "A1PA6795UKMFR9")),
            Tenant("beta", ("A1F83G8C2ARO7P", "A2NODRKZP88ZB9")),
            Tenant("gamma", ("APJ6JRA9NG5V4", "A1RKKUPIHCS9HS"), has_pii_role=False),
        )
    }


@dataclass
class Item:
    """An order line; money in minor units, for the whole line."""

    id: str
    asin: str
    sku: str
    title: str
    quantity: int
    unit_price: int
    tax: int
    shipping: int
    shipping_tax: int
    discount: int
    shipping_discount: int
    shipped: int = 0
    is_gift: bool = False

    @property
    def price(self) -> int:
        """Price of the line without shipping and discounts."""
        return self.unit_price * self.quantity

    @property
    def total(self) -> int:
        """What the buyer pays for this line; taxes are included in the prices."""
        return self.price + self.shipping - self.discount - self.shipping_discount


@dataclass
class Order:
    """An order as Amazon knows it; times in epoch seconds, status in the words of API version 2026-01-01.

    Attributes:
        visible_from: Reads do not show the order before this time, however old its last change is (a late arrival).
    """

    id: str
    tenant: str
    marketplace: Marketplace
    created: float
    updated: float
    status: str
    fulfilled_by: str
    programs: list[str]
    items: list[Item]
    buyer_name: str
    buyer_email: str
    address: dict[str, str]
    seller_order_id: str
    visible_from: float = 0.0
    cancelled_by: str | None = None

    @property
    def total(self) -> int:
        """Grand total in minor units."""
        return sum(item.total for item in self.items)

    @property
    def has_prices(self) -> bool:
        """Amazon keeps prices back until payment is authorized."""
        return self.status not in {"PENDING", "PENDING_AVAILABILITY"}


_PRODUCTS = [
    "Étui souple",
    "Câble USB-C",
    "Lampe de bureau",
    "Tapis de yoga",
    "Gourde inox",
    "Brosse à cheveux",
    "Carnet ligné",
    "Théière",
]
_NAMES = ["Ada Exemple", "Björn Muster", "Chloé Fictive", "Dora Sample", "Émile Essai", "Frida Prov"]
_NEXT = {
    "PENDING_AVAILABILITY": ["PENDING"],
    "PENDING": ["UNSHIPPED", "UNSHIPPED", "CANCELLED"],
    "UNSHIPPED": ["SHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED"],
    "PARTIALLY_SHIPPED": ["SHIPPED"],
}
"""What may follow; repeated words are likelier."""


@dataclass
class World:
    """All sellers and orders of one look-alike."""

    clock: Clock
    seed: int
    tenants: dict[str, Tenant] = field(default_factory=tenants)
    orders: dict[str, Order] = field(default_factory=dict)
    changes: int = 0

    def populate(self, orders_per_tenant: int) -> None:
        """Adds that many orders to each seller, spread over the last days."""
        for tenant in self.tenants.values():
            self.generate(tenant.name, orders_per_tenant)

    def generate(self, tenant: str, count: int, *, days: float = HISTORY_DAYS, salt: str = "") -> list[str]:
        """Adds orders whose last change lies before the youngest two minutes; returns their ids."""
        rng = random.Random(f"{self.seed}:{tenant}:{salt}")
        now = self.clock.now()
        made = []
        for _ in range(count):
            updated = now - 180 - rng.random() * days * DAY
            order = self._new_order(rng, tenant, created=updated - rng.random() * 2 * DAY, updated=updated)
            order.status = rng.choices(["PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED"], [8, 25, 4, 55, 8])[0]
            _settle(order, rng)
            made.append(order.id)
        return made

    def visible(self, tenant: str) -> Iterator[Order]:
        """A seller's orders that reads show now."""
        now = self.clock.now()
        return (order for order in self.orders.values() if order.tenant == tenant and order.visible_from <= now)

    def mutate(self, operations: int, *, seed: int, tenant: str | None = None) -> dict[str, int]:
        """Changes orders the way sellers and buyers do; every change happens now."""
        rng = random.Random(f"{self.seed}:mutate:{seed}:{self.changes}")
        done: dict[str, int] = {}
        for _ in range(operations):
            kind = self._mutate_one(rng, tenant or rng.choice(sorted(self.tenants)))
            done[kind] = done.get(kind, 0) + 1
        self.changes += operations
        return done

    def arrive_late(self, tenant: str, *, count: int, changed_ago: float, visible_in: float, seed: int) -> list[str]:
        """Adds orders whose last change is long ago but which reads show only from ``visible_in`` seconds on."""
        rng = random.Random(f"{self.seed}:late:{tenant}:{seed}")
        now = self.clock.now()
        made = []
        for _ in range(count):
            updated = now - changed_ago + rng.random()
            order = self._new_order(rng, tenant, created=updated - 3600, updated=updated)
            order.visible_from = now + visible_in
            order.status = "UNSHIPPED"
            made.append(order.id)
        return made

    def _mutate_one(self, rng: random.Random, tenant: str) -> str:
        now = self.clock.now()
        open_orders = [order for order in self.visible(tenant) if order.status in _NEXT]
        if not open_orders or rng.random() < 0.25:
            self._new_order(rng, tenant, created=now, updated=now)
            return "created"
        order = rng.choice(open_orders)
        order.updated = now
        if order.status == "PENDING" and len(order.items) > 1 and rng.random() < 0.3:
            order.items.pop(rng.randrange(len(order.items)))
            return "line_removed"
        order.status = rng.choice(_NEXT[order.status])
        _settle(order, rng)
        return order.status.lower()

    def _new_order(self, rng: random.Random, tenant: str, *, created: float, updated: float) -> Order:
        marketplace = MARKETPLACES[rng.choice(self.tenants[tenant].marketplaces)]
        order_id = f"{rng.randrange(300, 500)}-{rng.randrange(10**7):07d}-{rng.randrange(10**7):07d}"
        while order_id in self.orders:
            order_id = f"{rng.randrange(300, 500)}-{rng.randrange(10**7):07d}-{rng.randrange(10**7):07d}"
        name = rng.choice(_NAMES)
        programs = [program for program, chance in (("PRIME", 0.4), ("AMAZON_BUSINESS", 0.1)) if rng.random() < chance]
        order = Order(
            id=order_id,
            tenant=tenant,
            marketplace=marketplace,
            created=round(created, 3),
            updated=round(updated, 3),
            status="PENDING",
            fulfilled_by=rng.choice(["AMAZON", "MERCHANT"]),
            programs=programs,
            items=[_new_item(rng) for _ in range(rng.randint(1, 5))],
            buyer_name=name,
            buyer_email=f"buyer-{rng.randrange(10**6)}@marketplace.example",
            address={
                "name": name,
                "line1": f"{rng.randint(1, 99)} Example Street",
                "city": "Sampletown",
                "region": "Example Region",
                "postal_code": f"{rng.randrange(100_000):05d}",
                "country": marketplace.country,
                "phone": f"+00 {rng.randrange(10**6):06d}",
            },
            seller_order_id=f"SHOP-{order_id[-7:]}",
        )
        self.orders[order_id] = order
        return order


def _new_item(rng: random.Random) -> Item:
    quantity = rng.choices([1, 2, 3], [8, 2, 1])[0]
    unit_price = rng.randint(300, 19_999)
    shipping = rng.choice([0, 0, 399, 499])
    return Item(
        id=f"{rng.randrange(10**14):014d}",
        asin=f"B0{rng.randrange(10**8):08d}",
        sku=f"SKU-{rng.randrange(5_000):04d}",
        title=f"{rng.choice(_PRODUCTS)} {rng.randint(1, 999)}",
        quantity=quantity,
        unit_price=unit_price,
        tax=unit_price * quantity // 6,
        shipping=shipping,
        shipping_tax=shipping // 6,
        discount=rng.choice([0, 0, 0, unit_price // 10]),
        shipping_discount=rng.choice([0, shipping]),
        is_gift=rng.random() < 0.1,
    )


def _settle(order: Order, rng: random.Random) -> None:
    """Makes the lines agree with the order's status."""
    if order.status == "PARTIALLY_SHIPPED" and sum(item.quantity for item in order.items) < 2:
        order.status = "SHIPPED"
    if order.status == "SHIPPED":
        for item in order.items:
            item.shipped = item.quantity
    elif order.status == "PARTIALLY_SHIPPED":
        order.items[0].shipped = order.items[0].quantity if len(order.items) > 1 else 1
    elif order.status == "CANCELLED":
        order.cancelled_by = rng.choice(["BUYER", "MERCHANT", "AMAZON"])
