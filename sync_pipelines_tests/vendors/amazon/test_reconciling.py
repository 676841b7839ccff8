"""Amazon's orders compared with its list, by either version of the API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines_tests.damage import Damage, compare
from sync_pipelines_tests.vendors.amazon.shop import Shop


@pytest.mark.parametrize("api", ["2026-01-01", "v0"])
def test_planted_differences_are_found_mended_and_reported(shop: Shop, api: str) -> None:
    shop.control.post("generate", tenant="alpha", count=60)
    shop.settle(orders_api=api)
    window = Window(shop.starts, shop.now() - timedelta(minutes=30))
    planted = Damage(shop.database, orders, ("order_total", "0.01"), f"version < '{window.end.isoformat()}'")
    with shop.database.connect() as connection:
        connection.execute("update amazon.order_items set quantity = 77 where order_id = %s", [planted.altered[1]])
    with shop.reader(lane=Lane.BACKFILL, orders_api=api) as reader:
        for _ in range(20):
            found = compare(shop.database, orders, "amazon/alpha", reader, reader.settings, window=window)
            if found.status == "complete":
                break
            shop.wait(3600)
    planted.must_be_found(found)
    assert found.equal > 0
    assert shop.rows("select count(*) from amazon.order_items where quantity = 77") == [(0,)]
