"""SendCloud orders from API to table, against the look-alike."""

from __future__ import annotations

from sync_pipelines.core.sync import Mode, Request
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
