"""Completion webhooks: signed, retried, given up in the open, and never into a private network."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.references import Reference
from sync_pipelines.vendors.suppliers import completion, health, requests
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines.vendors.suppliers.settings import CompletionWebhook
from sync_pipelines_tests.vendors.suppliers.test_requests import ACCOUNT, Streams

HOOK = CompletionWebhook(url="https://hooks.example.com/sync", secret=Reference("sandbox-hook-secret"))


@pytest.fixture
def ended(database: Database) -> Database:
    requests.request_sync(database, ACCOUNT, Kind.INVENTORY_UPDATE, by="test")
    requests.work_off(database, ACCOUNT, CONNECTOR, Settings(completion_webhook=HOOK), Streams(), run_id="run-1")
    return database


def deliver(
    database: Database, answer: Callable[[httpx.Request], httpx.Response], *, address: str = "93.184.216.34"
) -> dict[int, str]:
    return completion.deliver(
        database, ACCOUNT, HOOK, transport=lambda _: httpx.MockTransport(answer), resolve=lambda host, port: [address]
    )


def test_the_end_of_a_request_is_told_signed(ended: Database) -> None:
    seen: list[httpx.Request] = []
    outcome = deliver(ended, lambda request: seen.append(request) or httpx.Response(204))
    (request,) = seen
    assert list(outcome.values()) == ["delivered"]
    assert json.loads(request.content)["status"] == "completed"
    assert (request.url.host, request.headers["host"]) == ("93.184.216.34", "hooks.example.com")
    timestamp = int(request.headers["x-sync-signature"].split(",")[0].removeprefix("t="))
    assert request.headers["x-sync-signature"] == completion.signature("sandbox-hook-secret", timestamp, request.content)
    assert deliver(ended, lambda _: httpx.Response(500)) == {}


def test_a_failed_delivery_is_retried_and_at_last_given_up(ended: Database) -> None:
    outcomes = []
    for _ in range(len(completion.RETRIES) + 1):
        outcomes += deliver(ended, lambda _: httpx.Response(503)).values()
        with ended.connect() as connection:
            connection.execute("UPDATE suppliers.webhook_deliveries SET next_at = clock_timestamp()")
    assert outcomes == ["retry"] * len(completion.RETRIES) + ["given up"]
    assert deliver(ended, lambda _: httpx.Response(204)) == {}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:192.168.0.1", "100.64.0.1", "0.0.0.0"]
)
def test_private_networks_are_out_of_reach(ended: Database, address: str) -> None:
    def unreachable(_: httpx.Request) -> httpx.Response:
        raise AssertionError("sent")

    assert list(deliver(ended, unreachable, address=address).values()) == ["retry"]
    with ended.connect() as connection:
        assert connection.execute("SELECT error FROM suppliers.webhook_deliveries").fetchone() == (
            "hooks.example.com is inside a private network",
        )


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://user:secret@hooks.example.com/"])
def test_addresses_that_give_secrets_away_are_refused(url: str) -> None:
    with pytest.raises(completion.Forbidden):
        completion.safe_address(httpx.URL(url), lambda host, port: ["93.184.216.34"])


def test_a_redirect_is_not_followed(ended: Database) -> None:
    assert list(deliver(ended, lambda _: httpx.Response(302, headers={"location": "http://127.0.0.1/"})).values()) == ["retry"]


def test_what_can_no_longer_be_told_is_given_up_in_the_open(ended: Database) -> None:
    assert completion.due_accounts(ended) == {ACCOUNT}
    assert completion.abandon(ended, ACCOUNT) == 1
    assert completion.due_accounts(ended) == set()
    assert [concern.about for concern in health.concerns(ended)] == ["webhooks"]
