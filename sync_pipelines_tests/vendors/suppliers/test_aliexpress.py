"""AliExpress from its gateway to our tables: both envelopes, throttling, token rotation, orders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, DataError
from sync_pipelines.vendors.suppliers import score
from sync_pipelines.vendors.suppliers.aliexpress.signing import sign
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.desk import Desk


@pytest.fixture
def aliexpress(database: Database, sandbox: Callable[..., RunningSandbox]) -> Desk:
    desk = Desk("aliexpress", database, sandbox("aliexpress"))
    desk.sandbox.control.post("throttle", probability=0)
    return desk


@pytest.mark.parametrize(
    ("parameters", "path", "expected"),
    [
        (
            {"app_key": "12345678", "format": "json", "method": "aliexpress.ds.product.get", "product_id": "1005001234567890",
             "session": "tok", "ship_to_country": "ES", "sign_method": "sha256", "simplify": "false", "target_currency": "EUR",
             "target_language": "en_US", "timestamp": "1700000000000"},
            "",
            "EEDD116F0F8EFC7850FB1043DDB6D23EE19B4EE311BEA91C0F0F3E99FF6955C3",
        ),
        (
            {"app_key": "12345678", "code": "0_abc", "sign_method": "sha256", "timestamp": "1700000000000"},
            "/auth/token/create",
            "2A5385C90BA4557C87244CF1185379157A2A31D7D285298E9753FD6A7FD7F36C",
        ),
    ],
    ids=["sync", "rest"],
)  # fmt: skip
def test_signatures_are_the_published_ones(parameters: dict[str, str], path: str, expected: str) -> None:
    assert sign(parameters, "test_secret", path=path) == expected


@pytest.mark.parametrize("simplify", [False, True], ids=["wrapped", "simplified"])
def test_both_envelopes_hold_the_same_products(aliexpress: Desk, *, simplify: bool) -> None:
    aliexpress.given["simplify"] = simplify
    aliexpress.sync("products")
    truth = aliexpress.sandbox.control.truth()
    names = aliexpress.column("SELECT supplier_product_id, name FROM suppliers.products")
    assert names == {number: row["subject"] for number, row in truth["products"].items()}
    assert aliexpress.stock() == truth["stock"]
    prices = {
        row[0]: {"amount": str(row[1]), "currency": row[2]}
        for row in aliexpress.rows("SELECT supplier_sku, cost, currency FROM suppliers.prices")
    }
    assert prices == truth["prices"]
    assert set(aliexpress.column("SELECT sku, 1 FROM suppliers.variants")) == set(truth["stock"])


def test_the_four_kinds_agree_with_each_other(aliexpress: Desk) -> None:
    aliexpress.sync("products")
    assert aliexpress.sync("stock").inserted == 0
    assert aliexpress.sync("prices").inserted == 0
    assert aliexpress.sync("variants").updated == 0


def test_throttling_and_an_expiring_token_lose_no_product(aliexpress: Desk) -> None:
    control = aliexpress.sandbox.control
    control.post("throttle", probability=0.05)
    control.post("tokens", expire=True)
    aliexpress.sync("products")
    control.post("tokens", expire=True)
    aliexpress.sync("stock")
    assert aliexpress.stock() == control.truth(stream="stock")
    assert control.get("signatures") == {"wrong": []}


def test_a_refresh_token_at_its_end_stops_the_account(aliexpress: Desk) -> None:
    aliexpress.sandbox.control.post("tokens", end=True)
    with pytest.raises(AuthError, match="authorize the account again"):
        aliexpress.sync("stock")


def test_a_price_in_another_currency_is_kept_as_said_and_not_offered(aliexpress: Desk) -> None:
    aliexpress.sandbox.control.post("currency", slip=0.3)
    aliexpress.sync("products")
    currencies = aliexpress.column("SELECT currency, count(*) FROM suppliers.prices GROUP BY 1")
    assert set(currencies) == {"CNY", "EUR"}
    assert aliexpress.rows("SELECT count(*) FROM suppliers.offers WHERE currency = 'CNY' AND selling_price IS NOT NULL") == [(0,)]
    assert aliexpress.rows("SELECT count(*) FROM suppliers.offers WHERE currency = 'EUR' AND selling_price IS NULL") == [(0,)]


def test_a_product_that_is_gone_ages_and_is_buried_after_two_scans(aliexpress: Desk) -> None:
    aliexpress.sync("products", "stock")
    (gone,) = aliexpress.sandbox.control.post("withdraw", count=1, seed=4)["ids"]
    skus = {row[0] for row in aliexpress.rows("SELECT supplier_sku FROM suppliers.stock WHERE supplier_product_id = %s", str(gone))}
    aliexpress.sync("stock")
    aliexpress.age("7 hours")
    aliexpress.sync("stock")
    truth = aliexpress.sandbox.control.truth(stream="stock")
    assert aliexpress.stock() == truth
    assert {aliexpress.availability()[sku] for sku in skus} == {"gone"}


def test_an_empty_feed_is_no_reason_to_forget_its_products(aliexpress: Desk) -> None:
    aliexpress.sync("products")
    aliexpress.sandbox.control.post("empty", seconds=3600)
    aliexpress.sync("stock")
    aliexpress.sync("stock")
    assert aliexpress.stock() == aliexpress.sandbox.control.truth(stream="stock")


def test_an_order_brings_its_lines_and_parcels(aliexpress: Desk) -> None:
    order = {
        "order_id": "8001",
        "order_status": "WAIT_BUYER_ACCEPT_GOODS",
        "lines": [
            {"product_id": 1005001234567890, "sku_id": "1"},
            {"product_id": 1005001234567891, "sku_id": "2", "end_reason": "CANCELED"},
        ],
        "parcels": [{"mail_no": "LP001", "nodes": ["Packed", "Shipped"]}, {"mail_no": "LP002"}],
    }
    aliexpress.sandbox.control.post("orders", **order)
    aliexpress.follow(order_id="8001")
    aliexpress.sync("orders")
    assert aliexpress.rows("SELECT status, common_status, total FROM suppliers.orders") == [
        ("WAIT_BUYER_ACCEPT_GOODS", "shipped", Decimal("10.00"))
    ]
    assert aliexpress.rows("SELECT line, end_reason FROM suppliers.order_lines ORDER BY 1") == [(1, None), (2, "CANCELED")]
    assert aliexpress.column("SELECT tracking_number, status FROM suppliers.order_tracking") == {
        "LP001": "Shipped",
        "LP002": "Shipped",
    }
    assert aliexpress.sync("order_tracking").inserted == 0


def test_a_finished_order_is_not_asked_for_again(aliexpress: Desk) -> None:
    aliexpress.sandbox.control.post("orders", order_id="8001", order_status="FINISH", lines=[{"product_id": 1}])
    aliexpress.follow(order_id="8001")
    aliexpress.sync("orders")
    calls = aliexpress.sync("orders").api_calls
    assert calls == 0


def test_an_order_unknown_for_too_long_becomes_a_dead_letter(aliexpress: Desk) -> None:
    aliexpress.follow(order_id="404")
    aliexpress.sync("orders")
    assert aliexpress.rows("SELECT closed_at FROM suppliers.order_requests") == [(None,)]
    aliexpress.rows("UPDATE suppliers.order_requests SET requested_at = requested_at - interval '3 days' RETURNING 1")
    aliexpress.sync("orders")
    assert aliexpress.rows("SELECT count(*) FROM suppliers.order_requests WHERE closed_at IS NULL") == [(0,)]
    assert aliexpress.rows("SELECT key, cause FROM sync.dead_letters") == [("404", "UnknownOrder")]


def test_an_order_that_cannot_be_asked_for_keeps_no_other_from_being_read(aliexpress: Desk) -> None:
    aliexpress.sandbox.control.post("orders", order_id="8001", order_status="FINISH", lines=[{"product_id": 1}])
    aliexpress.follow(reference="only-ours")
    aliexpress.follow(order_id="8001")
    aliexpress.sync("orders")
    assert aliexpress.rows("SELECT supplier_order_id FROM suppliers.orders") == [("8001",)]
    assert aliexpress.rows("SELECT key, cause FROM sync.dead_letters") == [("only-ours", "Refused")]


def test_a_product_that_cannot_be_read_neither_stops_nor_starves_the_others(aliexpress: Desk) -> None:
    aliexpress.sync("products")
    control = aliexpress.sandbox.control
    refused = '{"aliexpress_ds_product_get_response":{"rsp_code":606,"rsp_msg":"odd"}}'
    for _ in range(2):
        control.mutate(20, seed=5)
        control.faults({"kind": "status", "status": 200, "body": refused, "path": "sync", "skip": 3, "times": 1})
        with pytest.raises(DataError, match="606"):
            aliexpress.sync("stock")
        assert aliexpress.rows("SELECT count(*) FROM suppliers.stock WHERE deleted_at IS NOT NULL") == [(0,)]
    aliexpress.given["brake"] = {"stock_share": 1}
    for _ in range(2):
        aliexpress.sync("stock")
    assert aliexpress.stock() == control.truth(stream="stock")


def test_products_are_scored_with_their_inputs_beside(aliexpress: Desk) -> None:
    aliexpress.sync("products")
    assert score.update(aliexpress.database, aliexpress.account) == 30
    worst, best, quality = aliexpress.rows("SELECT min(score), max(score), min(quality) FROM suppliers.product_scores")[0]
    assert 0 <= worst < best <= 100
    assert quality == Decimal("0.80")  # no orders of other vendors here
    (inputs,) = aliexpress.rows("SELECT inputs FROM suppliers.product_scores LIMIT 1")[0]
    assert set(inputs) == set(score.INPUTS)
