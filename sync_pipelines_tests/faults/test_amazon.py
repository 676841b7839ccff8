"""Amazon with everything in the way: tables equal truth, and not one call above the published plan.

``make soak`` runs the full size on the published plans; ``make test`` a smaller world on a smaller burst.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from sync_pipelines.core.errors import TransientError
from sync_pipelines_tests.vendors.amazon.shop import Shop, shop

__all__ = ["shop"]

TENANTS = ("alpha", "beta")
IS_FULL = bool(os.environ.get("SYNC_PIPELINES_SOAK"))


@dataclass(frozen=True)
class Size:
    """How much is read and how much it changes meanwhile."""

    orders: int
    beats: int
    plans: dict[str, Any]


SIZES = {
    "2026-01-01": Size(3_000, 24, {}) if IS_FULL else Size(210, 4, {"searchOrders": {"rate": 0.0056, "burst": 3}}),
    "v0": Size(3_000, 24, {}) if IS_FULL else Size(45, 4, {"v0.getOrders": {"rate": 0.0167, "burst": 3}}),
}


@pytest.mark.parametrize("version", list(SIZES))
def test_orders_that_change_while_they_are_read_equal_truth_despite_every_fault(shop: Shop, version: str) -> None:
    size = SIZES[version]
    if size.plans:
        shop.control.post("plans", **size.plans)
    for tenant in TENANTS:
        shop.control.post("generate", tenant=tenant, count=size.orders)
    shop.control.post("churn", every=3, operations=2)
    changes: dict[str, Any] = {"orders_api": version, "plans": size.plans}
    for beat in range(size.beats):
        _plan_faults(shop, seed=beat)
        for tenant in TENANTS:
            # A vendor that stays unwell ends a run; the next beat goes on.
            with suppress(TransientError):
                shop.sync(tenant, **changes)
        shop.control.post("expire")
        shop.wait(300)
    shop.control.post("churn", every=0)
    shop.control.clear_faults()
    for tenant in TENANTS:
        shop.settle(tenant, beats=600, **changes)
        assert shop.stored(tenant) == shop.truth(tenant)
    assert shop.calls_above_plan() == []


def _plan_faults(shop: Shop, *, seed: int) -> None:
    shop.control.clear_faults()
    shop.control.faults(
        {"kind": "html", "path": "/orders/", "skip": (2 + seed) % 7, "times": 1},
        {"kind": "status", "path": "/orders/", "status": 500, "body": "", "skip": (3 + seed) % 7, "times": 1},
        {"kind": "status", "path": "/orders/", "status": 429, "body": '{"errors":[]}', "skip": (4 + seed) % 7, "times": 1},
        {"kind": "truncate", "path": "/orders/", "skip": (5 + seed) % 7, "times": 1},
        {"kind": "null", "path": "/orders/", "skip": (1 + seed) % 7, "times": 1},
        {"kind": "status", "path": "/orders/", "status": 400, "body": '{"errors":[]}', "skip": (6 + seed) % 7, "times": 1},
        {"kind": "empty", "path": "/orders/", "skip": (8 + seed) % 7, "times": 1},
    )
