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

``GET  /_control/truth``     ``?streams=orders,parcels,shipments``: ``{stream: {id: record}}`` as a perfect client reads it
``POST /_control/mutate``    ``{"operations", "seed", "kinds": [update, items, status, touch, create, ship, parcel, delete]}``
``POST /_control/churn``     the same with ``{"every": pages, "times", "stream"}``: changes while a client pages; ``DELETE`` ends it
``POST /_control/orders``    one change: ``{"kind", "order"}``; ``{"kind": "create"}``; ``{"put": order}``
``POST /_control/parcels``   ``{"parcel", "status": id}``
``POST /_control/break``     ``{"kind", "order"|"parcel"}``: a malformed record (`listing.BREAKAGES`); ``DELETE`` heals
``POST /_control/pages``     `listing.PageFault`: duplicate, loop, reorder, overlap, no_next, null, null_list, empty
``POST /_control/v3``        ``{"down": true, "kind": "status"|"html"|"forbidden", "status", "path"}``
``POST /_control/settings``  `profiles.Settings`: quotas, delays, 429 style, OAuth only, failing carriers; ``GET`` reads them
``POST /_control/reset``     everything as at first, apart from the clock, the request log and planned faults
``POST /_control/world``     ``{"orders", "products", "history_days", "shipped_percent"}``: starts over, up to 1,000,000 orders
``POST /_control/methods``   gives every V2 shipping method another id
``POST /_control/webhooks/send``  `webhooks.Campaign`: changes parcels and tells ``url``, out of order, twice, forged, or not at all
``GET  /_control/webhooks/report``  how it went, for a campaign sent with ``"wait": false``
``DELETE /_control/tokens``  revokes OAuth tokens
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike
from sync_pipelines.sandbox.sendcloud import documents, reference, ship_orders, tracking
from sync_pipelines.sandbox.sendcloud.access import Endpoint, Gate
from sync_pipelines.sandbox.sendcloud.blobs import Blobs
from sync_pipelines.sandbox.sendcloud.control import Control
from sync_pipelines.sandbox.sendcloud.listing import Lists
from sync_pipelines.sandbox.sendcloud.orders import Orders
from sync_pipelines.sandbox.sendcloud.outage import Outage
from sync_pipelines.sandbox.sendcloud.parcels import Parcels
from sync_pipelines.sandbox.sendcloud.shipments import Shipments
from sync_pipelines.sandbox.sendcloud.world import World

Call = tuple[str, str, Endpoint]
"""Method, path, handler."""

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
    routes: list[BaseRoute] = [
        Route(f"/api/v3{path}", outage.guard(gate.open(call)), methods=[method]) for method, path, call in v3_calls(lists)
    ]
    routes += [Route(f"/api/v2{path}", gate.open(call), methods=[method]) for method, path, call in v2_calls(lists)]
    routes += [Route(path, gate.token, methods=["POST"]) for path in ("/oauth2/token", "/oauth2/token/")]
    return look_alike(routes, clock=clock, control=Control(world, gate, lists, outage).routes())


def v3_calls(lists: Lists) -> list[Call]:
    """Everything below ``/api/v3``; the first path that fits is taken."""
    orders, shipments = Orders(lists), Shipments(lists)
    return [
        ("GET", "/user/auth/metadata", reference.auth_metadata),
        ("GET", "/orders", orders.list),
        ("POST", "/orders", orders.upsert),
        ("POST", "/orders/create-labels-async", ship_orders.create_labels),
        ("POST", "/orders/create-label-sync", ship_orders.create_label),
        ("GET", "/orders/{id}", orders.get),
        ("PATCH", "/orders/{id}", orders.patch),
        ("DELETE", "/orders/{id}", orders.delete),
        ("GET", "/shipments", shipments.list),
        ("POST", "/shipments", shipments.create),
        ("POST", "/shipments/announce", shipments.announce),
        ("POST", "/shipments/announce-with-shipping-rules", shipments.announce_by_rules),
        ("POST", "/shipments/create-with-shipping-rules", shipments.create_by_rules),
        ("GET", "/shipments/{id}", shipments.get),
        ("POST", "/shipments/{id}/cancel", shipments.cancel),
        ("GET", "/shipments/{id}/return-portal-url", shipments.return_portal),
        ("GET", "/parcels/statuses", reference.v3_statuses),
        ("GET", "/parcels/tracking/{number}", tracking.v3_tracking),
        ("GET", "/parcels/{id}/documents/{type}", documents.v3_document),
        ("GET", "/parcel-documents/{type}", documents.v3_documents),
        ("GET", "/contracts", reference.contracts),
        ("GET", "/addresses/sender-addresses", reference.sender_addresses),
        ("GET", "/integrations", reference.v3_integrations),
        ("GET", "/integrations/{id}", reference.v3_integration),
        ("PATCH", "/integrations/{id}", reference.v3_integration),
        ("POST", "/shipping-options", reference.shipping_options),
        ("POST", "/fetch-shipping-options", reference.shipping_options),
        ("POST", "/compat/shipping-options", reference.compat_options),
    ]


def v2_calls(lists: Lists) -> list[Call]:
    """Everything below ``/api/v2``; the first path that fits is taken."""
    parcels = Parcels(lists)
    return [
        ("GET", "/user", reference.v2_user),
        ("GET", "/parcels", parcels.list),
        ("POST", "/parcels", parcels.create),
        ("GET", "/parcels/statuses", parcels.statuses),
        ("GET", "/parcels/{id}", parcels.get),
        ("POST", "/parcels/{id}/cancel", parcels.cancel),
        ("GET", "/parcels/{id}/return_portal_url", parcels.return_portal),
        ("GET", "/parcels/{id}/documents/{type}", documents.v2_document),
        ("POST", "/labels", documents.v2_bulk_labels),
        ("GET", "/labels/{id:int}", documents.v2_label),
        ("GET", "/labels/{printer}", documents.v2_print),
        ("GET", "/labels/{printer}/{id}", documents.v2_print),
        ("GET", "/tracking/{number}", tracking.v2_tracking),
        ("GET", "/carriers", reference.v2_carriers),
        ("GET", "/shipping_methods", reference.shipping_methods),
        ("GET", "/shipping_methods/{id}", reference.shipping_method),
        ("GET", "/user/addresses/sender", reference.v2_senders),
        ("GET", "/integrations", reference.v2_integrations),
        ("GET", "/integrations/{integration}/shipments", Blobs(lists).list),
    ]
