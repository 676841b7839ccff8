"""SendCloud's look-alike: mount it below ``/sendcloud`` and use ``…/sendcloud/api`` as ``base_url``.

Accounts and keys (all invented):

===========  =======================  =========================  ==================================
account      public key               secret key                 integrations
===========  =======================  =========================  ==================================
``main``     ``sandbox-public``       ``sandbox-secret``         7001 (of this key), 7002, 7003
``main``     ``sandbox-public-2``     ``sandbox-secret-2``       the same account, key of 7002
``second``   ``sandbox-second-public``  ``sandbox-second-secret``  7101
===========  =======================  =========================  ==================================

OAuth: ``POST …/sendcloud/oauth2/token`` with the same pairs. Webhook signature keys: ``sandbox-webhook-key``,
``sandbox-webhook-key-2``, ``sandbox-second-webhook-key``.

Control routes besides the common ones; ``account`` is ``main`` unless given:

``GET  /_control/truth?streams=orders``  ``{stream: {id: record}}`` as a perfect client would have read them
``POST /_control/mutate``    ``{"operations", "seed", "kinds": [update, items, status, touch, create, ship, parcel, delete]}``
``POST /_control/churn``     the same with ``{"every": pages, "times", "stream"}``: changes while a client pages; ``DELETE`` ends it
``POST /_control/orders``    one change: ``{"kind", "order"}``; ``{"kind": "create"}``; ``{"put": order}``
``POST /_control/parcels``   ``{"parcel", "status": id}``
``POST /_control/break``     ``{"kind", "order"|"parcel"}``: a malformed record (`listing.BREAKAGES`); ``DELETE`` heals
``POST /_control/pages``     `listing.PageFault`: duplicate, loop, reorder, overlap, no_next, null, null_list, empty
``POST /_control/v3``        ``{"down": true, "kind": "status"|"html"|"forbidden", "status", "path"}``
``POST /_control/settings``  `world.Settings`: quotas, delays, 429 style, OAuth only, failing carriers; ``GET`` reads them
``POST /_control/world``     ``{"orders", "products", "history_days"}``: starts over, up to 1,000,000 orders
``DELETE /_control/tokens``  revokes OAuth tokens
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike
from sync_pipelines.sandbox.sendcloud.access import Endpoint, Gate, answer
from sync_pipelines.sandbox.sendcloud.blobs import Blobs
from sync_pipelines.sandbox.sendcloud.control import Control
from sync_pipelines.sandbox.sendcloud.listing import Lists
from sync_pipelines.sandbox.sendcloud.orders import Orders
from sync_pipelines.sandbox.sendcloud.outage import Outage
from sync_pipelines.sandbox.sendcloud.parcels import Parcels
from sync_pipelines.sandbox.sendcloud.world import Account, World

SIZES = {
    "demo": {"orders": 150, "products": 60, "history_days": 40},
    "full": {"orders": 2000, "products": 3000, "history_days": 90},
}


def create_app(*, seed: int, size: str = "demo", clock: Clock | None = None, orders: int | None = None) -> Starlette:
    """Makes the look-alike.

    Args:
        seed: Same seed and same UTC day, same data.
        size: ``demo`` (150 orders) or ``full`` (2,000).
        clock: The sandbox's time; the wall clock if left out.
        orders: Another number of orders for account ``main``.
    """
    clock = clock or Clock()
    sizes = SIZES[size] | ({"orders": orders} if orders is not None else {})
    world = World(seed=seed, clock=clock, **sizes)
    gate, lists, outage = Gate(world), Lists(), Outage()
    order_calls = Orders(lists)
    v3: list[tuple[str, str, Endpoint]] = [
        ("GET", "/user/auth/metadata", auth_metadata),
        ("GET", "/orders", order_calls.list),
        ("POST", "/orders", order_calls.upsert),
        ("GET", "/orders/{id}", order_calls.get),
        ("PATCH", "/orders/{id}", order_calls.patch),
        ("DELETE", "/orders/{id}", order_calls.delete),
    ]
    parcel_calls = Parcels(lists)
    v2: list[tuple[str, str, Endpoint]] = [
        ("GET", "/parcels", parcel_calls.list),
        ("POST", "/parcels", parcel_calls.create),
        ("GET", "/parcels/statuses", parcel_calls.statuses),
        ("GET", "/parcels/{id}", parcel_calls.get),
        ("POST", "/parcels/{id}/cancel", parcel_calls.cancel),
        ("GET", "/parcels/{id}/return_portal_url", parcel_calls.return_portal),
        ("GET", "/integrations/{integration}/shipments", Blobs(lists).list),
    ]
    routes: list[BaseRoute] = [
        Route(f"/api/v3{path}", outage.guard(gate.open(call)), methods=[method]) for method, path, call in v3
    ]
    routes += [Route(f"/api/v2{path}", gate.open(call), methods=[method]) for method, path, call in v2]
    routes += [Route(path, gate.token, methods=["POST"]) for path in ("/oauth2/token", "/oauth2/token/")]
    return look_alike(routes, clock=clock, control=Control(world, gate, lists, outage).routes())


async def auth_metadata(account: Account, request: Request) -> Response:
    """``GET /v3/user/auth/metadata``: whose key this is."""
    return answer({"data": {"user_id": account.profile.user_id, "integration_id": request.state.key.integration}})
