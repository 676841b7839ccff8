"""BigBuy from its lists to our tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR as BIGBUY
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.desk import Desk

CATALOGUE = BIGBUY.kinds[Kind.SUPPLIER_API]


@pytest.fixture
def bigbuy(database: Database, sandbox: Callable[..., RunningSandbox]) -> Desk:
    return Desk("bigbuy", database, sandbox("bigbuy"), {"language": "en"})


def test_a_full_sync_holds_what_the_supplier_holds(bigbuy: Desk) -> None:
    bigbuy.sync(*CATALOGUE, "stock", "prices")
    truth = bigbuy.sandbox.control.truth()
    assert set(bigbuy.column("SELECT supplier_product_id, 1 FROM suppliers.products")) == set(truth["products"])
    variants = bigbuy.column("SELECT sku, supplier_product_id FROM suppliers.variants")
    assert variants == {sku: str(row["product"]) for sku, row in truth["variants"].items()}
    assert bigbuy.stock() == truth["stock"]
    prices = bigbuy.column("SELECT supplier_sku, cost FROM suppliers.prices")
    assert {sku: float(cost) for sku, cost in prices.items()} == truth["prices"]
    assert bigbuy.rows("SELECT count(*) FROM suppliers.products WHERE name IS NULL OR image_url IS NULL") == [(0,)]
    assert bigbuy.rows("SELECT count(*) FROM suppliers.stock WHERE supplier_product_id IS NULL") == [(0,)]
    assert bigbuy.sandbox.control.get("windows") == {"sandbox-key": {}, "sandbox-key-2": {}}


def test_changes_arrive_and_a_second_reading_writes_only_those(bigbuy: Desk) -> None:
    bigbuy.given["brake"] = {"price_move": 10, "stock_share": 1}
    bigbuy.sync(*CATALOGUE, "stock", "prices")
    bigbuy.forget_windows()
    assert bigbuy.sync("stock").updated == 0
    bigbuy.sandbox.control.mutate(40, seed=3)
    bigbuy.forget_windows()
    totals = bigbuy.sync("prices", "stock")
    truth = bigbuy.sandbox.control.truth()
    assert 0 < totals.updated <= 80
    held = bigbuy.stock()
    assert {sku: held[sku] for sku in truth["stock"]} == truth["stock"]
    prices = bigbuy.column("SELECT supplier_sku, cost FROM suppliers.prices")
    assert {sku: float(prices[sku]) for sku in truth["prices"]} == truth["prices"]


def test_every_change_of_stock_is_in_the_history(bigbuy: Desk) -> None:
    bigbuy.sync("stock")
    sku = next(sku for sku, quantity in bigbuy.stock().items() if quantity == 0 and "-" in sku)
    for quantity in (7, 7, 9):
        bigbuy.sandbox.control.post("stock", sku=sku, quantity=quantity)
        bigbuy.forget_windows()
        bigbuy.sync("stock")
    history = bigbuy.rows("SELECT quantity FROM suppliers.stock_history WHERE supplier_sku = %s ORDER BY id", sku)
    assert history == [(0,), (7,), (9,)]


def test_a_used_up_window_ends_the_run_and_the_next_one_goes_on(bigbuy: Desk) -> None:
    bigbuy.given["page_size"] = 20
    first = bigbuy.sync("stock")
    assert (first.status, first.throttled) == ("partial", 0)
    assert first.resume_at is not None
    assert set(bigbuy.stock()) < set(bigbuy.sandbox.control.truth(stream="stock"))
    bigbuy.sync_fully("stock")
    assert bigbuy.stock() == bigbuy.sandbox.control.truth(stream="stock")
    assert bigbuy.sandbox.control.get("windows")["sandbox-key"] == {}


def test_products_withdrawn_during_a_scan_are_neither_lost_nor_raised(bigbuy: Desk) -> None:
    bigbuy.given["page_size"] = 20
    bigbuy.sync_fully("products", "stock")
    everything = set(bigbuy.stock())
    bigbuy.forget_windows()
    bigbuy.sync("products")  # the window ends this scan half-way
    gone = {str(number) for number in bigbuy.sandbox.control.post("withdraw", count=6, seed=2)["ids"]}
    bigbuy.sync_fully("products", "stock")
    living = set(bigbuy.column("SELECT supplier_product_id, 1 FROM suppliers.products WHERE deleted_at IS NULL"))
    assert living >= set(bigbuy.sandbox.control.truth(stream="products"))
    assert set(bigbuy.stock()) == everything  # one scan proves nothing
    bigbuy.sync_fully("products", "stock")
    bigbuy.sync_fully("products", "stock")
    truth = bigbuy.sandbox.control.truth()
    assert set(bigbuy.column("SELECT supplier_product_id, 1 FROM suppliers.products WHERE deleted_at IS NULL")) == set(
        truth["products"]
    )
    assert bigbuy.stock() == truth["stock"]
    bigbuy.sync_fully("products")
    assert not gone & set(bigbuy.column("SELECT supplier_product_id, 1 FROM suppliers.products WHERE deleted_at IS NULL"))


def test_a_withdrawn_sku_ages_from_the_last_time_it_was_listed(bigbuy: Desk) -> None:
    bigbuy.given |= {"page_size": 20, "max_age": 3600}
    bigbuy.sync_fully("products", "variants", "stock")
    sku = next(sku for sku, state in bigbuy.availability().items() if state == "in_stock" and "-" not in sku)
    bigbuy.sandbox.control.post("withdraw", ids=[500_000 + int(sku[1:])])
    bigbuy.age("50 minutes")
    bigbuy.sync_fully("stock")
    assert bigbuy.availability()[sku] == "in_stock"
    bigbuy.age("15 minutes")
    states = bigbuy.availability()
    assert states.pop(sku) == "unknown"
    assert "unknown" not in states.values()


def test_empty_lists_for_an_hour_lose_nothing_and_let_stock_age_into_unknown(bigbuy: Desk) -> None:
    bigbuy.given["max_age"] = 3600
    bigbuy.sync(*CATALOGUE, "stock")
    before = bigbuy.stock()
    lists = ["products", "productsstockbyhandlingdays", "productsvariationsstockbyhandlingdays"]
    for _ in range(3):
        bigbuy.forget_windows()
        bigbuy.sandbox.control.post("empty", lists=lists, seconds=3600)
        bigbuy.sync("products", "stock")
    assert bigbuy.stock() == before
    suspects = bigbuy.rows("SELECT DISTINCT feed FROM suppliers.freshness WHERE state = 'suspect' ORDER BY feed")
    assert [row[0] for row in suspects] == lists
    assert bigbuy.rows("SELECT subject FROM sync.holds WHERE closed_at IS NULL ORDER BY 1") == [
        ("suppliers/products",),
        ("suppliers/stock",),
    ]
    bigbuy.age("61 minutes")
    assert set(bigbuy.availability().values()) == {"unknown"}
    bigbuy.forget_windows()
    bigbuy.sync("products", "stock")
    assert bigbuy.stock() == before
    assert "unknown" not in bigbuy.availability().values()
    assert bigbuy.rows("SELECT count(*) FROM sync.holds WHERE closed_at IS NULL") == [(0,)]


def test_the_brake_holds_stock_that_vanishes_at_once_and_applies_the_rest(bigbuy: Desk) -> None:
    bigbuy.sync("variants", "products", "stock")
    stocked = sorted(sku for sku, quantity in bigbuy.stock().items() if quantity and "-" in sku)
    for sku in stocked[: len(stocked) // 2]:
        bigbuy.sandbox.control.post("stock", sku=sku, quantity=0)
    raised = stocked[-1]
    bigbuy.sandbox.control.post("stock", sku=raised, quantity=77)
    bigbuy.forget_windows()
    bigbuy.sync("stock")
    held = bigbuy.stock()
    assert all(held[sku] > 0 for sku in stocked)
    assert held[raised] == 77
    assert bigbuy.rows("SELECT subject, kind FROM sync.holds WHERE closed_at IS NULL") == [("suppliers/stock", "stock")]
    bigbuy.confirm_holds()
    bigbuy.forget_windows()
    bigbuy.sync("stock")
    assert bigbuy.stock() == bigbuy.sandbox.control.truth(stream="stock")
    assert bigbuy.rows("SELECT count(*) FROM sync.holds WHERE closed_at IS NULL") == [(0,)]


def test_a_few_skus_that_sell_out_are_believed(bigbuy: Desk) -> None:
    bigbuy.sync("stock")
    sold_out = [sku for sku, quantity in bigbuy.stock().items() if quantity and "-" in sku][:4]
    for sku in sold_out:
        bigbuy.sandbox.control.post("stock", sku=sku, quantity=0)
    bigbuy.forget_windows()
    bigbuy.sync("stock")
    assert bigbuy.stock() == bigbuy.sandbox.control.truth(stream="stock")


def test_a_price_that_jumps_is_held_and_the_others_are_applied(bigbuy: Desk) -> None:
    bigbuy.sync("prices")
    first, second = [sku for sku in bigbuy.column("SELECT supplier_sku, 1 FROM suppliers.prices") if "-" in sku][:2]
    costs = "SELECT supplier_sku, cost::float8 FROM suppliers.prices"
    old = bigbuy.column(costs)
    bigbuy.sandbox.control.post("price", sku=first, wholesalePrice=round(old[first] * 3, 2))
    bigbuy.sandbox.control.post("price", sku=second, wholesalePrice=round(old[second] * 1.1, 2))
    bigbuy.forget_windows()
    bigbuy.sync("prices")
    assert bigbuy.column(costs)[first] == old[first]
    assert bigbuy.column(costs)[second] == round(old[second] * 1.1, 2)
    bigbuy.confirm_holds()
    bigbuy.forget_windows()
    bigbuy.sync("prices")
    assert bigbuy.column(costs)[first] == round(old[first] * 3, 2)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html"},
        {"kind": "truncate"},
        {"kind": "empty"},
        {"kind": "null"},
        {"kind": "reset"},
        {"kind": "status", "status": 200, "body": '{"code":409,"message":"Something went wrong 5f3a"}'},
        {"kind": "status", "status": 200, "body": "HTTP/1.1 500 Internal Server Error", "content_type": "text/html"},
    ],
    ids=lambda fault: str(fault.get("body", fault["kind"]))[:12],
)
def test_a_broken_answer_is_asked_for_again(bigbuy: Desk, fault: dict[str, object]) -> None:
    bigbuy.sandbox.control.faults({**fault, "path": "stockbyhandlingdays", "times": 1})
    totals = bigbuy.sync("stock")
    assert totals.status == "complete"
    assert bigbuy.stock() == bigbuy.sandbox.control.truth(stream="stock")


def test_an_order_is_found_by_our_reference_and_closed_when_delivered(bigbuy: Desk) -> None:
    line = {"reference": "S0000002", "quantity": 2}
    bigbuy.sandbox.control.post(
        "orders", reference="A-1", lines=[line], status="Sent", parcels=[{"number": "T1"}, {"number": "T2"}]
    )
    bigbuy.follow(reference="A-1")
    bigbuy.sync("orders")
    assert bigbuy.rows("SELECT reference, status, common_status FROM suppliers.orders") == [("A-1", "Sent", "shipped")]
    assert bigbuy.rows("SELECT sku, quantity FROM suppliers.order_lines") == [("S0000002", 2)]
    assert set(bigbuy.column("SELECT tracking_number, 1 FROM suppliers.order_tracking")) == {"T1", "T2"}
    bigbuy.sandbox.control.post("orders", reference="A-1", status="Delivered")
    bigbuy.forget_windows()
    bigbuy.sync("orders")
    assert bigbuy.rows("SELECT common_status FROM suppliers.orders") == [("delivered",)]
    assert bigbuy.rows("SELECT count(*) FROM suppliers.order_requests WHERE closed_at IS NULL") == [(0,)]


def test_parcels_of_many_orders_are_asked_for_together(bigbuy: Desk) -> None:
    for number in range(25):
        parcels = [{"number": f"T{number}"}] if number % 3 else []
        bigbuy.sandbox.control.post("orders", reference=f"A-{number}", lines=[], status="Sent", parcels=parcels)
        bigbuy.follow(reference=f"A-{number}")
    bigbuy.sync("orders")
    assert len(bigbuy.column("SELECT reference, 1 FROM suppliers.orders")) == 25
    tracked = bigbuy.column("SELECT tracking_number, 1 FROM suppliers.order_tracking")
    assert set(tracked) == {f"T{number}" for number in range(25) if number % 3}
    calls = [call["method"] for call in bigbuy.sandbox.control.log() if "tracking" in call["path"]]
    assert calls == ["POST", "POST"]


def test_orders_whose_parcels_are_refused_are_stored_and_asked_for_again(bigbuy: Desk) -> None:
    bigbuy.sandbox.control.post("orders", reference="A-1", lines=[], status="Delivered", parcels=[{"number": "T1"}])
    bigbuy.follow(reference="A-1")
    bigbuy.sandbox.control.faults({"kind": "status", "status": 400, "body": "{}", "path": "tracking", "times": 1})
    with pytest.raises(DataError):
        bigbuy.sync("orders")
    assert bigbuy.rows("SELECT common_status FROM suppliers.orders") == [("delivered",)]
    for _ in range(2):  # the first ends the scan that was broken off
        bigbuy.forget_windows()
        bigbuy.sync("orders")
    assert bigbuy.rows("SELECT tracking_number FROM suppliers.order_tracking") == [("T1",)]
    assert bigbuy.rows("SELECT count(*) FROM suppliers.order_requests WHERE closed_at IS NULL") == [(0,)]


def test_a_state_we_have_no_word_for_is_kept_and_counted(bigbuy: Desk) -> None:
    bigbuy.sandbox.control.post("orders", reference="A-1", lines=[], status="Lost at sea")
    bigbuy.follow(reference="A-1")
    assert bigbuy.sync("orders").unknown == 1
    assert bigbuy.rows("SELECT status, common_status FROM suppliers.orders") == [("Lost at sea", "unknown")]
