"""Amazon's operations and their published usage plans, declared once for client, budget and status (facts §3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sync_pipelines.core.budget import BucketSpec
from sync_pipelines.vendors.amazon.settings import Settings

SEARCH_ORDERS = "searchOrders"
GET_ORDER = "getOrder"
V0_GET_ORDERS = "v0.getOrders"
V0_GET_ORDER = "v0.getOrder"
V0_GET_ORDER_ITEMS = "v0.getOrderItems"
CREATE_RESTRICTED_TOKEN = "createRestrictedDataToken"  # noqa: S105 - an operation's name
CREATE_REPORT = "createReport"
GET_REPORT = "getReport"
GET_REPORT_DOCUMENT = "getReportDocument"
GET_PARTICIPATIONS = "getMarketplaceParticipations"
PACE = "pace"
"""Our own floor between any two calls of an account."""

PLANS: Mapping[str, tuple[float, int]] = {
    SEARCH_ORDERS: (0.0056, 20),
    GET_ORDER: (0.5, 30),
    V0_GET_ORDERS: (0.0167, 20),
    V0_GET_ORDER: (0.5, 30),
    V0_GET_ORDER_ITEMS: (0.5, 30),
    CREATE_RESTRICTED_TOKEN: (1.0, 10),
    CREATE_REPORT: (0.0167, 15),
    GET_REPORT: (2.0, 15),
    GET_REPORT_DOCUMENT: (0.0167, 15),
    GET_PARTICIPATIONS: (0.016, 15),
}
"""Requests per second and burst, per seller and application."""

_PLACES = (
    (re.compile(r"/orders/2026-01-01/orders$"), SEARCH_ORDERS),
    (re.compile(r"/orders/2026-01-01/orders/[^/]+$"), GET_ORDER),
    (re.compile(r"/orders/v0/orders$"), V0_GET_ORDERS),
    (re.compile(r"/orders/v0/orders/[^/]+$"), V0_GET_ORDER),
    (re.compile(r"/orders/v0/orders/[^/]+/orderItems$"), V0_GET_ORDER_ITEMS),
    (re.compile(r"/restrictedDataToken$"), CREATE_RESTRICTED_TOKEN),
    (re.compile(r"/reports/2021-06-30/reports$"), CREATE_REPORT),
    (re.compile(r"/reports/2021-06-30/reports/[^/]+$"), GET_REPORT),
    (re.compile(r"/reports/2021-06-30/documents/[^/]+$"), GET_REPORT_DOCUMENT),
    (re.compile(r"/sellers/v1/marketplaceParticipations$"), GET_PARTICIPATIONS),
)

_CLOCKS_DIFFER_S = 0.01
"""Added to the floor between calls, so that a later call that travels faster still arrives late enough."""


def operation_at(path: str) -> str | None:
    """The operation a path belongs to; ``None`` for one we do not use.

    >>> operation_at("/orders/v0/orders/902-1845936-5435065/orderItems")
    'v0.getOrderItems'
    """
    return next((operation for pattern, operation in _PLACES if pattern.search(path)), None)


def bucket_specs(settings: Settings) -> list[BucketSpec]:
    """The account's buckets: the published plans, what the settings say otherwise, and the floor between calls."""
    specs = []
    for operation, (rate, burst) in PLANS.items():
        plan = settings.plans.get(operation)
        specs.append(BucketSpec.token(operation, rate=plan.rate if plan else rate, burst=plan.burst if plan else burst))
    if settings.min_call_interval_s > 0:
        per_second = 1 / (settings.min_call_interval_s + _CLOCKS_DIFFER_S)
        specs.append(BucketSpec(PACE, per_second, 1, reserve={}, safety=1.0, held=False))
    return specs
