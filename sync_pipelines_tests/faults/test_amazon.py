"""Amazon with everything in the way: tables equal truth, and not one call above the published plan.

``make soak`` runs the full size on the published plans; ``make test`` a smaller world on a smaller burst.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import AuthError, TransientError
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.core.totals import Status
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon import client
from sync_pipelines_tests.vendors.amazon.shop import Shop, shop

__all__ = ["shop"]

TENANTS = ("alpha", "beta")
IS_FULL = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
FULL_SIZE = pytest.mark.skipif(not IS_FULL, reason="full size on the published plan: make soak")
SEARCHES_PER_S, SEARCH_BURST = 0.0056, 20


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
        stored, truth = shop.stored(tenant), shop.truth(tenant)
        assert [(stored.get(key), order) for key, order in truth.items() if stored.get(key) != order] == []
        assert stored.keys() == truth.keys()
    _any_window_again_changes_no_row(shop, **changes)
    assert shop.calls_above_plan() == []


def _any_window_again_changes_no_row(shop: Shop, **changes: Any) -> None:
    rows = "select account, order_id, xmin::text from amazon.orders order by 1, 2"
    items = "select account, order_id, order_item_id, xmin::text from amazon.order_items order by 1, 2, 3"
    before = shop.rows(rows), shop.rows(items)
    chance = random.Random(3)
    last = shop.now() - timedelta(minutes=5)
    for tenant in TENANTS:
        for _ in range(3):
            start = last - timedelta(days=chance.uniform(0.1, 15))
            window = Window(start, start + (last - start) * chance.uniform(0.05, 1))
            again = Request(Mode.WINDOW, Lane.BACKFILL, window)
            while shop.sync(tenant, again, **changes).status is not Status.COMPLETE:
                shop.wait(300)
    assert (shop.rows(rows), shop.rows(items)) == before


@FULL_SIZE
def test_the_first_2000_orders_are_one_burst_that_waits_for_nothing(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=2_000)
    totals = shop.sync()
    assert (totals.status, totals.inserted, totals.waited_s) == (Status.COMPLETE, 2_000, 0)
    assert len(shop.calls("/orders/")) == SEARCH_BURST
    assert shop.waited_s == 0
    assert shop.stored() == shop.truth()


@pytest.mark.parametrize("is_neighbour_revoked", [False, True], ids=["alone", "beside a revoked tenant"])
def test_after_the_burst_a_tenant_uses_the_plan_whoever_else_is_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, is_neighbour_revoked: bool
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 5)
    pages = SEARCH_BURST + (100 if IS_FULL else 20 if is_neighbour_revoked else 40)
    shop.control.post("generate", tenant="beta", count=5 * pages)
    shop.control.post("tenant", tenant="alpha", is_revoked=is_neighbour_revoked)
    status = Status.PARTIAL
    while status is not Status.COMPLETE:
        if is_neighbour_revoked:
            with pytest.raises(AuthError):
                shop.sync("alpha")
        status = shop.sync("beta").status
        shop.wait(300)
    times = [call["at"] for call in shop.calls("/orders/", tenant="beta")]
    assert len(times) >= pages
    # The bucket may hold the better part of a token when the beat looks.
    assert len(times) - SEARCH_BURST >= 0.97 * (times[-1] - times[0]) * SEARCHES_PER_S - 1
    assert shop.calls_above_plan() == []
    assert shop.stored("beta") == shop.truth("beta")


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
