"""Serves the look-alike of the Amazon Selling Partner API.

Sellers ``alpha`` (FR, DE), ``beta`` (UK, SE) and ``gamma`` (IT, ES; no role for personal data). Credentials: client id
``amzn1.application-oa2-client.sandbox``, client secret ``sandbox-secret``, refresh token ``Atzr|sandbox-<seller>``;
token endpoint ``/auth/o2/token`` below the same base URL.

Control, besides the common routes:

``GET  /_control/truth?tenant=alpha``  orders and lines as version 2026-01-01 would show them with every dataset
``POST /_control/mutate``     ``{"operations": n, "seed": s, "tenant": optional}``
``POST /_control/generate``   ``{"tenant", "count", "days", "salt"}`` adds orders with past changes
``POST /_control/late``       ``{"tenant", "count", "changed_ago", "visible_in", "seed"}`` late arrivals
``POST /_control/churn``      ``{"every": n, "operations": m, "tenant": optional}``: m changes after every n-th answer; 0 ends it
``POST /_control/plans``      ``{"operation": {"rate", "burst"}}`` other usage plans; buckets start full again
``POST /_control/tenant``     ``{"tenant", "is_revoked", "has_pii_role"}``
``POST /_control/expire``     ``{"tenant": optional}`` ends the validity of access tokens
``POST /_control/reports``    ``{"next_outcome": "FATAL", "with_item_ids": true}``
``POST /_control/settings``   ``{"item_page_size": 2}``
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.amazon.answers import InvalidInputError, error
from sync_pipelines.sandbox.amazon.auth import Authority, Grant
from sync_pipelines.sandbox.amazon.orders_2026 import DATASETS, Orders2026, render
from sync_pipelines.sandbox.amazon.orders_v0 import OrdersV0
from sync_pipelines.sandbox.amazon.reports import Reports
from sync_pipelines.sandbox.amazon.world import FIRST_ORDERS, MARKETPLACES, World
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike
from sync_pipelines.sandbox.common.quota import TokenBucket

PLANS: dict[str, tuple[float, int]] = {
    "v0.getOrders": (0.0167, 20),
    "v0.getOrder": (0.5, 30),
    "v0.getOrderItems": (0.5, 30),
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "createRestrictedDataToken": (1.0, 10),
    "createReport": (0.0167, 15),
    "getReport": (2.0, 15),
    "getReportDocument": (0.0167, 15),
    "getMarketplaceParticipations": (0.016, 15),
}
"""Requests per second and burst of each operation, per seller and application (facts §3.1)."""

Operation = Callable[[Request, Grant], Awaitable[Response]]


class LookAlike:
    """One world and the operations on it."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.world = World(clock, seed)
        self.authority = Authority(self.world)
        self.v0 = OrdersV0(self.world)
        self.v2026 = Orders2026(self.world)
        self.reports = Reports(self.world)
        self._plans = dict(PLANS)
        self._buckets: dict[tuple[str, str, str], TokenBucket] = {}
        self._headers = random.Random(f"{seed}:headers")
        self._churn: dict[str, Any] = {"every": 0}
        self._answered = 0

    def operation(self, name: str, path: str, serve: Operation, method: str = "GET") -> Route:
        """A route behind authorization, usage plan and validation, in that order."""

        async def answer(request: Request) -> Response:
            response = await self._answer(name, request, serve)
            response.headers["x-amzn-RequestId"] = str(uuid.UUID(int=self._headers.getrandbits(128)))
            self._answered += 1
            if self._churn["every"] and self._answered % self._churn["every"] == 0:
                self.world.mutate(self._churn["operations"], seed=self._answered, tenant=self._churn.get("tenant"))
            return response

        return Route(path, answer, methods=[method])

    async def _answer(self, name: str, request: Request, serve: Operation) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        grant, refusal = self.authority.allowed(request, path)
        if grant is None:
            return refusal or error(403, "Unauthorized", "Access to requested resource is denied.")
        if not 0 < len(request.headers.get("user-agent", "")) <= 500:
            return error(400, "InvalidInput", "A user-agent header of at most 500 characters is required.")
        if request.method == "GET" and await request.body():
            return Response(b"<html><body><h1>400 Bad Request</h1></body></html>", 400, media_type="text/html")
        rate, _ = self._plans[name]
        if self._bucket(name, grant).take() > 0:
            return error(429, "QuotaExceeded", "You exceeded your quota for the requested resource.", "")
        try:
            response = await serve(request, grant)
        except InvalidInputError as refused:
            response = error(400, "InvalidInput", refused.message, refused.details)
        if self._headers.random() > 0.05:
            response.headers["x-amzn-RateLimit-Limit"] = str(rate)
        return response

    def _bucket(self, name: str, grant: Grant) -> TokenBucket:
        key = (grant.tenant.name, grant.tenant.client_id, name)
        if key not in self._buckets:
            rate, burst = self._plans[name]
            self._buckets[key] = TokenBucket(self.clock, rate=rate, burst=burst)
        return self._buckets[key]

    async def participations(self, _: Request, grant: Grant) -> Response:
        """``GET /sellers/v1/marketplaceParticipations``."""
        payload = [
            {
                "marketplace": {
                    "id": shop.id,
                    "countryCode": shop.country,
                    "name": shop.name,
                    "defaultCurrencyCode": shop.currency,
                    "defaultLanguageCode": shop.language,
                    "domainName": f"www.{shop.name.lower()}",
                },
                "storeName": f"Sandbox {grant.tenant.name}",
                "participation": {"isParticipating": True, "hasSuspendedListings": False},
            }
            for shop in (MARKETPLACES[marketplace] for marketplace in grant.tenant.marketplaces)
        ]
        return JSONResponse({"payload": payload})

    def routes(self) -> list[BaseRoute]:
        """Amazon's paths."""
        reports = "/reports/2021-06-30"
        return [
            Route("/auth/o2/token", self.authority.token, methods=["POST"]),
            Route("/documents/{ticket}", self.reports.download),
            self.operation(
                "createRestrictedDataToken", "/tokens/2021-03-01/restrictedDataToken", self.authority.restricted_token, "POST"
            ),
            self.operation("v0.getOrders", "/orders/v0/orders", self.v0.get_orders),
            self.operation("v0.getOrder", "/orders/v0/orders/{order_id}", self.v0.get_order),
            self.operation("v0.getOrderItems", "/orders/v0/orders/{order_id}/orderItems", self.v0.get_order_items),
            self.operation("searchOrders", "/orders/2026-01-01/orders", self.v2026.search_orders),
            self.operation("getOrder", "/orders/2026-01-01/orders/{order_id}", self.v2026.get_order),
            self.operation("createReport", f"{reports}/reports", self.reports.create, "POST"),
            self.operation("getReport", f"{reports}/reports/{{report_id}}", self.reports.get),
            self.operation("getReportDocument", f"{reports}/documents/{{document_id}}", self.reports.document),
            self.operation("getMarketplaceParticipations", "/sellers/v1/marketplaceParticipations", self.participations),
            Route("/{rest:path}", _unknown_path, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    def control(self) -> list[BaseRoute]:
        """What tests may do to this world."""
        world = self.world

        async def truth(request: Request) -> Response:
            orders = {
                order.id: render(order, DATASETS, has_role=True)
                for order in world.visible(request.query_params.get("tenant", "alpha"))
            }
            lines = {f"{key}/{line['orderItemId']}": line for key, order in orders.items() for line in order["orderItems"]}
            return JSONResponse({"orders": orders, "order_items": lines})

        async def mutate(body: dict[str, Any]) -> Any:
            return world.mutate(body.get("operations", 1), seed=body.get("seed", 0), tenant=body.get("tenant"))

        async def generate(body: dict[str, Any]) -> Any:
            return {"orders": world.generate(**body)}

        async def late(body: dict[str, Any]) -> Any:
            return {"orders": world.arrive_late(**({"seed": 0} | body))}

        async def churn(body: dict[str, Any]) -> Any:
            self._churn = body
            return body

        async def plans(body: dict[str, Any]) -> Any:
            self._plans |= {name: (plan["rate"], plan["burst"]) for name, plan in body.items()}
            self._buckets.clear()
            return self._plans

        async def tenant(body: dict[str, Any]) -> Any:
            seller = world.tenants[body.pop("tenant")]
            for name, value in body.items():
                setattr(seller, name, bool(value))
            return {"is_revoked": seller.is_revoked, "has_pii_role": seller.has_pii_role}

        async def expire(body: dict[str, Any]) -> Any:
            self.authority.expire(body.get("tenant"))
            return {}

        async def reports(body: dict[str, Any]) -> Any:
            self.reports.next_outcome = body.get("next_outcome", self.reports.next_outcome)
            self.reports.with_item_ids = body.get("with_item_ids", self.reports.with_item_ids)
            return {}

        async def settings(body: dict[str, Any]) -> Any:
            self.v0.item_page_size = body["item_page_size"]
            return {}

        actions = (mutate, generate, late, churn, plans, tenant, expire, reports, settings)
        return [Route("/_control/truth", truth), *(_action(action) for action in actions)]


def create_app(*, seed: int = 1, size: str = "demo", clock: Clock | None = None) -> Starlette:
    """The look-alike as an application.

    Args:
        seed: Same seed, same sellers and orders.
        size: ``demo``: 80 orders per seller; ``full``: 3,000; ``empty``: none.
        clock: Its time; by default the wall clock.
    """
    moving = clock or Clock()
    amazon = LookAlike(moving, seed)
    amazon.world.populate(FIRST_ORDERS.get(size, 0))
    return look_alike(amazon.routes(), clock=moving, control=amazon.control())


def _action(act: Callable[[dict[str, Any]], Awaitable[Any]]) -> Route:
    async def answer(request: Request) -> Response:
        body = await request.body()
        return JSONResponse(await act(await request.json() if body else {}))

    return Route(f"/_control/{act.__name__}", answer, methods=["POST"])


async def _unknown_path(_: Request) -> Response:
    response = error(403, "MissingAuthenticationToken", "Missing Authentication Token")
    response.headers["x-amzn-ErrorType"] = "MissingAuthenticationTokenException"
    return response
