"""AliExpress' products, orders and tokens as one dropshipper's account sees them; deterministic by seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.aliexpress.gateway import Listed, Object
from sync_pipelines.sandbox.common.clock import Clock

FIRST_PRODUCT_ID = 1_005_001_234_567_890
FEED = "DS bestseller"
RATES = {"CNY": 1.0, "USD": 0.14, "EUR": 0.128, "GBP": 0.11, "SEK": 1.47}
"""What one yuan is worth."""

NOUNS = ("Headphones", "Ring light", "Organizer", "Backpack", "Keyboard", "Bottle", "Tripod", "Sunglasses", "Charger", "Necklace")
COLOURS = (("29", "Black"), ("193", "Red"), ("173", "Blue"), ("175", "Green"), ("366", "Yellow"))


@dataclass
class Unit:
    """One SKU. ``yuan`` is the seller's price."""

    sku_id: str
    attribute: str
    colour: str
    yuan: float
    stock: int


@dataclass
class Product:
    """One product of a seller."""

    id: int
    subject: str
    units: list[Unit]
    rating: str
    sold: str
    modified_at: str = "2025-01-01 08:00:00"
    is_withdrawn: bool = False


LAUNCHED_ACCESS_S, LAUNCHED_REFRESH_S = 2_592_000.0, 5_184_000.0
"""Lives of a launched app's tokens; those of an app in test live one and two days (facts 4)."""

CODE_LIFE_S = 180.0


@dataclass
class Tokens:
    """The account's credentials; the refresh token's end never moves, however often one refreshes."""

    access: dict[str, float]
    refresh: str
    refresh_ends: float
    issued: int = 0
    codes: dict[str, float] = field(default_factory=dict)


@dataclass
class World:
    """One account's view of the platform.

    Attributes:
        access_ttl: Seconds an access token lives.
        throttle: Chance of ``ApiCallLimit`` on any business call.
        slip: Share of SKUs priced in CNY although another currency was asked for.
    """

    clock: Clock
    seed: int
    products: dict[int, Product]
    tokens: Tokens
    access_ttl: float = LAUNCHED_ACCESS_S
    throttle: float = 0.02
    slip: float = 0.0
    orders: dict[str, Object] = field(default_factory=dict)
    wrong_signatures: list[str] = field(default_factory=list)
    empty_until: float = 0.0

    def refresh(self, token: str) -> Object | None:
        """A new pair, or ``None`` for a refresh token that is unknown, used or past its fixed end."""
        if token != self.tokens.refresh or self.clock.now() >= self.tokens.refresh_ends:
            return None
        return self._pair()

    def agree(self) -> str:
        """A person agrees in the browser: a code that works once, for three minutes."""
        code = f"0_sandbox_{self.seed}_{len(self.tokens.codes)}_{self.tokens.issued}"
        self.tokens.codes[code] = self.clock.now() + CODE_LIFE_S
        return code

    def exchange(self, code: str) -> Object | None:
        """A pair with a new end, or ``None`` for a code that is unknown, used or too old."""
        now = self.clock.now()
        if self.tokens.codes.pop(code, 0.0) <= now:
            return None
        self.tokens.refresh_ends = now + LAUNCHED_REFRESH_S
        return self._pair()

    def _pair(self) -> Object:
        now = self.clock.now()
        self.tokens.issued += 1
        access, self.tokens.refresh = f"sandbox-access-{self.tokens.issued}", f"sandbox-refresh-{self.tokens.issued}"
        self.tokens.access[access] = now + self.access_ttl
        return {
            "access_token": access,
            "refresh_token": self.tokens.refresh,
            "expires_in": int(self.access_ttl),
            "refresh_expires_in": int(self.tokens.refresh_ends - now),
            "expire_time": int((now + self.access_ttl) * 1000),
            "refresh_token_valid_time": int(self.tokens.refresh_ends * 1000),
            "user_id": "900001",
            "account_platform": "buyerApp",
            "sp": "ae",
        }

    def accepts(self, access: str) -> bool:
        """Whether this access token is valid now."""
        return self.tokens.access.get(access, 0.0) > self.clock.now()

    def live(self) -> list[Product]:
        """Products still offered."""
        return [product for product in self.products.values() if not product.is_withdrawn]

    def mutate(self, operations: int, seed: int) -> dict[str, int]:
        """Random realistic changes."""
        chance, done = random.Random(seed), {"stock": 0, "price": 0, "name": 0, "withdrawn": 0}
        for _ in range(operations):
            product = chance.choice(list(self.products.values()))
            if product.is_withdrawn:
                continue
            unit, what = chance.choice(product.units), chance.choices(list(done), (70, 20, 8, 2))[0]
            if what == "stock":
                unit.stock = chance.choice((0, 0, 3, 17, 250))
            elif what == "price":
                unit.yuan = round(unit.yuan * chance.uniform(0.9, 1.12), 2)
            elif what == "name":
                product.subject += " new"
            else:
                product.is_withdrawn = True
            product.modified_at = self.clock.utc().strftime("%Y-%m-%d %H:%M:%S")
            done[what] += 1
        return done


def make_world(*, seed: int, products: int, clock: Clock) -> World:
    """A fresh world."""
    chance = random.Random(seed)
    made = {FIRST_PRODUCT_ID + n: _product(n, chance) for n in range(products)}
    now = clock.now()
    tokens = Tokens({"sandbox-access": now + LAUNCHED_ACCESS_S}, "sandbox-refresh", now + LAUNCHED_REFRESH_S)
    return World(clock=clock, seed=seed, products=made, tokens=tokens)


def _product(n: int, chance: random.Random) -> Product:
    number = FIRST_PRODUCT_ID + n
    colours = chance.sample(COLOURS, 1 if n % 4 == 0 else chance.randint(2, 5))
    units = [
        Unit(
            sku_id=f"1200004{n:05d}{place:05d}",
            attribute="" if len(colours) == 1 else f"14:{code}#{colour}",
            colour=colour,
            yuan=round(chance.uniform(8, 400), 2),
            stock=chance.choice((0, 2, 9, 40, 310, 999)),
        )
        for place, (code, colour) in enumerate(colours)
    ]
    subject = f"{chance.choice(NOUNS)} model {n}"
    return Product(number, subject, units, f"{chance.uniform(3.8, 5):.1f}", f"{chance.randint(1, 9)}00+")


def product_answer(world: World, product: Product, currency: str, country: str) -> Object:
    """The ``result`` of ``aliexpress.ds.product.get``."""
    return {
        "ae_item_base_info_dto": {
            "product_id": product.id,
            "category_id": 200000 + product.id % 7,
            "subject": product.subject,
            "product_status_type": "onSelling",
            "currency_code": "CNY",
            "avg_evaluation_rating": product.rating,
            "evaluation_count": str(product.id % 2000),
            "sales_count": product.sold,
            "detail": f"<div><p>{product.subject}</p></div>",
            "gmt_create": "2024-06-01 01:02:03",
            "gmt_modified": product.modified_at,
        },
        "ae_item_sku_info_dtos": Listed(
            "ae_item_sku_info_d_t_o", [_unit_answer(world, product, unit, currency) for unit in product.units]
        ),
        "ae_multimedia_info_dto": {
            "image_urls": f"https://img.example.invalid/{product.id}_1.jpg;https://img.example.invalid/{product.id}_2.jpg",
            "ae_video_dtos": Listed("ae_video_d_t_o", []),
        },
        "ae_store_info": {"store_id": 1100 + product.id % 9, "store_name": "Sandbox store", "store_country_code": "CN"},
        "logistics_info_dto": {"delivery_time": 7 + product.id % 9, "ship_to_country": country},
        "package_info_dto": {"package_width": 10, "package_height": 5, "package_length": 20, "gross_weight": "0.213"},
        "ae_item_properties": Listed("ae_item_property", [{"attr_name_id": 2, "attr_name": "Brand Name", "attr_value": "NONE"}]),
        "product_id_converter_result": f'{{"main_product_id":{product.id}}}',
        "has_whole_sale": False,
    }


def _unit_answer(world: World, product: Product, unit: Unit, currency: str) -> Object:
    slipped = random.Random(f"{world.seed}:{unit.sku_id}").random() < world.slip
    shown = "CNY" if slipped or currency not in RATES else currency
    price = unit.yuan * RATES[shown]
    return {
        "sku_id": unit.sku_id,
        "sku_attr": unit.attribute,
        "id": unit.attribute,
        "sku_price": f"{price * 1.6:.2f}",
        "offer_sale_price": f"{price:.2f}",
        "offer_bulk_sale_price": f"{price:.2f}",
        "currency_code": shown,
        "sku_available_stock": unit.stock,
        "price_include_tax": False,
        "sku_code": f"SELLER-{product.id % 10_000}-{unit.colour}",
        "limit_strategy": None,
        "ae_sku_property_dtos": Listed(
            "ae_sku_property_d_t_o",
            [
                {
                    "sku_property_id": 14,
                    "sku_property_name": "Color",
                    "property_value_id": 29,
                    "sku_property_value": unit.colour,
                    "sku_image": f"https://img.example.invalid/{product.id}_{unit.colour}.jpg",
                }
            ],
        ),
    }


def price_shown(unit: Unit, currency: str) -> str:
    """The pay price of one unit in a currency, as the API shows it."""
    return f"{unit.yuan * RATES[currency]:.2f}"


def order_answer(order: Object) -> Object:
    """The ``result`` of ``aliexpress.trade.ds.order.get``."""
    money = {"amount": order.get("amount", "10.00"), "currency_code": "USD"}
    lines: list[Any] = [
        {
            "product_id": line["product_id"],
            "product_name": f"Line {number + 1}",
            "product_count": line.get("count", 1),
            "sku_id": line.get("sku_id", ""),
            "product_price": money,
            "actual_fee": money,
            **({"end_reason": line["end_reason"]} if "end_reason" in line else {}),
        }
        for number, line in enumerate(order["lines"])
    ]
    parcels = [{"logistics_no": p["mail_no"], "logistics_service": p.get("carrier", "CAINIAO")} for p in order.get("parcels", [])]
    return {
        "order_status": order["order_status"],
        "logistics_status": order.get("logistics_status", "NO_LOGISTICS"),
        "gmt_create": order["gmt_create"],
        "pay_timeout_second": "1036800",
        "order_amount": money,
        "user_order_amount": {"amount": order.get("amount", "10.00"), "currency_code": "EUR"},
        "child_order_list": Listed("aeop_child_order_info", lines),
        "logistics_info_list": Listed("aeop_order_logistics_info", parcels),
        "store_info": {"store_id": 1100, "store_name": "Sandbox store"},
    }


def tracking_answer(order: Object) -> Object:
    """The ``result`` of ``aliexpress.ds.order.tracking.get``; newest node first."""
    lines: list[Any] = [
        {
            "mail_no": parcel["mail_no"],
            "carrier_name": parcel.get("carrier", "CAINIAO"),
            "eta_time_stamps": 0,
            "package_item_list": Listed(
                "package_item", [{"item_id": line["product_id"], "quantity": 1} for line in order["lines"]]
            ),
            "detail_node_list": Listed(
                "detail_node",
                [
                    {"time_stamp": 1_735_700_000_000 + 3_600_000 * n, "tracking_name": name, "tracking_detail_desc": name}
                    for n, name in reversed(list(enumerate(parcel.get("nodes", ["Shipped"]))))
                ],
            ),
        }
        for parcel in order["parcels"]
    ]
    return {"ret": True, "code": "200", "msg": "success", "data": {"tracking_detail_line_list": Listed("tracking_detail", lines)}}
