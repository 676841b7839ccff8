"""What the look-alike itself promises: quotas to the call, stable pages, outcomes on demand, true webhooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.sendcloud.app import create_app
from sync_pipelines.sandbox.sendcloud.listing import BREAKAGES
from sync_pipelines.sandbox.sendcloud.paging import Cursor, Index, page

START = 1_772_366_400.0
"""A Sunday noon in March 2026 (UTC), where the look-alike's clock stands."""

MAIN = ("sandbox-public", "sandbox-secret")
OTHER_KEY = ("sandbox-public-2", "sandbox-secret-2")
SECOND = ("sandbox-second-public", "sandbox-second-secret")


class Api:
    """The look-alike without a network."""

    def __init__(self, **options: Any) -> None:
        app = create_app(**{"seed": 1, "clock": Clock(START), **options})
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox")
        self._runner = asyncio.Runner()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def call(self, method: str, path: str, *, auth: Any = MAIN, **options: Any) -> httpx.Response:
        return self.send(method, f"/api/{path}", auth=auth, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.call("GET", path, **options)

    def control(self, route: str, method: str = "POST", **body: Any) -> Any:
        answer = self.send(method, f"/_control/{route}", json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def truth(self, stream: str = "orders", account: str = "main") -> dict[str, Any]:
        return self.control(f"truth?streams={stream}&account={account}", "GET")[stream]

    def all_orders(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = self.get("v3/orders", params=params)
            assert answer.status_code == 200, answer.text
            found += answer.json()["data"]
            following = answer.links.get("next")
            if following is None:
                return found
            params["cursor"] = httpx.URL(following["url"]).params["cursor"]


@pytest.fixture
def api() -> Api:
    return Api()


# -- quotas ---------------------------------------------------------------------------------------------------------------------


def test_the_thousand_and_first_read_of_a_minute_is_refused_whichever_key_asks(api: Api) -> None:
    statuses = [api.get("v3/user/auth/metadata", auth=key).status_code for key in (MAIN, OTHER_KEY) * 500]
    assert set(statuses) == {200}
    assert api.get("v3/user/auth/metadata", auth=OTHER_KEY).status_code == 429
    assert api.get("v3/user/auth/metadata", auth=SECOND).status_code == 200
    api.control("clock", advance=59.9)
    assert api.get("v3/user/auth/metadata").status_code == 429
    api.control("clock", advance=0.1)
    assert api.get("v3/user/auth/metadata").status_code == 200


def test_writes_have_a_burst_and_a_minute(api: Api) -> None:
    def write() -> int:
        return api.call("POST", "v3/compat/shipping-options", json={"shipping_method_ids": [8]}).status_code

    assert [write() for _ in range(16)] == [200] * 15 + [429]
    for _ in range(5):
        api.control("clock", advance=1)
        assert [write() for _ in range(15)] == [200] * 15
    api.control("clock", advance=1)
    assert [write() for _ in range(11)] == [200] * 10 + [429]


def test_429_comes_with_and_without_a_body(api: Api) -> None:
    api.control("settings", reads_per_minute=1)
    api.get("v3/orders")
    answers = [api.get("v3/orders") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert [bool(answer.content) for answer in answers] == [False, True]
    assert "retry-after" not in answers[0].headers


# -- keys -----------------------------------------------------------------------------------------------------------------------


def test_oauth_tokens_work_until_they_expire(api: Api) -> None:
    granted = api.send("POST", "/oauth2/token", auth=MAIN, data={"grant_type": "client_credentials"}).json()
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}
    assert api.get("v3/user/auth/metadata", auth=None, headers=bearer).json()["data"] == {"user_id": 501, "integration_id": 7001}
    api.control("clock", advance=granted["expires_in"])
    assert api.get("v3/user/auth/metadata", auth=None, headers=bearer).status_code == 401


def test_an_account_can_be_oauth_only(api: Api) -> None:
    api.control("settings", oauth_only=True)
    assert api.get("v3/orders").status_code == 401


@pytest.mark.parametrize("path", ["v3/orders", "v2/parcels"])
def test_no_key_no_answer(api: Api, path: str) -> None:
    answer = api.get(path, auth=None)
    assert answer.status_code == 401
    assert "credentials were not provided" in answer.text


# -- orders ---------------------------------------------------------------------------------------------------------------------


def test_the_same_seed_and_day_make_the_same_world() -> None:
    assert Api().truth() == Api().truth()
    assert Api(seed=2).truth() != Api().truth()


@pytest.mark.parametrize("sort", ["-pk", "order_updated_at", "-order_created_at", "integration", "-order_number"])
def test_every_sort_lists_every_order_once(api: Api, sort: str) -> None:
    found = api.all_orders(sort=sort, page_size=7)
    assert sorted(order["id"] for order in found) == sorted(api.truth())


def test_unknown_filters_and_sorts_are_ignored(api: Api) -> None:
    found = api.all_orders(sort="nonsense", created_at__gte="2030-01-01", page_size=200)
    assert [int(order["id"]) for order in found] == sorted((int(key) for key in api.truth()), reverse=True)


def test_filters_are_exact_and_blind_to_case(api: Api) -> None:
    order = api.truth()["750000003"]
    for name, value in (("order_number", order["order_number"]), ("order_id", order["order_id"])):
        assert [one["id"] for one in api.all_orders(**{name: value.lower()})] == ["750000003"]
    status = api.all_orders(status="FULFILLED")
    assert {one["order_details"]["status"]["code"] for one in status} == {"fulfilled"}


def test_orders_without_a_change_time_escape_the_date_filter(api: Api) -> None:
    found = {order["id"] for order in api.all_orders(order_updated_at_min="2020-01-01")}
    missing = {key for key, order in api.truth().items() if "order_updated_at" not in order["order_details"]}
    assert missing
    assert found == set(api.truth()) - missing


def test_an_order_is_stored_a_moment_after_it_was_accepted(api: Api) -> None:
    order = {**api.truth()["750000000"], "order_id": "7001-fresh"}
    order.pop("id")
    accepted = api.call("POST", "v3/orders", json=[order])
    assert accepted.status_code == 201
    path = f"v3/orders/{accepted.json()['data'][0]['id']}"
    assert api.get(path).status_code == 404
    again = api.call("POST", "v3/orders", json=[order])
    assert again.json()["errors"][0]["source"] == {"pointer": "/data"}
    api.control("clock", advance=1)
    assert api.get(path).json()["data"]["order_id"] == "7001-fresh"


def test_one_bad_order_refuses_all(api: Api) -> None:
    good = {**api.truth()["750000000"], "order_number": "CHANGED"}
    bad = {
        **good,
        "order_id": "other",
        "order_details": {**good["order_details"], "order_items": [{"name": "x", "quantity": 0, "total_price": {}}]},
    }
    answer = api.call("POST", "v3/orders", json=[good, {**bad, "id": None}])
    assert answer.status_code == 400
    bad.pop("id")
    answer = api.call("POST", "v3/orders", json=[good, bad])
    assert answer.json()["errors"][0]["source"]["pointer"] == "/data/attributes/[1]/order_details/order_items/0/quantity"
    api.control("clock", advance=1)
    assert api.truth()["750000000"]["order_number"] != "CHANGED"


def test_touching_an_order_moves_nothing_but_sendclouds_own_time(api: Api) -> None:
    before = api.truth()["750000000"]
    api.control("orders", kind="touch", order=750000000)
    after = api.truth()["750000000"]
    assert after["modified_at"] > before["modified_at"]
    assert after["order_details"].get("order_updated_at") == before["order_details"].get("order_updated_at")


def test_every_order_has_parcels_that_say_the_same(api: Api) -> None:
    api.control("mutate", operations=200, seed=5)
    parcels = api.truth("parcels").values()
    numbers = {order["order_number"] for order in api.truth().values()}
    assert numbers <= {parcel["order_number"] for parcel in parcels}
    lines = {parcel["external_order_id"]: parcel["parcel_items"] for parcel in parcels if parcel["status"]["id"] == 999}
    for order in api.truth().values():
        if order["order_id"] in lines:
            assert len(lines[order["order_id"]]) == len(order["order_details"]["order_items"])


@pytest.mark.parametrize("kind", BREAKAGES)
def test_a_broken_record_is_broken_until_healed(api: Api, kind: str) -> None:
    record = (
        ("v2/parcels/380000000", {"parcel": 380000000})
        if kind.startswith("parcel")
        else ("v3/orders/750000000", {"order": 750000000})
    )
    whole = api.get(record[0]).content
    api.control("break", kind=kind, **record[1])
    assert api.get(record[0]).content != whole
    api.control("break", "DELETE")
    assert api.get(record[0]).content == whole


def test_a_world_can_be_all_open_orders(api: Api) -> None:
    api.control("world", orders=200, shipped_percent=0)
    codes = {order["order_details"]["status"]["code"] for order in api.truth().values()}
    assert "fulfilled" not in codes
    assert {parcel["status"]["id"] for parcel in api.truth("parcels").values()} == {999}


def test_a_million_orders_are_served_without_being_made_first() -> None:
    api = Api(orders=1_000_000)
    newest = api.get("v3/orders", params={"page_size": 2}).json()["data"]
    assert [order["id"] for order in newest] == ["750999999", "750999998"]


# -- cursors --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pages_cover_an_index_despite_equal_values(size: int, descending: bool) -> None:
    entries = [(value // 4, value) for value in range(21)]
    forwards, cursor = [], Cursor()
    while True:
        found = page(Index(list(entries)), descending=descending, cursor=cursor, size=size, wanted=lambda _: True)
        forwards.append(found.keys)
        if found.next is None:
            break
        cursor = Cursor.decode(found.next.encode())
    assert [key for keys in forwards for key in keys] == [key for _, key in sorted(entries, reverse=descending)]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pages_lead_back_to_the_first(size: int) -> None:
    index = Index([(value, value) for value in range(21)])
    found = page(index, descending=True, cursor=Cursor(position="3"), size=size, wanted=lambda _: True)
    keys = list(found.keys)
    while found.previous is not None:
        found = page(index, descending=True, cursor=Cursor.decode(found.previous.encode()), size=size, wanted=lambda _: True)
        keys = found.keys + keys
    assert keys == list(range(20, 20 - len(keys), -1))


def test_cursors_look_as_documented() -> None:
    assert Cursor(position="123").encode() == "cD0xMjM="
    assert Cursor(reverse=True, position="300").encode() == "cj0xJnA9MzAw"


# -- shipments ------------------------------------------------------------------------------------------------------------------

REQUEST: dict[str, Any] = {
    "to_address": {
        "name": "Ada Example",
        "address_line_1": "Rue",
        "postal_code": "75999",
        "city": "Exempleville",
        "country_code": "FR",
    },
    "from_address": {"sender_address_id": 92001},
    "ship_with": {"type": "shipping_option_code", "properties": {"shipping_option_code": "colissimo:home", "contract_id": 518}},
    "parcels": [{"weight": {"value": "0.500", "unit": "kg"}}],
}


def announce(api: Api, path: str = "v3/shipments/announce", **more: Any) -> httpx.Response:
    return api.call("POST", path, json={**REQUEST, **more})


def open_order(api: Api) -> dict[str, Any]:
    return next(order for order in api.truth().values() if order["order_details"]["status"]["code"] == "unfulfilled")


def test_an_announced_order_has_one_shipment_and_no_waiting_parcel(api: Api) -> None:
    order = open_order(api)
    shipment = announce(api, order_number=order["order_number"], external_reference_id="a").json()["data"]
    parcels = api.get("v2/parcels", params={"order_number": order["order_number"]}).json()["parcels"]
    assert [parcel["id"] for parcel in parcels] == [shipment["parcels"][0]["id"]]
    assert parcels[0]["external_order_id"] == order["order_id"]
    assert PdfReader(BytesIO(base64.b64decode(shipment["parcels"][0]["label_file"]))).get_num_pages() == 1


def test_a_known_reference_gives_the_existing_shipment(api: Api) -> None:
    first = announce(api, external_reference_id="a")
    second = announce(api, external_reference_id="a")
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["data"]["id"] == first.json()["data"]["id"]


def test_a_lost_answer_leaves_a_shipment_to_be_found(api: Api) -> None:
    api.control("faults", kind="lost_answer", path="POST .*announce")
    with pytest.raises(Exception, match="lost_answer"):
        announce(api, external_reference_id="a")
    found = api.get("v3/shipments", params={"external_reference_id": "a"}).json()["data"]
    assert len(found) == 1


def test_a_carriers_refusal_comes_as_201(api: Api) -> None:
    api.control("settings", failing_carriers=["colissimo"])
    answer = announce(api)
    assert answer.status_code == 201
    assert answer.json()["data"]["errors"][0]["code"] == "parcel_announcement_error"
    assert answer.json()["data"]["parcels"][0]["status"]["code"] == "ANNOUNCEMENT_FAILED"


def test_labels_made_in_the_background_arrive_later(api: Api) -> None:
    shipment = announce(api, "v3/shipments", external_reference_id="a").json()["data"]
    assert shipment["parcels"][0]["status"]["code"] == "ANNOUNCING"
    parcel = shipment["parcels"][0]["id"]
    assert api.get(f"v3/parcels/{parcel}/documents/label").status_code == 404
    api.control("clock", advance=1)
    assert api.get(f"v3/parcels/{parcel}/documents/label").status_code == 200
    assert api.get(f"v3/shipments/{shipment['id']}").json()["data"]["parcels"][0]["tracking_number"]


def test_only_errors_can_come_with_202(api: Api) -> None:
    answer = api.call("POST", "v3/orders/create-labels-async", json={"integration_id": 7001, "orders": [{"order_id": "nobody"}]})
    assert answer.status_code == 202
    assert list(answer.json()) == ["errors"]


def test_shipments_updated_after_an_instant(api: Api) -> None:
    moment = datetime.fromtimestamp(START - 86_400 * 9).astimezone().isoformat()
    found = api.get("v3/shipments", params={"updated_after": moment, "page_size": 100}).json()["data"]
    expected = {
        key
        for key, shipment in api.truth("shipments").items()
        if max(datetime.fromisoformat(parcel["updated_at"]).timestamp() for parcel in shipment["parcels"]) > START - 86_400 * 9
    }
    assert expected
    assert {shipment["id"] for shipment in found} == expected


def test_many_labels_come_as_one_file(api: Api) -> None:
    keys = [key for key, parcel in api.truth("parcels").items() if parcel["label"]][:5]
    answer = api.get("v3/parcel-documents/label", params={"parcels": keys})
    assert PdfReader(BytesIO(answer.content)).get_num_pages() == 5


def test_method_ids_are_volatile(api: Api) -> None:
    before = {one["id"] for one in api.get("v2/shipping_methods").json()["shipping_methods"]}
    api.control("methods")
    assert not before & {one["id"] for one in api.get("v2/shipping_methods").json()["shipping_methods"]}


# -- webhooks -------------------------------------------------------------------------------------------------------------------


@contextmanager
def listening(receive: Callable[[bytes, str | None], None]) -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receive(self.rfile.read(int(self.headers["Content-Length"])), self.headers.get("Sendcloud-Signature"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_webhooks_are_signed_doubled_forged_and_dropped_as_asked(api: Api) -> None:
    received: list[tuple[bytes, str | None]] = []
    with listening(lambda body, signature: received.append((body, signature))) as url:
        report = api.control("webhooks/send", url=url, events=60, duplicates=0.2, forged=0.1, dropped=0.1, seed=3)
    keys = [b"sandbox-secret", b"sandbox-secret-2", b"sandbox-webhook-key", b"sandbox-webhook-key-2"]
    genuine = [
        body for body, signature in received if signature in {hmac.new(key, body, hashlib.sha256).hexdigest() for key in keys}
    ]
    assert len(received) == report["sent"] == 60 + report["duplicated"] + report["forged"] - report["dropped"]
    assert len(received) - len(genuine) == report["forged"] > 0
    last: dict[int, tuple[int, int]] = {}
    for event in map(json.loads, genuine):
        parcel = event["parcel"]
        last[parcel["id"]] = max(last.get(parcel["id"], (0, 0)), (event["timestamp"], parcel["status"]["id"]))
    truth = api.truth("parcels")
    kept = set(last) - set(report["dropped_parcels"])
    assert kept
    assert {key: last[key][1] for key in kept} == {key: truth[str(key)]["status"]["id"] for key in kept}
