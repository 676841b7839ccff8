"""SendCloud orders from API to table, against the look-alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.sendcloud import streams
from sync_pipelines_tests.vendors.sendcloud.worlds import Shop


def test_a_first_sync_stores_every_order_and_a_second_changes_nothing(shop: Shop) -> None:
    first = shop.sync()
    assert shop.stored() == shop.truth()
    assert first.inserted == len(shop.truth())
    assert first.dead_lettered == 0
    second = shop.sync()
    assert (second.inserted, second.updated, second.stale) == (0, 0, 0)


def test_a_full_sync_stores_every_order(shop: Shop) -> None:
    shop.sync(request=Request(mode=Mode.FULL))
    assert shop.stored() == shop.truth()


def test_changes_between_syncs_arrive_with_the_next(shop: Shop) -> None:
    shop.sync()
    shop.sandbox.control.mutate(40, seed=7, kinds=["update", "items", "status", "create", "ship", "parcel"])
    shop.sync()
    assert shop.stored() == shop.truth()


def test_a_change_of_the_vendors_own_clock_alone_arrives_with_the_sweep(shop: Shop) -> None:
    shop.sync()
    shop.sandbox.control.mutate(10, seed=7, kinds=["touch"])
    shop.sync(request=Request(mode=Mode.FULL))
    assert shop.stored() == shop.truth()


def test_an_order_that_was_just_listed_is_not_asked_for_because_of_its_shipment(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sync()
    assert asked_for(shop) == 0
    followed = "SELECT count(tracking_number) FROM sendcloud.orders"
    with shop.database.connect() as connection:
        assert connection.execute(followed).fetchone() > (50,)
    shop.sandbox.control.clear_log()
    monkeypatch.setattr(streams, "MOST_SHOWN", 0)
    shop.sync(request=Request(Mode.WINDOW, window=Window(datetime.now(UTC) - timedelta(days=40), datetime.now(UTC))))
    assert asked_for(shop) > 50


def asked_for(shop: Shop) -> int:
    """Orders that were asked for by number."""
    return sum("order_number=" in entry["query"] for entry in shop.sandbox.control.log())
