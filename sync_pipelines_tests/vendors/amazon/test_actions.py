"""Work beside the beat: missing lines, sweeps within the quota, states and warnings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core.budget import Lane
from sync_pipelines.vendors.amazon import actions, tenants
from sync_pipelines_tests.vendors.amazon.shop import Shop

ACCOUNT = "amazon/alpha"


def sweep(shop: Shop, **changes: Any) -> actions.Sweep:
    with shop.reader(lane=Lane.BACKFILL, **changes) as reader:
        return actions.sweep(reader, database=shop.database, account=ACCOUNT, run_id="sweep", reach=timedelta(hours=48))


@pytest.mark.parametrize("version", ["2026-01-01", "v0"])
def test_orders_that_lack_lines_are_read_anew(shop: Shop, version: str) -> None:
    shop.control.post("generate", tenant="alpha", count=8)
    shop.sync(orders_api=version)
    with shop.database.transaction() as connection:
        ids = [row[0] for row in shop.rows("select order_id from amazon.orders where status = 'SHIPPED' order by 1 limit 2")]
        connection.execute("delete from amazon.order_items where order_id = %s", [ids[0]])
        connection.execute("update amazon.order_items set quantity = 0 where order_id = %s", [ids[1]])
    with shop.reader(lane=Lane.RETRY, orders_api=version) as reader:
        done = actions.sync_missing_items(reader, database=shop.database, account=ACCOUNT, run_id="missing")
    assert (done.found, done.fetched, done.written, done.left) == (2, 2, 2, 0)
    assert shop.stored() == shop.truth()


def test_a_spent_quota_leaves_missing_lines_for_later(shop: Shop) -> None:
    plan = {"getOrder": {"rate": 0.001, "burst": 2}}
    shop.control.post("plans", **plan)
    shop.control.post("generate", tenant="alpha", count=5)
    shop.sync(plans=plan)
    with shop.database.transaction() as connection:
        connection.execute("delete from amazon.order_items")
    with shop.reader(lane=Lane.LIVE, plans=plan) as reader:
        done = actions.sync_missing_items(reader, database=shop.database, account=ACCOUNT, run_id="missing")
    assert (done.found, done.fetched, done.left) == (5, 2, 3)
    assert done.stopped_because is not None


def test_a_sweep_finds_what_came_later_than_the_overlap(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=20)
    late = shop.control.post("late", tenant="alpha", count=2, changed_ago=7200, visible_in=300, seed=1)["orders"]
    shop.sync()
    shop.wait(1200)
    shop.sync()
    assert not set(late) & set(shop.stored())
    done = sweep(shop)
    assert set(late) <= set(shop.stored())
    assert done.skipped_h == 0
    assert done.says.startswith("read all of")


def test_a_sweep_reads_only_what_the_quota_can_afford_and_says_so(shop: Shop) -> None:
    plan = {"searchOrders": {"rate": 0.0056, "burst": 5}}
    shop.control.post("plans", **plan)
    shop.control.post("generate", tenant="alpha", count=320, days=1.5)
    shop.sync(plans=plan)
    shop.control.clear_log()
    shop.wait(360)
    done = sweep(shop, plans=plan)
    assert done.read is not None
    assert 0 < done.skipped_h < 48
    assert "left out" in done.says
    assert len(shop.calls("/orders/")) <= done.calls_affordable
    for _ in range(5):
        done = sweep(shop, plans=plan)
    assert (done.read, done.skipped_h) == (None, 48)
    assert done.says.startswith("skipped")
    assert shop.calls_above_plan() == []


def test_states_tell_what_the_old_endpoint_told(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=4)
    shop.sync()
    accounts = {ACCOUNT: shop.settings(), "amazon/new": shop.settings(), "gazelle/studio": object()}
    with shop.database.connect() as connection:
        state, new = tenants.tenant_states(connection, accounts, shop.now().date(), is_counted=True)
    assert (state.tenant, state.orders, state.last_error) == (ACCOUNT, 4, None)
    assert state.order_items == len(shop.rows("select 1 from amazon.order_items"))
    assert state.last_success_at is not None
    assert state.last_polled_at is not None
    assert state.last_success_at >= state.last_polled_at
    assert state.last_updated_after is not None
    assert shop.now() - state.last_updated_after < timedelta(minutes=4)
    assert (new.tenant, new.last_polled_at, new.orders) == ("amazon/new", None, None)


def test_an_error_that_stands_for_half_an_hour_is_a_warning(shop: Shop) -> None:
    shop.control.post("tenant", tenant="alpha", is_revoked=True)
    warned = []
    for _ in range(8):
        with pytest.raises(Exception, match="invalid_grant"):
            shop.sync()
        warned.append([item.kind for item in actions.concerns(shop.database, ACCOUNT, shop.settings(), now=shop.now())])
        shop.wait(300)
    assert warned[:6] == [[]] * 6
    assert warned[-1] == ["error_stands"]


def test_a_tenant_that_usually_sells_and_does_not_is_a_warning(shop: Shop) -> None:
    with shop.database.transaction() as connection:
        for week in range(1, 5):
            for number in range(4):
                connection.execute(
                    "insert into amazon.orders (account, order_id, purchased_at, raw, version, content_hash, first_seen_at,"
                    " synced_at, run_id) values (%s, %s, %s, '{}', now(), '', now(), now(), '')",
                    [ACCOUNT, f"{week}-{number}", shop.now() - timedelta(weeks=week, hours=number)],
                )
    (warning,) = actions.concerns(shop.database, ACCOUNT, shop.settings(), now=shop.now())
    assert (warning.kind, "4 on average" in warning.text) == ("unusually_quiet", True)
    assert actions.concerns(shop.database, ACCOUNT, shop.settings(), now=shop.now() + timedelta(hours=12)) == []


@pytest.mark.parametrize(
    ("setting", "what", "days", "kinds"),
    [
        ("secret_created_on", "client_secret", 165, []),
        ("secret_created_on", "client_secret", 166, ["secret_ends"]),
        ("secret_created_on", "client_secret", 200, ["secret_ends"]),
        ("authorized_on", "authorization", 350, []),
        ("authorized_on", "authorization", 351, ["authorization_ends"]),
    ],
)
def test_credentials_that_end_are_warned_of_two_weeks_ahead(
    shop: Shop, setting: str, what: str, days: int, kinds: list[str]
) -> None:
    today = shop.now().date()
    settings = shop.settings(**{setting: today - timedelta(days=days)})
    found = actions.concerns(shop.database, ACCOUNT, settings, now=shop.now())
    assert [warning.kind for warning in found] == kinds
    (age,) = tenants.credential_ages(settings, today)
    assert (age.what, age.days_left) == (what, {"client_secret": 180, "authorization": 365}[what] - days)
