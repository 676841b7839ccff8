"""Pure rules: plans of scarce calls, selling prices (and the same in SQL), offers, product scores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipelines.core.db import Database
from sync_pipelines.vendors.suppliers import planner, score
from sync_pipelines.vendors.suppliers.offers import publish_settings
from sync_pipelines.vendors.suppliers.pricing import rule_for, selling_price
from sync_pipelines.vendors.suppliers.settings import PriceRule, SupplierSettings

ages = st.none() | st.floats(0, 10)
parts = st.lists(st.builds(planner.Part, st.uuids().map(str), st.integers(1, 4), ages, st.floats(0, 1000)), min_size=1, max_size=30)


@given(parts, st.integers(2, 12))
def test_a_plan_reads_everything_and_keeps_within_every_window(wanted: list[planner.Part], limit: int) -> None:
    made = planner.plan(wanted, limit)
    assert set(made.order) == {part.scope for part in wanted}
    assert made.cycle == planner.cycle_windows(sum(part.pages for part in wanted), limit)


@given(parts, st.integers(4, 12))
def test_no_part_gets_older_than_a_cycle(wanted: list[planner.Part], limit: int) -> None:
    cycle = planner.cycle_windows(sum(part.pages for part in wanted), limit)
    assert planner.worst_age_windows(wanted, limit) <= cycle + 1 + any(part.pages > 1 for part in wanted)


def test_spare_calls_go_where_most_stock_would_grow_old() -> None:
    wanted = [planner.Part(str(n), 1, 1.0, weight=1000 if n == 3 else 1) for n in range(9)]
    order = planner.plan(wanted, 5).order
    assert len(order) == 10
    assert order.count("3") == 2


def test_no_call_is_spare_while_the_size_of_a_part_is_unknown() -> None:
    wanted = [planner.Part(str(n), 1, None if n == 0 else 1.0, weight=1000) for n in range(9)]
    assert len(planner.plan(wanted, 5).order) == 9


money = st.decimals(min_value=0, max_value=5000, places=2)
rules = st.builds(
    PriceRule,
    margin_percent=st.decimals(0, 300, places=1),
    fixed=money,
    min_margin=money,
    vat=st.sampled_from(["in", "out"]),
    vat_percent=st.decimals(0, 27, places=1),
    ending=st.none() | st.sampled_from([Decimal("0.99"), Decimal("0.95"), Decimal(0)]),
)


@given(money, rules)
def test_a_price_covers_the_margin_and_ends_as_wanted(cost: Decimal, rule: PriceRule) -> None:
    price = selling_price(cost, rule)
    net = price / (1 + rule.vat_percent / 100) if rule.vat == "in" else price
    assert net >= cost + rule.min_margin - Decimal("0.001")
    assert rule.ending is None or price % 1 == rule.ending


def test_sql_and_python_ask_the_same_price(database: Database) -> None:
    @given(money, rules)
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    def agree(cost: Decimal, rule: PriceRule) -> None:
        values = [cost, rule.margin_percent, rule.fixed, rule.min_margin, rule.vat == "in", rule.vat_percent, rule.ending]
        with database.connect() as connection:
            row = connection.execute("SELECT suppliers.selling_price(%s, %s, %s, %s, %s, %s, %s)", values).fetchone()
        assert row is not None
        assert row[0] == selling_price(cost, rule)

    agree()


def test_the_first_rule_whose_band_holds_the_cost_applies() -> None:
    cheap, dear = PriceRule(to_cost=Decimal(10)), PriceRule(from_cost=Decimal(10))
    assert rule_for([cheap, dear], Decimal("9.99")) is cheap
    assert rule_for([cheap, dear], Decimal(10)) is dear
    assert rule_for([cheap], Decimal(10)) is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({}, 9), ({"safety_stock": 2}, 7), ({"max_handling_days": 1}, 4), ({"max_handling_days": 1, "safety_stock": 9}, 0)],
)
def test_what_may_be_sold_is_what_leaves_in_time_less_the_safety_stock(
    database: Database, wanted: dict[str, int], expected: int
) -> None:
    publish_settings(database, "bigbuy/main", SupplierSettings.model_validate(wanted))
    handling = '[{"quantity": 4, "max_days": 1}, {"quantity": 5, "max_days": 3}]'
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO suppliers.stock (account, supplier_sku, item_kind, quantity, handling, raw, version, content_hash,"
            " first_seen_at, synced_at, run_id) VALUES ('bigbuy/main', 'S', 'variant', 9, %s, '{}', now(), '', now(), now(), 'r')",
            [handling],
        )
        row = connection.execute("SELECT availability, sellable_quantity FROM suppliers.offers").fetchone()
    assert row == ("in_stock" if expected else "out_of_stock", expected)


def test_a_score_is_the_weighted_mean_of_what_is_known() -> None:
    inputs = pd.DataFrame(
        [
            {"margin": 0.5, "skus": 2, "skus_in_stock": 2, "sell_outs": 0, "cost_variation": 0, "sold_per_day": None, "rating": 5},
            {
                "margin": 0.25,
                "skus": 2,
                "skus_in_stock": 1,
                "sell_outs": 2,
                "cost_variation": 0.25,
                "sold_per_day": 0.5,
                "rating": None,
            },
            {"rating": 4},
            {},
        ],
        index=["best", "middling", "rated", "nothing"],
    )
    scored = score.score(inputs)
    assert scored["score"].to_dict() == {"best": 100.0, "middling": 34.7, "rated": 50.0, "nothing": 0.0}
    assert scored["quality"].to_dict() == {"best": 0.8, "middling": 0.9, "rated": 0.1, "nothing": 0.0}


def test_velocity_counts_what_other_vendors_sold_by_sku_or_ean_without_what_was_cancelled(database: Database) -> None:
    common = {"raw": "{}", "version": "now", "content_hash": "", "first_seen_at": "now", "synced_at": "now", "run_id": "r"}

    def insert(connection: Any, table: str, **row: Any) -> None:
        values = {"account": "shop/main", **row, **common}
        marks = ", ".join(["%s"] * len(values))
        connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))

    def amazon(connection: Any, order_id: str, status: str, days_ago: int, quantity: int) -> None:
        bought = f"{(datetime.now(UTC) - timedelta(days=days_ago)).isoformat()}"
        insert(connection, "amazon.orders", order_id=order_id, status=status, purchased_at=bought)
        insert(connection, "amazon.order_items", order_id=order_id, order_item_id="1", sku="SKU-1", quantity=quantity)

    def sendcloud(connection: Any, order_id: str, status: str, quantity: int) -> None:
        place = {"order_id": order_id, "integration_id": 1}
        insert(connection, "sendcloud.orders", **place, order_wms_status=status, order_created_at="now")
        insert(connection, "sendcloud.order_items", **place, item_id="1", sku="other", ean="4006381333931", quantity=quantity)

    with database.transaction() as connection:
        for number, ean in (("1", None), ("2", "4006381333931"), ("3", None)):
            own = {"account": "bigbuy/main", "supplier_product_id": number}
            insert(connection, "suppliers.products", **own, sku=f"SKU-{number}", ean=ean)
            stock = {"supplier_sku": f"SKU-{number}", "item_kind": "product", "quantity": 1}
            insert(connection, "suppliers.stock", **own, **stock)
        amazon(connection, "A", "SHIPPED", 3, 6)
        amazon(connection, "B", "CANCELLED", 3, 50)
        amazon(connection, "C", "SHIPPED", 40, 50)
        sendcloud(connection, "D", "shipped", 3)
        sendcloud(connection, "E", "cancelled", 50)
        found = score.read_inputs(connection, "bigbuy/main")
    assert found["sold_per_day"].to_dict() == {"1": 6 / 30, "2": 3 / 30, "3": 0}
    assert score.update(database, "bigbuy/main") == 3
    with database.connect() as connection:
        inputs = dict(connection.execute("SELECT supplier_product_id, inputs->'sold_per_day' FROM suppliers.product_scores"))
    assert inputs == {"1": 0.2, "2": 0.1, "3": 0.0}
