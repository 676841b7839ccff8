"""A change of many products on many open orders: as few calls as can be, and nothing else in the orders moves.

20 products on 200 orders in ``make test``; 300 on more than 2,000 in ``make soak``, on the vendor's own quotas.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Request
from sync_pipelines.vendors.sendcloud.catalogue.outbound import PushTotals, push
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
ORDERS, SKUS, PRODUCTS = (2_900, 300, 320) if IS_SOAK else (200, 20, 30)
OURS = ("hs_code", "measurement")
"""Item fields that the master data below sets."""


def orders(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = shop.sandbox.control.truth(streams="orders")["orders"]
    return found


def change_products(shop: Shop, *, hs_code: str, weight_g: int) -> set[str]:
    """Sets both fields of the first products that orders contain."""
    with shop.database.connect() as connection:
        found = connection.execute(
            "INSERT INTO wms.products (sku, hs_code, weight_g, updated_at) SELECT DISTINCT sku, %s, %s::numeric, now()"
            " FROM sendcloud.order_items WHERE sku <> '' ORDER BY sku LIMIT %s"
            " ON CONFLICT (sku) DO UPDATE SET hs_code = excluded.hs_code, weight_g = excluded.weight_g RETURNING sku",
            [hs_code, weight_g, SKUS],
        ).fetchall()
    return {sku for (sku,) in found}


def write(shop: Shop) -> tuple[PushTotals, list[dict[str, Any]], float]:
    """What a round did, the calls that the vendor saw, and the seconds."""
    shop.sandbox.control.clear_log()
    began = monotonic()
    with shop.client() as client:
        totals = push(shop.database, ACCOUNT, client, shop.settings, run_id="run-push")
    return totals, shop.sandbox.control.log(), monotonic() - began


def without(order: dict[str, Any], skus: set[str]) -> dict[str, Any]:
    """The order apart from what we may have changed."""
    details = order["order_details"]
    items = [
        {name: value for name, value in item.items() if item.get("sku") not in skus or name not in OURS}
        for item in details["order_items"]
    ]
    kept = {name: value for name, value in order.items() if name != "modified_at"}
    return {**kept, "order_details": {**details, "order_items": items}}


def wrong_items(shop: Shop, changed: dict[str, Any], skus: set[str], *, hs_code: str, weight_g: int) -> list[Any]:
    """Items of open orders that do not have the master's values."""
    with shop.database.connect() as connection:
        rows = connection.execute(
            "SELECT sendcloud_id FROM sendcloud.orders WHERE tracking_number IS NULL AND wms_status = ANY(%s)",
            [shop.settings.products.open_statuses],
        ).fetchall()
    grams = {"kg": 1000, "g": 1}
    return [
        item
        for (key,) in rows
        for item in changed[str(key)]["order_details"]["order_items"]
        if item.get("sku") in skus
        and (item["hs_code"], round(float(item["measurement"]["weight"]["value"]) * grams[item["measurement"]["weight"]["unit"]]))
        != (hs_code, weight_g)
    ]


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_master_data_reaches_every_open_order_in_the_fewest_calls_and_nothing_else_moves(
    database: Database, sandbox: Callable[..., RunningSandbox]
) -> None:
    shop = Shop(database, sandbox("sendcloud"))
    shop.sandbox.control.post("world", orders=ORDERS, products=PRODUCTS, shipped_percent=0, history_days=20)
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=30)))
    before = orders(shop)
    for values in ({"hs_code": "610910", "weight_g": 321}, {"hs_code": "420292", "weight_g": 123}):
        skus = change_products(shop, **values)
        assert len(skus) == SKUS
        totals, calls, seconds = write(shop)
        written = [call for call in calls if call["method"] == "POST" and not call["throttled"]]
        print(
            f"{len(skus)} products, {totals.orders} open orders with them, {totals.changed} written, {totals.fields} fields:"
            f" {len(written)} write calls (floor {totals.floor}), {totals.reads} reads, {seconds:.1f} s"
        )
        assert totals.changed == totals.orders > 0
        assert len(written) == totals.calls == totals.floor == -(-totals.orders // 100)
        assert totals.reads == len(calls) - len(written) <= ORDERS // 200 + 1
        shop.sandbox.control.clock(advance=5)  # orders are stored some time after the answer
        after = orders(shop)
        assert {key: without(order, skus) for key, order in after.items()} == {
            key: without(order, skus) for key, order in before.items()
        }
        assert wrong_items(shop, after, skus, **values) == []
