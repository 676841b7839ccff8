"""SendCloud's tables compared with its lists."""

from __future__ import annotations

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.vendors.sendcloud.reference.streams import shipping_methods
from sync_pipelines.vendors.sendcloud.streams import orders, parcels
from sync_pipelines_tests.damage import Damage, compare
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop


def test_what_is_planted_in_three_tables_is_found_mended_and_reported(shop: Shop) -> None:
    streams = (parcels, orders, shipping_methods)  # orders bring their parcels along, which would mend those unasked
    for stream in streams:
        shop.sync(stream) if stream.is_windowed else shop.sync(stream, Request(Mode.FULL))
    recent = "now() - interval '6 days'"
    damaged = {
        orders.key: Damage(shop.database, orders, ("total_amount", "0.01"), f"order_updated_at > {recent}"),
        parcels.key: Damage(shop.database, parcels, ("status_message", "'by hand'"), f"version > {recent}"),
        shipping_methods.key: Damage(shop.database, shipping_methods, ("name", "'by hand'")),
    }
    with shop.client(Lane.BACKFILL) as client:
        for stream in streams:
            damaged[stream.key].must_be_found(compare(shop.database, stream, ACCOUNT, client, shop.settings))
            again = compare(shop.database, stream, ACCOUNT, client, shop.settings)
            assert (again.repaired, again.different, list(again.samples)) == (0, 1, ["invented"])
            assert again.equal >= 3


def test_a_synced_shop_equals_the_vendors_lists(shop: Shop) -> None:
    shop.sync(orders)
    shop.sync(parcels)
    shop.sandbox.control.mutate(60, seed=5, kinds=["update", "items", "status", "create", "ship", "parcel"])
    shop.sync(orders)
    shop.sync(parcels)
    with shop.client(Lane.BACKFILL) as client:
        for stream in (orders, parcels):
            found = compare(shop.database, stream, ACCOUNT, client, shop.settings)
            assert (found.repaired, found.different, found.samples) == (0, 0, {})
            assert found.equal > 20
