"""A look-alike of BigBuy's REST API, production flavour (its own sandbox answers 400 to most lists; ``facts.md`` 9).

Keys: ``sandbox-key`` and ``sandbox-key-2``, each with windows of its own. ``size="full"``: 100,000 products, 160,000 variations, 22
taxonomies, 1 % of it in stock; ``size="demo"``: 150 products in 4 taxonomies, half of it in stock.

Control, beside the common routes::

    GET  /_control/truth?stream=products|variants|stock|prices|orders
    POST /_control/mutate    {"operations": 100, "seed": 1}
    POST /_control/withdraw  {"ids": [500001]} or {"count": 10, "seed": 1}
    POST /_control/restore   {"ids": [500001]}
    POST /_control/stock     {"sku": "S0000001-0", "quantity": 7}
    POST /_control/price     {"sku": "S0000001-0", "wholesalePrice": 12.5}
    POST /_control/empty     {"lists": ["productsstockbyhandlingdays"], "seconds": 3600}    these lists answer []
    POST /_control/orders    {"reference": "A-1", "lines": [{"reference": sku, "quantity": 1}], "status": "Sent", "parcels": […]}
                             the same reference again changes that order
    GET  /_control/windows   calls that came over a window, by key and endpoint
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from itertools import islice
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.bigbuy import limits, shapes
from sync_pipelines.sandbox.bigbuy.world import FIRST_PRODUCT_ID, LANGUAGES, Order, World, variations_of
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike

KEYS = ("sandbox-key", "sandbox-key-2")
SIZES = {"full": {"products": 100_000, "groups": 22, "in_stock": 1}, "demo": {"products": 150, "groups": 4, "in_stock": 50}}
MAX_PAGE_SIZE = 10_000

Row = dict[str, Any]
PRODUCT_LISTS: dict[str, Callable[[World, int, str], Row]] = {
    "products": lambda world, index, _: shapes.product(world, index),
    "productsinformation": shapes.information,
    "productsimages": lambda world, index, _: shapes.images(world, index),
    "productprices": lambda world, index, _: shapes.price(world, "product", index),
    "productsstockbyhandlingdays": lambda world, index, _: shapes.stock(world, "product", index),
}
VARIATION_LISTS: dict[str, Callable[[World, int, str], Row]] = {
    "productsvariations": lambda world, unit, _: shapes.product_variation(world, unit),
    "variations": lambda world, unit, _: shapes.variation(world, unit),
    "productvariationprices": lambda world, unit, _: shapes.price(world, "variation", unit),
    "productsvariationsstockbyhandlingdays": lambda world, unit, _: shapes.stock(world, "variation", unit),
}
PLAIN_LISTS: dict[str, Callable[[World, str], list[Row]]] = {
    "manufacturers": lambda _world, _language: shapes.manufacturers(),
    "attributes": lambda _world, language: shapes.attributes(language),
    "attributegroups": lambda _world, language: shapes.attribute_groups(language),
    "tags": lambda _world, _language: [],
    "productstags": lambda _world, _language: [],
    "languages": lambda _world, _language: [{"id": n, "isoCode": code, "name": code} for n, code in enumerate(LANGUAGES)],
    "productstaxonomies": lambda world, _: [
        {"id": index, "taxonomy": world.group_of(index), "product": shapes.product_id(index)} for index in world.live_products()
    ],
}
PRODUCT_ITEMS: dict[str, Callable[[World, int, str], Any]] = {
    "product": lambda world, index, _: _prices_as_text(shapes.product(world, index)),
    "productinformation": lambda world, index, language: [shapes.information(world, index, language)],
    "productimages": lambda world, index, _: shapes.images(world, index),
    "productstockbyhandlingdays": lambda world, index, _: shapes.stock(world, "product", index),
    "productvariations": lambda world, index, _: [shapes.product_variation(world, unit) for unit in _units(index)],
    "productvariationsstockbyhandlingdays": lambda world, index, _: [
        shapes.stock(world, "variation", unit) for unit in _units(index)
    ],
}


def _units(index: int) -> range:
    return range(index * 8, index * 8 + variations_of(index))


def _prices_as_text(row: Row) -> Row:
    return row | {name: f"{row[name]:.2f}" for name in ("wholesalePrice", "retailPrice", "inShopsPrice")}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"code": status, "message": message}, status_code=status)


class BigBuy:
    """The routes over one `World`."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.windows = {key: limits.FixedWindows(clock) for key in KEYS}
        self.empty_until: dict[str, float] = {}
        self._account_calls: dict[
            str, Callable[[str, Request], Awaitable[Any]]
        ] = {  # longest name first; the rest is id or reference
            "order/orderstatuses": self._statuses,
            "order/reference": self._reference,
            "order/delivery-notes": self._delivery_notes,
            "order": self._order,
            "tracking/carriers": self._carriers,
            "tracking/orders": self._tracking_of_many,
            "tracking/order": self._tracking,
            "user/purse": self._purse,
            "user/auth/status": self._key_check,
        }

    def _admit(self, request: Request, endpoint: str, limit: int, seconds: int) -> tuple[Response | None, dict[str, str]]:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in self.windows:
            return JSONResponse({"message": "Invalid Token"}, status_code=401), {}
        request.state.account = key
        is_allowed, headers = self.windows[key].take(endpoint, limit, seconds)
        headers["Date"] = formatdate(self.clock.now(), usegmt=True)
        if is_allowed:
            return None, headers
        return PlainTextResponse("You exceeded the rate limit", status_code=429, headers=headers), {}

    async def listing(self, request: Request) -> Response:
        """Every list below ``/rest/catalog/``."""
        name, query = request.path_params["name"], request.query_params
        known = limits.BULK_PER_HOUR.get(name)
        if known is None:
            return _error(404, f'No route found for "GET /rest/catalog/{name}"')
        by_group = name in PRODUCT_LISTS or name in VARIATION_LISTS
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key in self.windows and by_group and not query.get("parentTaxonomy", "").isdigit():
            return _error(400, "Bad request")  # not counted
        refused, headers = self._admit(request, name, known, limits.HOUR)
        if refused:
            return refused
        return JSONResponse(self._rows(name, request), headers=headers)

    def _rows(self, name: str, request: Request) -> list[Row]:
        query = request.query_params
        if self.empty_until.get(name, 0) > self.clock.now():
            return []
        size = min(int(query.get("pageSize", 0)) or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        start, language = int(query.get("page", 0)) * size, query.get("isoCode", "es")
        if name == "taxonomies":
            return shapes.taxonomies(self.world, language, first_level=query.get("firstLevel", "") in {"1", "true"})
        if name == "new-products":
            indexes: Iterator[int] = iter(sorted(set(self.world.changed_at) - self.world.withdrawn))
            return [shapes.product(self.world, index) for index in islice(indexes, start, start + size)]
        if name in PLAIN_LISTS:
            return PLAIN_LISTS[name](self.world, language)[start : start + size]
        group = int(query["parentTaxonomy"])
        if name in PRODUCT_LISTS:
            make, units = PRODUCT_LISTS[name], self.world.product_indexes(group, name)
        else:
            make, units = VARIATION_LISTS[name], self.world.variation_indexes(group, name)
        return [make(self.world, unit, language) for unit in islice(units, start, start + size)]

    async def item(self, request: Request) -> Response:
        """Single items; a missing one is an empty 200 for even ids, a 404 for odd ones: both were seen."""
        name, number = request.path_params["name"], int(request.path_params["id"])
        if name not in PRODUCT_ITEMS:
            return _error(404, f'No route found for "GET /rest/catalog/{name}"')
        refused, headers = self._admit(request, f"{name}/id", 1, limits.ITEM_SECONDS)
        if refused:
            return refused
        index = number - FIRST_PRODUCT_ID
        if not 0 <= index < self.world.count or index in self.world.withdrawn:
            return Response(b"", headers=headers) if number % 2 == 0 else _error(404, "Product not found")
        return JSONResponse(PRODUCT_ITEMS[name](self.world, index, request.query_params.get("isoCode", "es")), headers=headers)

    async def account(self, request: Request) -> Response:
        """Orders, tracking and user calls: one a second each."""
        path, query_id = request.path_params["rest"], request.path_params["rest"].rpartition("/")[2]
        endpoint = next((name for name in self._account_calls if path == name or path.startswith(name + "/")), None)
        if endpoint is None:
            return _error(404, f'No route found for "{request.method} /rest/{path}"')
        refused, headers = self._admit(request, endpoint, 1, limits.ACCOUNT_SECONDS)
        if refused:
            return refused
        answer = await self._account_calls[endpoint](query_id, request)
        if isinstance(answer, Response):
            answer.headers.update(headers)
            return answer
        return JSONResponse(answer, headers=headers)

    async def _order(self, number: str, _: Request) -> Any:
        found = self.world.orders.get(int(number)) if number.isdigit() else None
        return shapes.order(found) if found else Response(b"")

    async def _reference(self, reference: str, _: Request) -> Any:
        found = next((order for order in self.world.orders.values() if order.reference == reference), None)
        if found is None:
            return _error(404, f"No order found with refOrder: {reference}")
        return {"id": str(found.id), "totalPaidTaxIncl": found.total}

    async def _delivery_notes(self, number: str, _: Request) -> Any:
        found = self.world.orders.get(int(number)) if number.isdigit() else None
        if found is None:
            return []
        products = [{"reference": line["reference"], "quantity": line["quantity"]} for line in found.lines]
        return [{"reference": found.reference, "order": str(found.id), "status": found.status, "carrier": "GLS",
                 "numberOfPackages": len(found.parcels), "products": products}]  # fmt: skip

    async def _tracking(self, number: str, _: Request) -> Any:
        found = self.world.orders.get(int(number)) if number.isdigit() else None
        return [shapes.tracking(found)] if found and found.parcels else []

    async def _tracking_of_many(self, _: str, request: Request) -> Any:
        if "json" not in request.headers.get("content-type", ""):
            return _error(415, "Unsupported Media Type")
        asked = [int(entry["id"]) for entry in json.loads(await request.body())["track"]["orders"]]
        found = [self.world.orders.get(number) for number in asked]
        # Shorter than asked, and null where nothing moves yet.
        return [shapes.tracking(order) if order.parcels else None for order in found if order]

    async def _statuses(self, _: str, __: Request) -> Any:
        return [{"id": n + 1, "name": name} for n, name in enumerate(shapes.ORDER_STATUSES)]

    async def _carriers(self, _: str, __: Request) -> Any:
        return [{"id": number, "name": name} for number, name in shapes.CARRIERS]

    async def _purse(self, _: str, __: Request) -> Any:
        return "10000.00"

    async def _key_check(self, _: str, __: Request) -> Any:
        return Response(b"")


def create_app(*, seed: int = 1, size: str = "demo", clock: Clock | None = None) -> Starlette:
    """The look-alike; see the module's docstring."""
    clock = clock or Clock()
    bigbuy = BigBuy(World(seed=seed, clock=clock, **SIZES[size]), clock)
    routes: list[BaseRoute] = [
        Route("/rest/catalog/{name}/{id:int}.{format}", bigbuy.item),
        Route("/rest/catalog/{name}.{format}", bigbuy.listing),
        Route("/rest/{rest:path}.{format}", bigbuy.account, methods=["GET", "POST"]),
        Route("/rest/{rest:path}", bigbuy.account, methods=["GET", "POST"]),
    ]
    app = look_alike(routes, clock=clock, control=_control(bigbuy))
    app.state.world, app.state.windows, app.state.clock = bigbuy.world, bigbuy.windows, clock
    return app


def _control(bigbuy: BigBuy) -> list[BaseRoute]:
    world = bigbuy.world

    async def truth(request: Request) -> Response:
        return JSONResponse(truth_of(world, request.query_params.get("stream")))

    async def mutate(request: Request) -> Response:
        wanted = json.loads(await request.body())
        return JSONResponse(world.mutate(wanted.get("operations", 100), wanted.get("seed", 0)))

    async def withdraw(request: Request) -> Response:
        wanted = json.loads(await request.body())
        if "ids" in wanted:
            gone = {number - FIRST_PRODUCT_ID for number in wanted["ids"]}
        else:
            gone = set(random.Random(wanted.get("seed", 0)).sample(list(world.live_products()), wanted["count"]))
        world.withdrawn |= gone
        return JSONResponse({"ids": sorted(index + FIRST_PRODUCT_ID for index in gone)})

    async def restore(request: Request) -> Response:
        world.withdrawn -= {number - FIRST_PRODUCT_ID for number in json.loads(await request.body())["ids"]}
        return Response(status_code=204)

    async def set_stock(request: Request) -> Response:
        wanted = json.loads(await request.body())
        world.stock[unit_of(wanted["sku"])] = wanted["quantity"]
        return Response(status_code=204)

    async def set_price(request: Request) -> Response:
        wanted = json.loads(await request.body())
        world.prices[unit_of(wanted["sku"])] = wanted["wholesalePrice"]
        return Response(status_code=204)

    async def empty(request: Request) -> Response:
        wanted = json.loads(await request.body())
        until = bigbuy.clock.now() + wanted.get("seconds", 3600)
        bigbuy.empty_until.update(dict.fromkeys(wanted["lists"], until))
        return Response(status_code=204)

    async def orders(request: Request) -> Response:
        return JSONResponse({"id": place_order(world, json.loads(await request.body()))})

    async def windows(_: Request) -> Response:
        return JSONResponse({key: window.over for key, window in bigbuy.windows.items()})

    posts = {"mutate": mutate, "withdraw": withdraw, "restore": restore, "stock": set_stock, "price": set_price, "empty": empty,
             "orders": orders}  # fmt: skip
    return [
        Route("/_control/truth", truth),
        Route("/_control/windows", windows),
        *(Route(f"/_control/{name}", handler, methods=["POST"]) for name, handler in posts.items()),
    ]


def unit_of(sku: str) -> tuple[str, int]:
    """What a SKU stands for: ``("product", index)`` or ``("variation", unit)``."""
    index, _, place = sku.removeprefix("S").partition("-")
    return ("variation", int(index) * 8 + int(place)) if place else ("product", int(index))


def place_order(world: World, wanted: Row) -> int:
    """Makes or changes the order with this reference; returns its id."""
    found = next((order for order in world.orders.values() if order.reference == wanted["reference"]), None)
    if found is None:
        number = 70_001 + len(world.orders)
        found = world.orders[number] = Order(number, wanted["reference"], wanted["lines"])
        found.placed_at = world.clock.utc().strftime("%Y-%m-%d %H:%M:%S")
        found.total = wanted.get("total", "24.20")
    found.status, found.parcels = wanted.get("status", found.status), wanted.get("parcels", found.parcels)
    return found.id


def truth_of(world: World, stream: str | None = None) -> dict[str, Any]:
    """What a perfect client would hold now, by stream and vendor key."""
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "products": lambda: {str(shapes.product_id(i)): {"sku": shapes.product_sku(i)} for i in world.live_products()},
        "variants": lambda: {
            shapes.variation_sku(unit): {"id": shapes.variation_id(unit), "product": shapes.product_id(unit // 8)}
            for unit in _live_variations(world)
        },
        "stock": lambda: {
            **{shapes.product_sku(i): world.quantity("product", i) for i in world.live_products()},
            **{shapes.variation_sku(unit): world.quantity("variation", unit) for unit in _live_variations(world)},
        },
        "prices": lambda: {
            **{shapes.product_sku(i): world.wholesale("product", i) for i in world.live_products()},
            **{shapes.variation_sku(unit): world.wholesale("variation", unit) for unit in _live_variations(world)},
        },
        "orders": lambda: {
            str(o.id): {"reference": o.reference, "status": o.status, "parcels": [p["number"] for p in o.parcels]}
            for o in world.orders.values()
        },
    }
    return makers[stream]() if stream else {name: make() for name, make in makers.items()}


def _live_variations(world: World) -> Iterator[int]:
    return (unit for index in world.live_products() for unit in _units(index))
