"""A look-alike of AliExpress' gateway for dropshippers: ``/sync`` for business methods, ``/rest{path}`` for token calls.

``/oauth/authorize`` is the consent page, which agrees at once. App key ``sandbox-app``, secret ``sandbox-app-secret``,
tokens ``sandbox-access`` and ``sandbox-refresh``. ``size="full"``: 500 products, ``size="demo"``: 30. Two in a hundred business
calls are throttled, whatever the rate.

Control, beside the common routes::

    GET  /_control/truth?stream=products|stock|prices|orders&currency=EUR
    POST /_control/mutate      {"operations": 100, "seed": 1}
    POST /_control/withdraw    {"ids": […]} or {"count": 5, "seed": 1}
    POST /_control/throttle    {"probability": 0.2}
    POST /_control/tokens      {"access_ttl": 60}, {"expire": true} (all access tokens now), {"end": true} (the refresh token too)
    POST /_control/currency    {"slip": 0.1}      share of SKUs that stay in CNY
    POST /_control/empty       {"seconds": 3600}  feeds answer nothing
    POST /_control/orders      {"order_id": "8001", "lines": [{"product_id": …}], "order_status": "…", "parcels": [{"mail_no": …}]}
    GET  /_control/signatures  the methods of wrongly signed calls
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.aliexpress.gateway import Listed, Object, envelope, error, flat_error, is_signed
from sync_pipelines.sandbox.aliexpress.world import (
    FEED,
    World,
    make_world,
    order_answer,
    price_shown,
    product_answer,
    tracking_answer,
)
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike
from sync_pipelines.sandbox.common.quota import SlidingWindow

APP_KEY, APP_SECRET = "sandbox-app", "sandbox-app-secret"
SIZES = {"full": 500, "demo": 30}
TOKEN_PATHS = ("/auth/token/refresh", "/auth/token/create")


class RefusedError(Exception):
    """A business call answered with ``error_response``."""

    def __init__(self, code: str, message: str, *, sub_code: str = "", kind: str = "ISV") -> None:
        super().__init__(message)
        self.code, self.sub_code, self.kind = code, sub_code, kind


class AliExpress:
    """The gateway over one `World`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._chance = random.Random(world.seed)
        self._feed_quota = SlidingWindow(world.clock, limit=3, seconds=1)
        self._requests = 0
        self._searches: dict[str, tuple[int, float]] = {}
        self._methods: dict[str, Callable[[dict[str, str]], Object]] = {
            "aliexpress.ds.product.get": self._product,
            "aliexpress.ds.feedname.get": self._feed_names,
            "aliexpress.ds.feed.itemids.get": self._feed_items,
            "aliexpress.ds.recommend.feed.get": self._recommended,
            "aliexpress.trade.ds.order.get": self._order,
            "aliexpress.ds.order.tracking.get": self._tracking,
        }

    async def consent(self, request: Request) -> Response:
        """Agrees at once, as a person who clicks "agree"."""
        query = request.query_params
        if query.get("client_id") != APP_KEY or query.get("response_type") != "code" or not query.get("redirect_uri"):
            return JSONResponse({"error": "invalid_request"}, 400)
        back = {"code": self.world.agree()} | ({"state": query["state"]} if "state" in query else {})
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 302)

    async def rest(self, request: Request) -> Response:
        """Token calls; flat answers."""
        path, sent = "/" + request.path_params["path"], await _parameters(request)
        request_id = self._next_id()
        if path not in TOKEN_PATHS:
            return JSONResponse(flat_error("InvalidApiPath", "The specified API path is invalid", request_id))
        if not self._check(sent, path=path):
            return JSONResponse(flat_error("IncompleteSignature", "The request signature does not conform", request_id))
        return JSONResponse(self._token(path, sent, request_id))

    async def sync(self, request: Request) -> Response:
        """Business methods, and token calls named by path."""
        sent = await _parameters(request)
        method, simplify, request_id = sent.get("method", ""), sent.get("simplify") == "true", self._next_id()
        request.state.account = sent.get("app_key")
        if not self._check(sent, path=None):
            return JSONResponse(
                error("IncompleteSignature", "The request signature does not conform to platform standards", request_id)
            )
        if method in TOKEN_PATHS:
            return JSONResponse(envelope(method, self._token(method, sent, request_id), simplify=simplify, request_id=request_id))
        try:
            answer = self._business(method, sent)
        except RefusedError as refusal:
            return JSONResponse(
                error(refusal.code, str(refusal), request_id, sub_code=refusal.sub_code, kind=refusal.kind), status_code=200
            )
        return JSONResponse(envelope(method, answer, simplify=simplify, request_id=request_id))

    def _business(self, method: str, sent: dict[str, str]) -> Object:
        if method not in self._methods:
            raise RefusedError("InvalidApiPath", "The specified method is invalid")
        if not self.world.accepts(sent.get("session") or sent.get("access_token", "")):
            raise RefusedError("IllegalAccessToken", "The specified access token is invalid or expired")
        is_over = method == "aliexpress.ds.feed.itemids.get" and self._feed_quota.take() > 0
        if is_over or self._chance.random() < self.world.throttle:
            raise RefusedError("ApiCallLimit", "Api access frequency exceeds the limit. this ban will last 1 seconds")
        return self._methods[method](sent)

    def _check(self, sent: dict[str, str], *, path: str | None) -> bool:
        is_right = sent.get("app_key") == APP_KEY and is_signed(sent, secret=APP_SECRET, path=path)
        if not is_right:
            self.world.wrong_signatures.append(path or sent.get("method", ""))
        return is_right

    def _next_id(self) -> str:
        self._requests += 1
        return f"21{self._requests:010d}"

    def _token(self, path: str, sent: dict[str, str], request_id: str) -> Object:
        if path.endswith("create"):
            pair, refusal = self.world.exchange(sent.get("code", "")), "InvalidCode"
        else:
            pair, refusal = self.world.refresh(sent.get("refresh_token", "")), "IllegalRefreshToken"
        if pair is None:
            return flat_error(refusal, "The specified code or refresh token is invalid or expired", request_id)
        return {**pair, "code": "0", "request_id": request_id}

    def _product(self, sent: dict[str, str]) -> Object:
        if not sent.get("ship_to_country"):
            raise RefusedError("MissingParameter", "The input parameter ship_to_country is mandatory")
        product = self.world.products.get(int(sent["product_id"]))
        if product is None or product.is_withdrawn:
            return {"rsp_code": 605, "rsp_msg": "ITEM_ID_NOT_FOUND"}
        result = product_answer(self.world, product, sent.get("target_currency", "USD"), sent["ship_to_country"])
        return {"result": result, "rsp_code": 200, "rsp_msg": "Call succeeds"}

    def _feed_names(self, _: dict[str, str]) -> Object:
        promos = [{"promo_name": FEED, "promo_desc": "All of it", "product_num": len(self.world.live())}]
        return {"resp_result": {"resp_code": 200, "resp_msg": "Call succeeds",
                                "result": {"current_record_count": 1, "promos": Listed("promo", promos)}}}  # fmt: skip

    def _feed(self, name: str) -> list[int]:
        if name != FEED or self.world.empty_until > self.world.clock.now():
            return []
        return [product.id for product in self.world.live()]

    def _feed_items(self, sent: dict[str, str]) -> Object:
        numbers, size = self._feed(sent.get("feed_name", "")), min(int(sent.get("page_size", 200)), 200)
        start, valid_until = self._searches.get(sent.get("search_id", ""), (0, 0.0))
        if valid_until < self.world.clock.now():
            start = 0  # a search id lives for a minute
        page, left = numbers[start : start + size], max(len(numbers) - start - size, 0)
        search = f"search-{self._requests}"
        self._searches[search] = (start + size, self.world.clock.now() + 60)
        return {"result": {"products": Listed("number", list(page)), "search_id": search, "total": left},
                "ret": True, "rsp_code": 200, "rsp_msg": "Call succeeds"}  # fmt: skip

    def _recommended(self, sent: dict[str, str]) -> Object:
        numbers, size, page = (
            self._feed(sent.get("feed_name", "")),
            min(int(sent.get("page_size", 50)), 50),
            int(sent.get("page_no", 1)),
        )
        shown = numbers[(page - 1) * size : page * size]
        items = [{"product_id": number, "product_title": self.world.products[number].subject} for number in shown]
        result = {
            "products": Listed("traffic_product_d_t_o", items),
            "current_page_no": page,
            "current_record_count": len(shown),
            "total_record_count": len(numbers),
            "is_finished": page * size >= len(numbers),
        }
        return {"result": result, "rsp_code": 200, "rsp_msg": "Call succeeds"}

    def _order(self, sent: dict[str, str]) -> Object:
        found = self.world.orders.get(str(json.loads(sent.get("single_order_query", "{}")).get("order_id")))
        if found is None:
            raise RefusedError("15", "Remote service error", sub_code="isv.insufficient-permission", kind="ISP")
        return {"result": order_answer(found), "rsp_code": 200, "rsp_msg": "Call succeeds"}

    def _tracking(self, sent: dict[str, str]) -> Object:
        found = self.world.orders.get(sent.get("ae_order_id", ""))
        if found is None or not found.get("parcels"):
            return {"result": {"ret": False, "code": "1001", "msg": "TRACKING DATA NOT FOUND"}}
        return {"result": tracking_answer(found)}


async def _parameters(request: Request) -> dict[str, str]:
    form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    return dict(request.query_params) | form


def create_app(*, seed: int = 1, size: str = "demo", clock: Clock | None = None) -> Starlette:
    """The look-alike; see the module's docstring."""
    clock = clock or Clock()
    world = make_world(seed=seed, products=SIZES[size], clock=clock)
    gateway = AliExpress(world)
    routes: list[BaseRoute] = [
        Route("/sync", gateway.sync, methods=["GET", "POST"]),
        Route("/oauth/authorize", gateway.consent),
        Route("/rest/{path:path}", gateway.rest, methods=["GET", "POST"]),
    ]
    app = look_alike(routes, clock=clock, control=_control(world))
    app.state.world, app.state.clock = world, clock
    return app


def _control(world: World) -> list[BaseRoute]:
    async def truth(request: Request) -> Response:
        held = truth_of(world, request.query_params.get("currency", "EUR"))
        stream = request.query_params.get("stream")
        return JSONResponse(held[stream] if stream else held)

    async def mutate(request: Request) -> Response:
        wanted = json.loads(await request.body())
        return JSONResponse(world.mutate(wanted.get("operations", 100), wanted.get("seed", 0)))

    async def withdraw(request: Request) -> Response:
        wanted = json.loads(await request.body())
        chance = random.Random(wanted.get("seed", 0))
        gone = wanted.get("ids") or [product.id for product in chance.sample(world.live(), wanted["count"])]
        for number in gone:
            world.products[number].is_withdrawn = True
        return JSONResponse({"ids": gone})

    async def throttle(request: Request) -> Response:
        world.throttle = json.loads(await request.body())["probability"]
        return Response(status_code=204)

    async def tokens(request: Request) -> Response:
        wanted = json.loads(await request.body())
        world.access_ttl = wanted.get("access_ttl", world.access_ttl)
        if wanted.get("expire") or wanted.get("end"):
            world.tokens.access.clear()
        if wanted.get("end"):
            world.tokens.refresh_ends = world.clock.now()
        return Response(status_code=204)

    async def currency(request: Request) -> Response:
        world.slip = json.loads(await request.body())["slip"]
        return Response(status_code=204)

    async def empty(request: Request) -> Response:
        world.empty_until = world.clock.now() + json.loads(await request.body()).get("seconds", 3600)
        return Response(status_code=204)

    async def orders(request: Request) -> Response:
        wanted = json.loads(await request.body())
        created = {"gmt_create": world.clock.utc().strftime("%Y-%m-%d %H:%M:%S")}
        world.orders[wanted["order_id"]] = created | world.orders.get(wanted["order_id"], {}) | wanted
        return JSONResponse({"order_id": wanted["order_id"]})

    async def signatures(_: Request) -> Response:
        return JSONResponse({"wrong": world.wrong_signatures})

    posts = {"mutate": mutate, "withdraw": withdraw, "throttle": throttle, "tokens": tokens, "currency": currency, "empty": empty,
             "orders": orders}  # fmt: skip
    return [
        Route("/_control/truth", truth),
        Route("/_control/signatures", signatures),
        *(Route(f"/_control/{name}", handler, methods=["POST"]) for name, handler in posts.items()),
    ]


def truth_of(world: World, currency: str) -> dict[str, Object]:
    """What a perfect client would hold now, by stream and vendor key."""
    units = [unit for product in world.live() for unit in product.units]
    return {
        "products": {str(product.id): {"subject": product.subject} for product in world.live()},
        "stock": {unit.sku_id: unit.stock for unit in units},
        "prices": {unit.sku_id: {"amount": price_shown(unit, currency), "currency": currency} for unit in units},
        "orders": {
            number: {"status": order["order_status"], "parcels": [parcel["mail_no"] for parcel in order.get("parcels", [])]}
            for number, order in world.orders.items()
        },
    }
