"""Orders of Amazon: tables equal truth whatever happens on the way, and never a call above the plan."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sync_pipelines.core.budget import Budget, Lane
from sync_pipelines.core.errors import AuthError, Throttled
from sync_pipelines.core.stream import ParseContext
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.core.totals import Status
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon import client, mapping
from sync_pipelines.vendors.amazon.operations import GET_ORDER, PACE, SEARCH_ORDERS, bucket_specs
from sync_pipelines.vendors.amazon.reader import records
from sync_pipelines.vendors.amazon.settings import Settings
from sync_pipelines_tests.vendors.amazon.shop import Shop

VERSIONS = pytest.mark.parametrize("version", ["2026-01-01", "v0"])


def test_a_first_sync_of_one_burst_waits_for_nothing(shop: Shop) -> None:
    plan = {"searchOrders": {"rate": 0.0056, "burst": 4}}
    shop.control.post("plans", **plan)
    shop.control.post("generate", tenant="alpha", count=400)
    totals = shop.sync(plans=plan)
    assert (totals.status, totals.inserted, totals.waited_s) == (Status.COMPLETE, 400, 0)
    assert len(shop.calls("/orders/")) == 4


def test_once_the_burst_is_spent_the_beat_uses_what_the_plan_permits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 2)
    plan = {"searchOrders": {"rate": 0.0056, "burst": 4}}
    shop.control.post("plans", **plan)
    shop.control.post("generate", tenant="alpha", count=50)
    while len(shop.stored()) < 50:
        shop.sync(plans=plan)
        shop.wait(300)
    times = [call["at"] for call in shop.calls("/orders/")]
    permitted = (times[-1] - times[3]) * 0.0056
    # The bucket may hold the better part of a token when the beat looks.
    assert len(times) - 4 > 0.97 * permitted - 1
    assert shop.calls_above_plan() == []


def test_a_spent_quota_ends_the_run_cleanly_and_the_next_goes_on_at_the_token(shop: Shop) -> None:
    plan = {"searchOrders": {"rate": 0.0056, "burst": 2}}
    shop.control.post("plans", **plan)
    shop.control.post("generate", tenant="alpha", count=300)
    first = shop.sync(plans=plan)
    assert (first.status, first.inserted) == (Status.PARTIAL, 200)
    assert first.resume_at is not None
    shop.wait(200)
    shop.sync(plans=plan)
    assert len(shop.stored()) == 300
    assert len([call for call in shop.calls("/orders/") if "paginationToken" in call["query"]]) == 2


def test_a_token_that_died_begins_the_window_anew(shop: Shop) -> None:
    plan = {"searchOrders": {"rate": 0.0056, "burst": 2}}
    shop.control.post("plans", **plan)
    shop.control.post("generate", tenant="alpha", count=250)
    assert shop.sync(plans=plan).status is Status.PARTIAL
    # Our ledger thinks the token alive, Amazon does not: it is refused, and the window is read from its start.
    shop.control.faults({"kind": "status", "path": "paginationToken", "status": 400, "body": '{"errors":[]}', "times": 1})
    shop.wait(400)
    shop.settle(plans=plan)
    assert shop.stored() == shop.truth()


@VERSIONS
def test_reading_a_window_again_changes_no_row(shop: Shop, version: str) -> None:
    shop.control.post("generate", tenant="alpha", count=60)
    shop.sync(orders_api=version)
    before = shop.rows("select xmin::text, * from amazon.orders order by order_id")
    window = Window(shop.now() - timedelta(days=15), shop.now() - timedelta(minutes=3))
    totals = shop.sync(request=Request(Mode.WINDOW, Lane.BACKFILL, window), orders_api=version)
    assert (totals.inserted, totals.updated) == (0, 0)
    assert shop.rows("select xmin::text, * from amazon.orders order by order_id") == before


@pytest.mark.parametrize(("one", "other"), [("v0", "2026-01-01"), ("2026-01-01", "v0")])
def test_switching_versions_leaves_unchanged_rows_untouched(shop: Shop, one: str, other: str) -> None:
    shop.control.post("generate", tenant="alpha", count=60)
    shop.sync(orders_api=one)
    rows = "select order_id, xmin::text from amazon.orders"
    items = "select order_id, order_item_id, xmin::text from amazon.order_items"
    before, items_before = dict(shop.rows(rows)), shop.rows(items)
    shop.control.mutate(10, seed=5, tenant="alpha")
    changed = {order_id for order_id, order in shop.truth().items() if shop.stored().get(order_id) != order}
    shop.wait(200)
    window = Window(shop.now() - timedelta(days=15), shop.now() - timedelta(minutes=3))
    shop.sync(request=Request(Mode.WINDOW, Lane.LIVE, window), orders_api=other)
    after = dict(shop.rows(rows))
    assert shop.stored() == shop.truth()
    assert {order_id for order_id in after if after[order_id] != before.get(order_id)} == changed
    untouched = {item for item in items_before if item[0] not in changed}
    assert untouched <= set(shop.rows(items))
    assert set(shop.rows("select distinct source from amazon.orders")) == {(one,), (other,)}


def test_v0_asks_only_for_the_lines_it_lacks(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=12, days=0.001)
    shop.sync(orders_api="v0")
    shop.control.clear_log()
    shop.wait(120)
    shop.sync(orders_api="v0")
    assert shop.calls("orderItems") == []


def test_v0_lines_come_from_all_pages_and_pending_ones_get_prices_later(shop: Shop) -> None:
    shop.control.post("settings", item_page_size=2)
    shop.control.mutate(6, seed=1, tenant="alpha")
    shop.settle(orders_api="v0")
    assert shop.stored() == shop.truth()
    for seed in range(4):
        shop.control.mutate(6, seed=seed, tenant="alpha")
        shop.settle(orders_api="v0")
    assert shop.stored() == shop.truth()
    assert shop.rows("select 1 from amazon.order_items where item_price is not null limit 1")


def test_v0_reads_a_pending_order_again_once_its_status_changes(shop: Shop) -> None:
    query = (
        "select o.status, count(i.item_price), count(*) from amazon.orders o join amazon.order_items i using (order_id) group by 1"
    )
    while "PENDING" not in {order["order"][1] for order in shop.truth().values()}:
        shop.control.mutate(1, seed=1, tenant="alpha")
    shop.settle(orders_api="v0")
    priced = {status: (prices, lines) for status, prices, lines in shop.rows(query)}
    assert priced["PENDING"][0] == 0 < priced["PENDING"][1]
    seed = 0
    while "PENDING" in {order["order"][1] for order in shop.truth().values()}:
        shop.control.mutate(1, seed=seed, tenant="alpha")
        seed += 1
        assert seed < 500
    shop.settle(orders_api="v0")
    assert shop.stored() == shop.truth()
    assert all(prices == lines for prices, lines in ((row[1], row[2]) for row in shop.rows(query)))


def test_two_calls_are_at_least_half_a_second_apart_over_all_processes(shop: Shop) -> None:
    specs = bucket_specs(Settings(marketplaces=("A13V1IB3VIYZZH",)))
    one, other = (Budget(shop.database, "amazon/alpha", Lane.LIVE, specs, max_wait_s=0) for _ in range(2))
    one.settle(one.acquire(SEARCH_ORDERS, PACE))
    with pytest.raises(Throttled) as refused:
        other.acquire(GET_ORDER, PACE)
    assert timedelta(seconds=0.3) < refused.value.retry_at - shop.now() <= timedelta(seconds=0.51)


def test_a_late_arrival_is_found_by_the_overlap(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=5)
    shop.sync()
    late = shop.control.post("late", tenant="alpha", count=2, changed_ago=200, visible_in=100, seed=1)["orders"]
    shop.sync()
    assert not set(late) & set(shop.stored())
    shop.wait(300)
    shop.sync()
    assert set(late) <= set(shop.stored())


def test_a_revoked_tenant_stops_alone(shop: Shop) -> None:
    for tenant in ("alpha", "beta"):
        shop.control.post("generate", tenant=tenant, count=10)
    shop.control.post("tenant", tenant="alpha", is_revoked=True)
    with pytest.raises(AuthError, match="invalid_grant"):
        shop.sync("alpha")
    assert shop.sync("beta").inserted == 10
    ((error, since),) = shop.rows("select last_error, failing_since from amazon.sync_state where tenant = 'amazon/alpha'")
    assert "invalid_grant" in error
    assert since is not None


def test_processes_share_one_access_token(shop: Shop) -> None:
    for _ in range(3):
        shop.sync()
        shop.wait(300)
    assert len(shop.calls("/auth/o2/token")) == 1


def test_a_bound_too_young_by_amazons_clock_is_left_to_amazon(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=5)
    with shop.database.transaction() as connection:
        connection.execute("update simulated.clock set ahead = ahead + interval '10 minutes'")
    totals = shop.sync()
    assert totals.inserted == 5
    echoed = totals.windows[-1][1]
    assert abs(shop.now() - timedelta(minutes=2) - echoed) < timedelta(seconds=30)


def test_an_unknown_status_is_stored_and_counted(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=1)
    with shop.reader() as reader:
        page = next(iter(reader.changed(Window(shop.starts, shop.now() - timedelta(minutes=3)), None)))
    (raw,) = records(page.body, page.source)
    status = shop.truth().popitem()[1]["order"][1]
    odd = raw.replace(f'"{status}"'.encode(), b'"ON_THE_MOON"')
    record = mapping.parse(odd, ParseContext("amazon/alpha", page.source, shop.now(), shop.settings()))
    assert (record.row["status"], record.unknown) == ("ON_THE_MOON", ("status=ON_THE_MOON",))
