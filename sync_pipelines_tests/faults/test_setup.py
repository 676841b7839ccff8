"""The first filling of an empty database, by the command, through a vendor that stumbles.

A few hundred orders in ``make test``; 10,000 orders of 3,000 products in ``make soak``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest

from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.shop_cli import ShopCli
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
ORDERS, PRODUCTS = (10_000, 3_000) if IS_SOAK else (250, 40)
STEPS = ["test_connection", "read_carriers", "read_shipping_methods", "read_products", "read_orders"]


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_setup_fills_an_empty_database_and_a_second_one_changes_nothing(
    sandbox: Callable[..., RunningSandbox],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database_url = request.getfixturevalue("empty_database_url" if IS_SOAK else "database_url")
    running = sandbox("sendcloud")
    running.control.post("world", orders=ORDERS, products=PRODUCTS, history_days=60)
    running.control.faults(
        {"kind": "html", "path": "GET .*/v3/orders", "skip": 2, "times": 2},
        {"kind": "truncate", "path": "GET .*/shipping_methods", "times": 1},
    )
    command = ShopCli(running, database_url, tmp_path, monkeypatch, capsys)
    began = monotonic()
    first = command("setup", ACCOUNT)
    seconds = monotonic() - began
    with capsys.disabled():
        print(f"\n{seconds:.1f} s for {ORDERS} orders: {[(step['step'], step['duration_s'], step['found']) for step in first]}")
    assert [step["step"] for step in first] == STEPS
    assert all(step["duration_s"] > 0 and step["api_calls"] > 0 for step in first)
    orders = running.control.truth(streams="orders")["orders"]
    skus = {item["sku"] for order in orders.values() for item in order["order_details"]["order_items"] if item.get("sku")}
    newest = sorted(map(int, orders))[-100:]
    with psycopg.connect(database_url) as connection:

        def column(query: str) -> list[Any]:
            return [row[0] for row in connection.execute(query)]  # type: ignore[arg-type]

        assert set(column("SELECT sku FROM sendcloud.products")) == skus
        assert column("SELECT sendcloud_id FROM sendcloud.orders ORDER BY 1") == newest
        for table in ("carriers", "contracts", "sender_addresses", "integrations", "shipping_methods", "shipping_options"):
            assert column(f"SELECT count(*) FROM sendcloud.{table}")[0] > 0
        assert column("SELECT count(*) FROM sync.dead_letters") == [0]
    assert "sendcloud/orders" in first[-1]["all_history"]
    again = {name: value for step in command("setup", ACCOUNT) for name, value in step.items() if name.endswith("_written")}
    assert set(again.values()) == {0}


def test_setup_stops_at_a_refused_key_and_says_so(
    sandbox: Callable[..., RunningSandbox],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = sandbox("sendcloud")
    running.control.faults({"kind": "status", "status": 401, "times": None})
    command = ShopCli(running, database_url, tmp_path, monkeypatch, capsys)
    told = command("setup", ACCOUNT, code=1)["error"]
    assert "the vendor refuses our credentials" in told
    assert "done: nothing" in told
