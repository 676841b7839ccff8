"""Products both ways: derived from items, and written back onto open orders only where they differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Request
from sync_pipelines.vendors.sendcloud.catalogue import inbound
from sync_pipelines.vendors.sendcloud.catalogue.outbound import PushTotals, push
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    running = sandbox("sendcloud")
    running.control.post("settings", writes_per_minute=100_000, writes_per_second=100_000, order_saving_s=0)
    running.control.post("world", orders=120, products=20, shipped_percent=0, history_days=5)
    shop = Shop(database, running)
    sync(shop)
    return shop


def sync(shop: Shop) -> None:
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=10)))


def run(shop: Shop, query: str, *values: Any) -> Any:
    with shop.database.connect() as connection:
        cursor = connection.execute(query, values)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else None


def write(shop: Shop, **options: Any) -> PushTotals:
    with shop.client() as client:
        return push(shop.database, ACCOUNT, client, shop.settings, run_id="run-push", **options)


def orders(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = shop.sandbox.control.truth(streams="orders")["orders"]
    return found


def master(shop: Shop, sku: str, **columns: Any) -> None:
    names = ", ".join(columns)
    run(
        shop,
        f"INSERT INTO wms.products (sku, {names}, updated_at) VALUES (%s{', %s' * len(columns)}, now())",
        sku,
        *columns.values(),
    )


def test_products_are_what_items_say_and_a_second_refresh_writes_nothing(shop: Shop) -> None:
    totals = inbound.refresh(shop.database, ACCOUNT)
    truth = {item["sku"] for order in orders(shop).values() for item in order["order_details"]["order_items"] if item.get("sku")}
    assert {sku for (sku,) in run(shop, "SELECT sku FROM sendcloud.products")} == truth
    assert totals.written == len(truth)
    assert inbound.refresh(shop.database, ACCOUNT, everything=True).written == 0
    run(
        shop,
        "UPDATE sendcloud.order_items SET hs_code = '999999' WHERE ctid ="
        " (SELECT min(ctid) FROM sendcloud.order_items WHERE sku <> '')",
    )
    assert inbound.refresh(shop.database, ACCOUNT, everything=True).conflicting >= 1


def test_master_data_reaches_open_orders_in_the_fewest_calls_and_changes_nothing_else(shop: Shop) -> None:
    skus = [sku for (sku,) in run(shop, "SELECT DISTINCT sku FROM sendcloud.order_items WHERE sku <> '' ORDER BY 1 LIMIT 5")]
    for sku in skus:
        master(shop, sku, hs_code="610910", weight_g=321)
    before = orders(shop)
    totals = write(shop)
    assert totals.changed > 0
    assert totals.calls == totals.floor
    for key, after in orders(shop).items():
        old = before[key]
        for order in (old, after):
            order.pop("modified_at")
            for item in order["order_details"]["order_items"]:
                if item.get("sku") in skus:
                    item.pop("hs_code", None)
                    item.pop("measurement", None)
        assert after == old
    sync(shop)
    again = write(shop)
    assert (again.changed, again.calls) == (0, 0)


def test_what_an_operator_changed_after_us_stays_unless_told_otherwise(shop: Shop) -> None:
    sku = run(shop, "SELECT sku FROM sendcloud.order_items WHERE sku <> '' LIMIT 1")[0][0]
    master(shop, sku, hs_code="610910")
    write(shop)
    key, order = next(
        (key, order)
        for key, order in orders(shop).items()
        if any(i.get("hs_code") == "610910" for i in order["order_details"]["order_items"])
    )
    for item in order["order_details"]["order_items"]:
        if item.get("hs_code") == "610910":
            item["hs_code"] = "420292"
    order["modified_at"] = datetime.now(UTC).isoformat()
    shop.sandbox.control.post("orders", put=order)
    sync(shop)
    totals = write(shop)
    assert (totals.changed, totals.kept > 0) == (0, True)
    assert write(shop, overwrite=True).changed == 1
    assert any(i.get("hs_code") == "610910" for i in orders(shop)[key]["order_details"]["order_items"])


def test_a_refused_order_is_isolated_and_the_others_are_written(shop: Shop) -> None:
    sku = run(shop, "SELECT sku FROM sendcloud.order_items WHERE sku <> '' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0][0]
    master(shop, sku, hs_code="610910")
    number = run(
        shop,
        "UPDATE sendcloud.orders SET raw = jsonb_set(raw, '{order_details,integration,id}', '999') WHERE (account, order_id) ="
        " (SELECT account, order_id FROM sendcloud.order_items WHERE sku = %s LIMIT 1) RETURNING order_number",
        sku,
    )[0][0]
    totals = write(shop)
    assert list(totals.refused) == [number]
    assert totals.changed > 0
