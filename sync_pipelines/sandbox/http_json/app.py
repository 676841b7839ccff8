"""A supplier as small ones are: three addresses and a key (``sandbox-key`` in ``X-Api-Key``).

Control, beside the common routes: ``GET truth?stream=products|stock|prices``, ``POST mutate {"operations": n, "seed": s}``, ``POST
withdraw {"skus": […]}``, ``POST stock {"sku": …, "quantity": …}``.
"""

from __future__ import annotations

import json
import random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike

KEY = "sandbox-key"
SIZES = {"demo": 25, "full": 5_000}
PAGE = 10


def create_app(*, seed: int = 1, size: str = "demo", clock: Clock | None = None) -> Starlette:
    """The look-alike; see the module's docstring."""
    chance = random.Random(seed)
    shelf: dict[str, dict[str, Any]] = {
        f"H{n:04d}": {"name": f"Thing {n}", "quantity": chance.choice((0, 3, 12)), "price": f"{chance.uniform(2, 90):.2f}"}
        for n in range(SIZES[size])
    }

    def refused(request: Request) -> Response | None:
        return None if request.headers.get("x-api-key") == KEY else JSONResponse({"error": "bad key"}, status_code=401)

    async def products(request: Request) -> Response:
        page, skus = int(request.query_params.get("page", 1)), list(shelf)
        shown = skus[(page - 1) * PAGE : page * PAGE]
        following = page + 1 if page * PAGE < len(skus) else None
        rows = [{"sku": sku, "name": shelf[sku]["name"], "text": "A thing."} for sku in shown]
        return refused(request) or JSONResponse({"items": rows, "next": following})

    async def stock(request: Request) -> Response:
        lines = ["sku;quantity;days", *(f"{sku};{row['quantity']};1" for sku, row in shelf.items())]
        return refused(request) or PlainTextResponse("\n".join(lines) + "\n", media_type="text/csv")

    async def prices(request: Request) -> Response:
        lines = ["sku;price", *(f"{sku};{row['price']}" for sku, row in shelf.items())]
        return refused(request) or PlainTextResponse("\n".join(lines) + "\n", media_type="text/csv")

    async def truth(request: Request) -> Response:
        columns = {"products": "name", "stock": "quantity", "prices": "price"}
        held = {stream: {sku: row[column] for sku, row in shelf.items()} for stream, column in columns.items()}
        stream = request.query_params.get("stream")
        return JSONResponse(held[stream] if stream else held)

    async def mutate(request: Request) -> Response:
        wanted = json.loads(await request.body())
        dice = random.Random(wanted.get("seed", 0))
        for _ in range(wanted.get("operations", 10)):
            shelf[dice.choice(list(shelf))]["quantity"] = dice.choice((0, 1, 5, 40))
        return Response(status_code=204)

    async def withdraw(request: Request) -> Response:
        for sku in json.loads(await request.body())["skus"]:
            del shelf[sku]
        return Response(status_code=204)

    async def set_stock(request: Request) -> Response:
        wanted = json.loads(await request.body())
        shelf[wanted["sku"]]["quantity"] = wanted["quantity"]
        return Response(status_code=204)

    routes: list[BaseRoute] = [Route("/products.json", products), Route("/stock.csv", stock), Route("/prices.csv", prices)]
    control: list[BaseRoute] = [
        Route("/_control/truth", truth),
        Route("/_control/mutate", mutate, methods=["POST"]),
        Route("/_control/withdraw", withdraw, methods=["POST"]),
        Route("/_control/stock", set_stock, methods=["POST"]),
    ]
    return look_alike(routes, clock=clock or Clock(), control=control)
