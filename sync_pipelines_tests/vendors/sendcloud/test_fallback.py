"""v3 refused, v2 in its place, v3 back: one order stays one row, and the fuller source keeps its facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import DatabaseUnavailable
from sync_pipelines.core.replay import replay
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.sendcloud.streams import changed_orders, orders
from sync_pipelines_tests.vendors.sendcloud.conftest import KEYS, connect
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

FULL = Request(mode=Mode.FULL)
START = datetime.now(UTC) - timedelta(days=45)
FOLLOWING = (
    *("parcel_status", "parcel_wms_status", "wms_status", "parcel_version"),
    *("tracking_number", "tracking_url", "carrier", "shipping_service", "shipping_method"),
)
"""Columns that follow the newest parcel."""


def sync(shop: Shop) -> SyncTotals:
    """What is new, from before the first order on."""
    return shop.sync(request=Request(start=START))


def v3_is_down(shop: Shop, kind: str = "forbidden") -> None:
    shop.sandbox.control.post("v3", down=True, kind=kind)


def v3_is_back(shop: Shop) -> None:
    shop.sandbox.control.post("v3", down=False)


def rows(shop: Shop, columns: str = "order_id, integration_id, order_number, source") -> list[Any]:
    with shop.database.connect() as connection:
        return connection.execute(f"SELECT {columns} FROM sendcloud.orders ORDER BY order_id, integration_id").fetchall()


def facts(shop: Shop) -> list[Any]:
    """Everything of the order rows but what follows their parcels and who wrote them."""
    ignored = [*FOLLOWING, "synced_at", "run_id"]
    return [row for (row,) in rows(shop, f"to_jsonb(orders) - '{{{','.join(ignored)}}}'::text[]")]


def test_while_v3_is_refused_v2_stands_in_and_v3_takes_its_rows_over(shop: Shop) -> None:
    v3_is_down(shop)
    sync(shop)
    stand_ins = rows(shop)
    assert stand_ins
    assert {(integration, source) for _, integration, _, source in stand_ins} == {(0, "v2")}
    known = {order["order_id"] for order in shop.truth().values()}
    assert {order_id for order_id, *_ in stand_ins} <= known
    v3_is_back(shop)
    shop.sync(request=FULL)
    assert shop.stored() == shop.truth()
    assert {source for *_, source in rows(shop)} == {"v3"}


def test_v2_after_v3_changes_nothing_but_lets_tracking_follow_the_parcels(shop: Shop) -> None:
    sync(shop)
    v3_is_down(shop)
    shop.sync(request=FULL)
    before, followed = facts(shop), dict(rows(shop, "order_id || '@' || integration_id, parcel_status"))
    parcels = shop.sandbox.control.truth(streams="parcels")["parcels"].values()
    numbers = Counter(parcel["order_number"] for parcel in parcels)
    known = {number for _, _, number, _ in rows(shop)}
    shipped = next(
        parcel
        for parcel in parcels
        if parcel["status"]["id"] not in {11, 999} and numbers[parcel["order_number"]] == 1 and parcel["order_number"] in known
    )
    shop.sandbox.control.post("parcels", parcel=shipped["id"], status=11)
    totals = shop.sync(request=FULL)
    assert (totals.inserted, totals.updated) == (0, 0)
    assert facts(shop) == before
    moved = {key: code for key, code in rows(shop, "order_id || '@' || integration_id, parcel_status") if followed[key] != code}
    (number,) = {row[1] for row in rows(shop, "order_id || '@' || integration_id, order_number") if row[0] in moved}
    assert len(moved) == 1
    assert number == shipped["order_number"]


@pytest.mark.parametrize("kind", ["status", "html"])
def test_a_v3_that_stays_down_is_a_v3_that_is_refused(shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_pipelines.core.http.time.sleep", lambda _: None)
    v3_is_down(shop, kind)
    sync(shop)
    assert {source for *_, source in rows(shop)} == {"v2"}


@pytest.mark.parametrize("is_full", [False, True])
def test_what_was_read_while_v3_was_down_is_read_again_when_it_is_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, is_full: bool
) -> None:
    monkeypatch.setattr("sync_pipelines.core.http.time.sleep", lambda _: None)
    v3_is_down(shop, "status")
    totals = shop.sync(request=replace(FULL, start=START)) if is_full else sync(shop)
    assert totals.status is Status.PARTIAL
    v3_is_back(shop)
    assert shop.stored() != shop.truth()
    assert sync(shop).status is Status.COMPLETE
    assert shop.stored() == shop.truth()


class WithoutDatabase(httpx.BasicAuth):
    """Credentials from a database that goes away for as long as v3 is read."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if "/v3/" in request.url.path:
            raise DatabaseUnavailable("our own database is away")
        yield from super().auth_flow(request)


def test_our_own_database_being_away_is_no_reason_to_read_v2(shop: Shop) -> None:
    client = connect(shop.sandbox, auth=WithoutDatabase(*KEYS))
    with closing(client.http), pytest.raises(DatabaseUnavailable):
        list(changed_orders(client, Window(START, datetime.now(UTC)), None))


def test_going_back_and_forth_never_doubles_an_order(shop: Shop) -> None:
    for round_, is_down in enumerate((True, False, True, False)):
        shop.sandbox.control.post("v3", down=is_down, kind="forbidden")
        shop.sandbox.control.mutate(15, seed=round_, kinds=["update", "items", "status", "create", "ship", "parcel"])
        shop.sync(request=FULL)
        keys = [(order_id, number) for order_id, _, number, _ in rows(shop)]
        assert len(keys) == len(set(keys))
    assert shop.stored() == shop.truth()


def test_older_versions_from_the_archive_change_nothing(shop: Shop) -> None:
    sync(shop)
    shop.sandbox.control.mutate(30, seed=5, kinds=["update", "items", "status", "ship", "parcel"])
    sync(shop)
    before = facts(shop)
    totals = replay(
        orders, database=shop.database, account=ACCOUNT, run_id="replay", settings=shop.settings, until=datetime.now(UTC)
    )
    assert totals.stale > 0
    assert (totals.inserted, totals.updated) == (0, 0)
    assert facts(shop) == before
    assert shop.stored() == shop.truth()


def test_a_change_only_sendcloud_knows_of_shows_up_through_its_shipment(shop: Shop) -> None:
    sync(shop)
    order, parcel = long_shipped(shop)
    shop.sandbox.control.post("orders", kind="touch", order=order)
    assert shop.stored() != shop.truth()
    shop.sandbox.control.post("parcels", parcel=parcel, status=80)
    sync(shop)
    assert shop.stored()[order] == shop.truth()[order]


def long_shipped(shop: Shop) -> tuple[str, int]:
    """A shipped order that the shop has not touched for days, and a parcel of it."""
    truth = shop.sandbox.control.truth(streams="orders,parcels")
    parcels = {parcel["order_number"]: parcel["id"] for parcel in truth["parcels"].values() if parcel["status"]["id"] != 999}
    until = (datetime.now(UTC) - timedelta(days=5)).isoformat()
    for key, order in truth["orders"].items():
        details = order["order_details"]
        changed = max(details.get("order_updated_at") or "", details["order_created_at"])
        if changed < until and order["order_number"] in parcels:
            return key, parcels[order["order_number"]]
    raise AssertionError("the look-alike has no order shipped long ago")
