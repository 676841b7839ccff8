"""Bulk backfill through reports: resumed by id, ranked below the Orders API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon import reports
from sync_pipelines_tests.vendors.amazon.shop import Shop

ACCOUNT = "amazon/alpha"


@pytest.fixture
def history(shop: Shop) -> Window:
    return Window(shop.now() - timedelta(days=50), shop.now() - timedelta(minutes=3))


def backfill(shop: Shop, window: Window, **options: Any) -> SyncTotals:
    with shop.reader(lane=Lane.BACKFILL) as reader:
        return reports.backfill(
            reader, database=shop.database, account=ACCOUNT, window=window, run_id="bulk", sleep=shop.wait, **options
        )


@pytest.mark.parametrize("with_item_ids", [False, True])
def test_a_history_comes_from_reports_and_the_window_is_confirmed(shop: Shop, history: Window, with_item_ids: bool) -> None:
    shop.control.post("reports", with_item_ids=with_item_ids)
    shop.control.post("generate", tenant="alpha", count=30, days=45)
    totals = backfill(shop, history)
    truth = shop.truth()
    assert (totals.status, totals.inserted) == (Status.COMPLETE, 30)
    stored = shop.stored()
    assert set(stored) == set(truth)
    for order_id, order in truth.items():
        found = stored[order_id]
        assert found["order"][:6] == order["order"][:6]
        assert found["order"][8:] == order["order"][8:] or order["order"][1] == "PARTIALLY_SHIPPED"
        if with_item_ids:
            assert set(found["items"]) == set(order["items"])
        assert sorted(map(str, [item[:4] for item in found["items"].values()])) == sorted(
            map(str, [item[:4] for item in order["items"].values()])
        )
    assert not shop.rows("select 1 from amazon.orders where raw::text ~* 'Sampletown|ship-city'")
    (row,) = shop.rows("select lower(confirmed), upper(confirmed) from sync.windows where account = %s", ACCOUNT)
    assert row == (history.start, history.end)


def test_the_orders_api_outranks_a_report_of_the_same_change(shop: Shop, history: Window) -> None:
    shop.control.post("generate", tenant="alpha", count=10, days=10)
    backfill(shop, history)
    shop.control.clear_log()
    with shop.database.transaction() as connection:
        connection.execute("update sync.windows set confirmed = '{}'")
    shop.sync()
    assert shop.stored() == shop.truth()
    with shop.database.transaction() as connection:
        connection.execute("delete from amazon.report_requests")
    again = backfill(shop, history)
    assert (again.inserted, again.updated, again.stale) == (0, 0, 10)
    assert shop.stored() == shop.truth()


def test_an_interrupted_backfill_goes_on_with_the_reports_it_asked_for(shop: Shop, history: Window) -> None:
    shop.control.post("generate", tenant="alpha", count=10, days=40)
    first = backfill(shop, history, patience_s=0)
    assert first.status is Status.PARTIAL
    created = len([call for call in shop.calls("/reports") if call["method"] == "POST"])
    assert backfill(shop, history).status is Status.COMPLETE
    assert len([call for call in shop.calls("/reports") if call["method"] == "POST"]) == created == 2
    shop.control.clear_log()
    assert backfill(shop, history).api_calls == 0


def test_a_failed_report_is_asked_for_anew(shop: Shop, history: Window) -> None:
    shop.control.post("generate", tenant="alpha", count=5, days=5)
    shop.control.post("reports", next_outcome="FATAL")
    first = backfill(shop, history)
    assert first.status is Status.PARTIAL
    backfill(shop, history)
    assert backfill(shop, history).status is Status.COMPLETE
    assert len(shop.stored()) == 5


def test_a_range_without_orders_is_confirmed_too(shop: Shop, history: Window) -> None:
    assert backfill(shop, history).status is Status.COMPLETE
    assert shop.rows("select state from amazon.report_requests") == [("empty",), ("empty",)]
