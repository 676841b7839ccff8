"""The client against the look-alike over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import AuthError, ContractError, DataError, Throttled, TransientError
from sync_pipelines.core.http import HttpClient
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.vendors.sendcloud.addresses import cursor_of, next_cursor
from sync_pipelines.vendors.sendcloud.client import SendCloudClient, basic_auth, classify
from sync_pipelines.vendors.sendcloud.models import Order
from sync_pipelines.vendors.sendcloud.v2_models import V2OrderBlob, V2Parcel
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.conftest import connect


def orders_in(pages: Iterator[Any]) -> dict[str, Any]:
    return {order["id"]: order for page in pages for order in decode_json(page.body)["data"]}


def test_all_orders_are_read_as_they_are(running: RunningSandbox, client: SendCloudClient) -> None:
    truth = running.control.truth()["orders"]
    read = orders_in(client.orders(page_size=40))
    assert {key: encode_json(order) for key, order in read.items()} == {key: encode_json(order) for key, order in truth.items()}


def test_every_generated_order_and_parcel_is_readable(client: SendCloudClient) -> None:
    orders = [Order.parse(encode_json(order)) for order in orders_in(client.orders()).values()]
    parcels = [V2Parcel.parse(encode_json(one)) for page in client.parcels() for one in decode_json(page.body)["parcels"]]
    assert {parcel.order_number for parcel in parcels} == {order.order_number for order in orders}


def test_an_order_and_its_parcel_are_linked_by_the_blobs_uuid(client: SendCloudClient) -> None:
    blobs = [
        V2OrderBlob.parse(encode_json(one))
        for integration in (7001, 7002, 7003)
        for page in client.order_blobs(integration)
        for one in decode_json(page.body)["results"]
    ]
    parcels = [V2Parcel.parse(encode_json(one)) for page in client.parcels() for one in decode_json(page.body)["parcels"]]
    assert {blob.shipment_uuid for blob in blobs} == {parcel.shipment_uuid for parcel in parcels}


def test_paging_resumes_at_a_cursor(client: SendCloudClient) -> None:
    first, *rest = client.orders(page_size=40, sort="order_updated_at")
    resumed = client.orders(page_size=40, sort="order_updated_at", cursor=first.cursor)
    assert [page.body for page in resumed] == [page.body for page in rest]


def test_orders_of_a_span_of_days_are_those_the_shop_changed_then(running: RunningSandbox, client: SendCloudClient) -> None:
    truth = running.control.truth()["orders"]
    day = datetime.now(UTC).date() - timedelta(days=10)
    expected = {
        key
        for key, order in truth.items()
        if str(day) <= order["order_details"].get("order_updated_at", "")[:10] <= str(day + timedelta(days=2))
    }
    assert expected
    assert set(orders_in(client.orders(updated=(day, day + timedelta(days=2))))) == expected


def test_a_record_that_changes_while_we_page_is_neither_lost_nor_a_reason_to_stop(
    running: RunningSandbox, client: SendCloudClient
) -> None:
    before = set(running.control.truth()["orders"])
    running.control.post("churn", operations=5, kinds=["update", "touch", "status", "items"])
    assert set(orders_in(client.orders(page_size=20))) == before


def test_a_list_that_leads_back_is_a_broken_contract(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("pages", kind="duplicate", skip=1, times=5)
    with pytest.raises(ContractError, match="already read"):
        list(client.orders(page_size=20))


@pytest.mark.parametrize("kind", ["null", "null_list"])
def test_a_page_of_the_wrong_shape_is_asked_for_again(running: RunningSandbox, client: SendCloudClient, kind: str) -> None:
    running.control.post("pages", kind=kind, times=2)
    assert len(orders_in(client.orders())) == 150


@pytest.mark.parametrize("kind", ["null", "null_list"])
def test_a_page_that_stays_wrong_is_a_broken_contract(running: RunningSandbox, client: SendCloudClient, kind: str) -> None:
    running.control.post("pages", kind=kind, times=9, stream="parcels")
    with pytest.raises(ContractError, match="not a list page"):
        list(client.parcels())


def test_v2_pages_go_on_at_a_cursor(client: SendCloudClient) -> None:
    first, second = client.parcels()
    assert first.count == 100
    assert [page.body for page in client.parcels(cursor=first.cursor)] == [second.body]


def test_parcels_updated_after_an_instant_are_exactly_those(running: RunningSandbox, client: SendCloudClient) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(days=20)
    truth = running.control.truth(streams="parcels")["parcels"]
    expected = {key for key, parcel in truth.items() if V2Parcel.model_validate(parcel).date_updated > moment}
    read = {str(one["id"]) for page in client.parcels(updated_after=moment) for one in decode_json(page.body)["parcels"]}
    # V2 shows whole seconds only, the filter has microseconds.
    assert expected <= read
    assert len(read - expected) <= 1


def test_a_single_order_and_a_single_parcel_are_read_or_gone(client: SendCloudClient) -> None:
    body = client.order("750000000")
    assert body is not None
    assert decode_json(body)["data"]["id"] == "750000000"
    parcel = client.parcel(380000000)
    assert parcel is not None
    assert "customs_information" in decode_json(parcel)["parcel"]
    assert (client.order("1"), client.parcel(1)) == (None, None)


def test_the_key_says_whose_it_is(client: SendCloudClient) -> None:
    assert client.auth_metadata() == {"user_id": 501, "integration_id": 7001}


def test_wrong_keys_stop_the_account(running: RunningSandbox) -> None:
    with pytest.raises(AuthError) as caught:
        connect(running, keys=("sandbox-public", "wrong")).auth_metadata()
    assert caught.value.status == 401


def test_v3_refused_is_told_apart_from_v3_down(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("v3", down=True, kind="forbidden")
    with pytest.raises(AuthError):
        next(client.orders())
    running.control.post("v3", down=True, kind="html")
    with pytest.raises(TransientError):
        next(client.orders())
    assert next(client.parcels()).count == 100


@pytest.mark.parametrize("style", ["none", "json"])
def test_the_quota_of_the_account_is_a_throttle_in_either_form(running: RunningSandbox, style: str) -> None:
    running.control.post("settings", reads_per_minute=3, throttle_body=style)
    first, second = (
        connect(running, keys=keys, quick_throttle_retries=0)
        for keys in (("sandbox-public", "sandbox-secret"), ("sandbox-public-2", "sandbox-secret-2"))
    )
    first.auth_metadata(), first.auth_metadata(), second.auth_metadata()
    with pytest.raises(Throttled) as caught:
        second.auth_metadata()
    assert caught.value.retry_at > datetime.now(UTC)


def order_of(running: RunningSandbox, key: str = "750000000") -> dict[str, Any]:
    order = running.control.truth()["orders"][key]
    return {name: value for name, value in order.items() if name not in {"id", "created_at", "modified_at"}}


def test_an_accepted_order_is_stored_a_moment_later(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("settings", order_saving_s=60)
    accepted = client.upsert_orders([{**order_of(running), "order_id": "7001-new", "order_number": "NEW"}])["data"]
    assert client.order(str(accepted[0]["id"])) is None
    running.control.post("clock", advance=61)
    assert client.order(str(accepted[0]["id"])) is not None


def test_one_bad_order_refuses_the_batch(running: RunningSandbox, client: SendCloudClient) -> None:
    good = order_of(running)
    bad = {name: value for name, value in good.items() if name != "payment_details"}
    with pytest.raises(DataError) as caught:
        client.upsert_orders([good, bad])
    assert b"/data/attributes/[1]/payment_details" in caught.value.body


def test_an_order_still_being_stored_is_tried_again(running: RunningSandbox) -> None:
    running.control.post("settings", order_saving_s=60)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        running.control.post("clock", advance=61)

    http = HttpClient(
        account="sendcloud/test",
        base_url=f"{running.base_url}/api",
        auth=basic_auth("sandbox-public", "sandbox-secret"),
        classify=classify,
        sleep=wait,
    )
    client = SendCloudClient(http)
    client.upsert_orders([order_of(running)])
    client.upsert_orders([order_of(running)])
    assert len(waits) == 1


def test_a_patch_changes_only_what_it_names(running: RunningSandbox, client: SendCloudClient) -> None:
    before = order_of(running)
    client.patch_order("750000000", {"order_details": {"notes": "Fragile"}})
    after = order_of(running)
    assert after["order_details"].pop("notes") == "Fragile"
    before["order_details"].pop("notes", None)
    assert after == before


def test_a_patch_cannot_add_an_item(client: SendCloudClient) -> None:
    with pytest.raises(DataError):
        client.patch_order("750000000", {"order_details": {"order_items": [{"name": "unheard of", "sku": "X"}]}})


def test_deleting_twice_is_no_error(client: SendCloudClient) -> None:
    assert (client.delete_order("750000000"), client.delete_order("750000000")) == (True, False)


def test_only_the_cursor_is_taken_from_a_link() -> None:
    previous, following = "<https://elsewhere.example.com/?cursor=cj0x>", "<https://elsewhere.example.com/v3/orders?cursor=cD0x%3D>"
    link = f'{previous}; rel="prev", {following}; rel="next"'
    assert next_cursor(link) == "cD0x="
    assert next_cursor("") is None
    assert cursor_of("https://x.example.com/?page=2") is None


def test_a_text_in_a_path_cannot_leave_its_place() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(404, json={"detail": "no"})

    http = HttpClient(account="sendcloud/test", base_url="http://vendor.example.com/api", transport=httpx.MockTransport(answer))
    assert SendCloudClient(http).tracking("../../v2/user?x=1#y") is None
    assert seen == ["/api/v3/parcels/tracking/..%2F..%2Fv2%2Fuser%3Fx%3D1%23y"]


def test_naive_times_are_refused(client: SendCloudClient) -> None:
    with pytest.raises(ValueError, match="aware"):
        next(client.shipments(updated_after=datetime(2026, 1, 1)))  # noqa: DTZ001
