"""The HTTP client on a scripted network, with clock, sleep and chance in the test's hand."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from sync_pipelines.core.answers import Response, path_template, retry_after_s
from sync_pipelines.core.budget import BucketSpec, Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import (
    AuthError,
    ContractError,
    DataError,
    Throttled,
    TransientError,
    UnclearOutcome,
)
from sync_pipelines.core.http import HeaderKey, HttpClient

ACCOUNT = "toy/main"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HTML = httpx.Response(503, text="<!DOCTYPE html><h1>503</h1>", headers={"content-type": "text/html"})
OK = httpx.Response(200, json={})

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class World:
    """A network that answers by script (the last answer repeats), and a clock that moves when the client sleeps."""

    def __init__(self, *script: Answer) -> None:
        self.script, self.requests, self.slept, self.time = list(script), [], [], 0.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, stream=Chunks(answer.content))
        return answer(request)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def client(self, **options) -> HttpClient:
        defaults = {
            "account": ACCOUNT,
            "base_url": "https://toy.example/api",
            "transport": httpx.MockTransport(self.answer),
            "sleep": self.sleep,
            "monotonic": lambda: self.time,
            "now": lambda: NOW + timedelta(seconds=self.time),
            "chance": lambda: 0.5,
        }
        return HttpClient(**defaults | options)


class Chunks(httpx.SyncByteStream):
    """A body in pieces; ``between`` runs before each piece."""

    def __init__(self, body: bytes, *, size: int = 1000, between: Callable[[], None] = lambda: None) -> None:
        self._body, self._size, self._between = body, size, between

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), self._size):
            self._between()
            yield self._body[start : start + self._size]


# -- the plain way ----------------------------------------------------------------------------------------------------------


def test_money_comes_as_exact_decimals():
    response = World(httpx.Response(200, content=b'{"total": 19.90}')).client().request("GET", "/orders")
    assert response.json() == {"total": Decimal("19.90")}
    assert str(response.json()["total"]) == "19.90"


def test_money_is_sent_as_exact_decimals():
    world = World(OK)
    world.client().request("POST", "/orders", json={"total": Decimal("19.90")})
    assert world.requests[0].content == b'{"total":19.90}'
    assert world.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/v3/orders", "https://toy.example/api/v3/orders?page=2"),
        ("v3/orders?sort=asc", "https://toy.example/api/v3/orders?sort=asc&page=2"),
        ("https://toy.example/elsewhere?cursor=abc", "https://toy.example/elsewhere?cursor=abc&page=2"),
    ],
)
def test_paths_and_next_links_reach_the_vendor(path, address):
    world = World(OK)
    assert world.client().request("GET", path, params={"page": 2}).url == address


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/orders",
        "http://toy.example/orders",
        "//evil.example/x",
        "https://toy.example@evil.example/",
        "https://toy.example:8443/orders",
    ],
)
def test_an_address_on_another_host_is_never_called(path):
    world = World(OK)
    with pytest.raises(ContractError, match="another host"):
        world.client().request("GET", path)
    assert not world.requests


def test_a_header_key_is_sent_and_never_shown():
    world = World(OK)
    client = world.client(auth=HeaderKey("X-Key", "invented"), headers={"X-Tenant": "invented-too"})
    client.request("GET", "/a")
    assert world.requests[0].headers["x-key"] == "invented"
    assert "invented" not in repr(client) + repr(client.request("GET", "/a"))


# -- the error tree ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, DataError),
        (401, AuthError),
        (403, AuthError),
        (404, DataError),
        (409, DataError),
        (422, DataError),
        (304, ContractError),
    ],
)
def test_a_status_that_will_not_change_is_raised_at_once(status, error):
    world = World(httpx.Response(status, json={"why": "invented"}))
    with pytest.raises(error) as caught:
        world.client().request("GET", "/orders/77")
    assert (caught.value.status, caught.value.account, len(world.requests)) == (status, ACCOUNT, 1)
    assert caught.value.body == b'{"why":"invented"}'
    assert "invented" not in str(caught.value)


def test_an_expected_status_is_an_answer():
    assert World(httpx.Response(404, json={})).client().request("GET", "/orders/77", expect=[404]).status == 404


@pytest.mark.parametrize(
    "failure",
    [
        HTML,
        httpx.Response(500),
        httpx.Response(408),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("cut"),
        httpx.ReadError("reset"),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again_with_full_jitter(failure):
    world = World(failure, failure, failure, OK)
    assert world.client().request("GET", "/orders").status == 200
    assert world.slept == [0.5, 1.0, 2.0]


def test_a_lasting_failure_is_raised_after_all_attempts():
    world = World(HTML)
    with pytest.raises(TransientError) as caught:
        world.client().request("GET", "/orders")
    assert (len(world.requests), caught.value.status, type(caught.value)) == (4, 503, TransientError)


@pytest.mark.parametrize("body", [b"<html>login</html>", b'{"data": [oops', b'{"data": [1', b""])
def test_a_success_that_is_not_json_is_tried_again_and_then_a_broken_contract(body):
    world = World(httpx.Response(200, content=body), OK)
    assert world.client().request("GET", "/orders").json() == {}
    world = World(httpx.Response(200, content=body))
    with pytest.raises(ContractError) as caught:
        world.client().request("GET", "/orders")
    assert (len(world.requests), caught.value.body) == (4, body)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_some_successes_may_be_empty(status):
    assert World(httpx.Response(status)).client().request("POST", "/orders").body == b""


def test_a_document_that_is_not_json_can_be_asked_for():
    answer = httpx.Response(200, content=b"%PDF-1.7", headers={"content-type": "application/pdf"})
    assert World(answer).client().request("GET", "/label", answer="any").body == b"%PDF-1.7"


def test_a_vendor_may_read_an_error_out_of_a_success():
    def classify(response: Response):
        if "error" in response.json():
            return DataError("the vendor says so", account=ACCOUNT, status=response.status)
        return None

    with pytest.raises(DataError, match="says so"):
        World(httpx.Response(200, json={"error": 7})).client(classify=classify).request("GET", "/a")


@pytest.mark.parametrize("page", [HTML, httpx.Response(200, text="<html>")], ids=repr)
def test_a_page_that_the_vendors_reading_cannot_parse_is_tried_again(page):
    def classify(response: Response):
        return DataError("no", account=ACCOUNT) if response.json().get("error") else None

    assert World(page, OK).client(classify=classify).request("GET", "/a").status == 200


def test_a_vendor_may_call_a_400_passing():
    def classify(response: Response):
        return TransientError("sometimes", account=ACCOUNT) if response.status == 400 else None

    assert World(httpx.Response(400), OK).client(classify=classify).request("GET", "/a").status == 200


# -- bounds -----------------------------------------------------------------------------------------------------------------


def test_a_body_too_large_is_cut_off():
    with pytest.raises(ContractError, match="more than 5000 bytes"):
        World(httpx.Response(200, content=b" " * 6000)).client(max_body=5000).request("GET", "/a")


def test_a_small_answer_that_unpacks_too_large_is_cut_off():
    bomb = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks(gzip.compress(b" " * 10_000_000)))
    with pytest.raises(ContractError, match="more than 100000 bytes"):
        World(lambda _: bomb).client(max_body=100_000).request("GET", "/a")


def test_a_body_that_drips_ends_with_the_deadline():
    world = World(OK)

    def drip(_: httpx.Request) -> httpx.Response:
        def pass_time() -> None:
            world.time += 1

        return httpx.Response(200, stream=Chunks(b"x" * 1000, size=1, between=pass_time))

    world.script = [drip]
    with pytest.raises(TransientError, match="took longer than 10 s"):
        world.client(timeout_s=10, attempts=1).request("GET", "/a")
    assert world.time == 11


def test_a_connection_lost_in_the_body_is_tried_again():
    def cut(_: httpx.Request) -> httpx.Response:
        def fail() -> None:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

        return httpx.Response(200, stream=Chunks(b"{}", between=fail))

    assert World(cut, OK).client().request("GET", "/a").status == 200


# -- redirects --------------------------------------------------------------------------------------------------------------


def test_a_redirect_on_the_same_host_is_followed():
    world = World(httpx.Response(301, headers={"location": "/api/new/"}), OK)
    assert world.client().request("GET", "/old").url == "https://toy.example/api/new/"


@pytest.mark.parametrize("location", ["https://evil.example/", "http://toy.example/api", "//evil.example/"])
def test_a_redirect_to_another_host_is_refused(location):
    world = World(httpx.Response(302, headers={"location": location}))
    with pytest.raises(ContractError, match="another host"):
        world.client().request("GET", "/old")
    assert len(world.requests) == 1


def test_a_redirected_post_is_refused():
    with pytest.raises(ContractError, match="redirects a POST"):
        World(httpx.Response(302, headers={"location": "/api/new"})).client().request("POST", "/old")


def test_redirects_in_a_circle_end():
    with pytest.raises(ContractError, match="without end"):
        World(httpx.Response(302, headers={"location": "/api/old"})).client().request("GET", "/old")


# -- side effects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [HTML, httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), httpx.Response(200, content=b'{"id": ')],
    ids=repr,
)
def test_a_side_effect_without_a_clear_answer_is_never_repeated(failure):
    world = World(failure, OK)
    with pytest.raises(UnclearOutcome, match="may or may not"):
        world.client().request("POST", "/labels", side_effect=True)
    assert len(world.requests) == 1


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.Response(429)], ids=repr)
def test_a_side_effect_that_certainly_did_not_happen_is_repeated(failure):
    assert World(failure, OK).client().request("POST", "/labels", side_effect=True).status == 200


# -- throttling -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 2.5),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 2.5),
        ({"retry-after": "-3"}, 2.5),
        ({"retry-after": "999999999"}, 2.5),
        ({"retry-after": "soon"}, 2.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:09 GMT"}, 9),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 2.5),
        ({"retry-after": "Sun, 01 Mar 2026 15:00:05 GMT", "date": "Sun, 01 Mar 2026 15:00:00 GMT"}, 5),
    ],
)
def test_a_429_waits_as_asked_or_backs_off(headers, seconds):
    world = World(httpx.Response(429, headers=headers), OK)
    client = world.client()
    client.request("GET", "/a")
    assert world.slept == [pytest.approx(seconds)]
    assert (client.stats.throttled, client.stats.api_calls, client.stats.waited_s) == (1, 2, pytest.approx(seconds))


def test_after_three_quick_repetitions_the_run_ends():
    world = World(httpx.Response(429))
    with pytest.raises(Throttled) as caught:
        world.client().request("GET", "/a")
    assert world.slept == [pytest.approx(2.5), pytest.approx(5), pytest.approx(10)]
    assert caught.value.retry_at - (NOW + timedelta(seconds=world.time)) == timedelta(seconds=20)


def test_a_long_pause_ends_the_run_at_once():
    world = World(httpx.Response(429, headers={"retry-after": "1800"}))
    with pytest.raises(Throttled) as caught:
        world.client().request("GET", "/a")
    assert (world.slept, caught.value.retry_at) == ([], NOW + timedelta(minutes=30))


def test_a_vendor_that_throttles_within_a_success_is_obeyed():
    def classify(response: Response):
        banned = response.json().get("banned")
        return Throttled("banned", account=ACCOUNT, retry_at=NOW + timedelta(seconds=banned)) if banned else None

    world = World(httpx.Response(200, json={"banned": 3}), OK)
    world.client(classify=classify).request("GET", "/a")
    assert world.slept == [3.0]


def test_a_503_with_retry_after_is_awaited():
    world = World(httpx.Response(503, headers={"retry-after": "20"}), OK)
    world.client().request("GET", "/a")
    assert world.slept == [20.0]


def test_calls_keep_the_least_interval():
    world = World(OK)
    client = world.client(min_interval_s=0.5)
    for _ in range(3):
        client.request("GET", "/a")
    assert world.slept == [0.5, 0.5]


# -- with a budget ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def budget(database) -> Callable[..., Budget]:
    def make(lane: Lane = Lane.LIVE, *, burst: float = 5, sleep=lambda _: None) -> Budget:
        return Budget(database, ACCOUNT, lane, [BucketSpec.token("calls", rate=0.001, burst=burst, reserve={})], sleep=sleep)

    return make


def test_every_attempt_takes_a_call_from_the_budget(budget):
    shared = budget()
    client = World(HTML, HTML, OK).client(budget=shared, default_buckets=("calls",))
    client.request("GET", "/a")
    assert shared.state()[0].calls_left == pytest.approx(2, abs=0.01)
    assert shared.state()[0].in_flight == 0


def test_a_repetition_after_a_new_token_takes_a_call_too(budget):
    class Renewing(httpx.Auth):
        def auth_flow(self, request):
            response = yield request
            if response.status_code == 401:
                yield request

    shared = budget()
    World(httpx.Response(401), OK).client(budget=shared, default_buckets=("calls",), auth=Renewing()).request("GET", "/a")
    assert shared.state()[0].calls_left == pytest.approx(3, abs=0.01)


def test_a_429_blocks_the_account_for_everybody(budget):
    other = budget(Lane.BACKFILL)
    world = World(httpx.Response(429, headers={"retry-after": "1800"}))
    with pytest.raises(Throttled):
        world.client(budget=budget(), default_buckets=("calls",)).request("GET", "/a")
    with pytest.raises(Throttled):
        other.acquire("calls")


def test_an_empty_budget_ends_the_run_without_a_call(budget):
    world = World(OK)
    client = world.client(budget=budget(burst=1), default_buckets=("calls",))
    client.request("GET", "/a")
    with pytest.raises(Throttled):
        client.request("GET", "/a")
    assert (len(world.requests), client.stats.throttled) == (1, 0)


def test_the_vendors_headers_correct_the_budget(budget):
    shared = budget()
    World(httpx.Response(200, json={}, headers={"x-left": "1"})).client(
        budget=shared,
        default_buckets=("calls",),
        observe=lambda response, seen: seen.observe("calls", remaining=int(response.headers["x-left"])),
    ).request("GET", "/a")
    assert shared.state()[0].calls_left == pytest.approx(1, abs=0.01)


def test_an_answer_is_not_lost_when_the_database_goes_away_meanwhile(database_url, postgres_server):
    """The label was made; that its call cannot be booked must not hide it."""

    def stop_database(_: httpx.Request) -> httpx.Response:
        postgres_server.stop()
        return httpx.Response(200, json={"label": 1})

    with Database(database_url, timeout_s=1) as database:
        shared = Budget(database, ACCOUNT, Lane.LIVE, [BucketSpec.token("calls", rate=1, burst=5)])
        client = World(stop_database).client(budget=shared, default_buckets=("calls",))
        assert client.request("POST", "/labels", side_effect=True).json() == {"label": 1}


# -- logs -------------------------------------------------------------------------------------------------------------------


def test_every_call_is_logged_without_secrets_or_personal_data(caplog):
    caplog.set_level(logging.DEBUG)
    World(HTML, OK).client(auth=HeaderKey("X-Key", "hush")).request(
        "GET", "/v3/orders/ada@example.org/items", params={"api_key": "hush", "email": "ada@example.org"}
    )
    records = [record for record in caplog.records if record.name == "sync_pipelines.http"]
    assert [(r.account, r.method, r.path, r.status) for r in records] == [
        (ACCOUNT, "GET", "/api/v3/orders/{}/items", 503),
        (ACCOUNT, "GET", "/api/v3/orders/{}/items", 200),
    ]
    assert "hush" not in caplog.text
    assert "ada" not in caplog.text


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/orders/2026-01-01/orders/902-1234567-1234567", "/orders/2026-01-01/orders/{}"),
        ("/rest/catalog/products.json", "/rest/catalog/products.json"),
        ("/graphql/private/", "/graphql/private/"),
        ("/v2/parcels/12", "/v2/parcels/{}"),
    ],
)
def test_paths_are_logged_as_templates(path, template):
    assert path_template(path) == template


def test_an_unreadable_retry_after_is_none():
    assert retry_after_s(httpx.Headers({"retry-after": "Sun, 99 Foo"}), now=NOW) is None
