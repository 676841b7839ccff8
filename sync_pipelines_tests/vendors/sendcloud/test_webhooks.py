"""Webhooks: genuine ones become rows in any order, forged ones nothing, lost ones come by polling."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ContractError, DataError
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.queue import enqueue
from sync_pipelines.core.references import Reference
from sync_pipelines.core.stream import WriteContext
from sync_pipelines.core.sync import Request
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import Intake
from sync_pipelines.vendors.sendcloud import webhooks
from sync_pipelines.vendors.sendcloud.streams import parcels
from sync_pipelines.vendors.sendcloud.vocabulary import v2_code
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop
from sync_pipelines_tests.waiting import eventually

KEYS = ["sandbox-secret", "sandbox-webhook-key", "sandbox-webhook-key-2"]


class Receiver:
    """Keeps genuine bodies, counts the others."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.refused = 0
        routes = [
            Route("/hooks", self.take, methods=["POST"]),
            Route("/_control/health", self.health),
        ]
        self.running = RunningSandbox("receiver", Starlette(routes=routes))

    async def take(self, request: HttpRequest) -> Response:
        body = await request.body()
        if not webhooks.is_genuine(body, dict(request.headers), KEYS):
            self.refused += 1
            return Response(status_code=401)
        self.bodies.append(body)
        return Response(status_code=200)

    async def health(self, _: HttpRequest) -> Response:
        return JSONResponse({"ready": True})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.running.stop()


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    return Shop(database, sandbox("sendcloud"))


def store(shop: Shop, *bodies: bytes) -> webhooks.Stored:
    context = WriteContext(ACCOUNT, "run-hook", datetime.now(UTC), shop.settings)
    with shop.database.transaction() as connection:
        return webhooks.store(connection, context, bodies)


def campaign(shop: Shop, receiver: Receiver, **options: Any) -> dict[str, Any]:
    report: dict[str, Any] = shop.sandbox.control.post("webhooks/send", url=f"{receiver.running.base_url}/hooks", **options)
    return report


def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    with shop.database.connect() as connection:
        return connection.execute(query).fetchall()


def true_states(shop: Shop) -> dict[int, str]:
    truth = shop.sandbox.control.truth(streams="parcels")["parcels"]
    return {int(key): v2_code(parcel["status"]["id"]) for key, parcel in truth.items()}


def body(parcel: int = 5, status: int = 11, at: int = 1_700_000_000_000, **more: Any) -> bytes:
    shown = {
        "id": parcel,
        "status": {"id": status, "message": "words"},
        "date_created": "01-11-2023 10:00:00",
        "order_number": "SO-1",
        "label": {"normal_printer": None, "label_printer": None},
        **more,
    }
    return json.dumps({"action": "parcel_status_changed", "timestamp": at, "parcel": shown}).encode()


def test_the_vendor_s_test_vector_is_genuine_under_either_key() -> None:
    sent, signature = b'{"key": "value"}', "1eed4b3d41f4653ac64fd56f1bf1cbfd349e4482cbc11dff7134bd93e5da4b0a"
    headers = {"sendcloud-signature": signature}
    assert webhooks.is_genuine(sent, headers, ["secretkey", "other"])
    assert webhooks.is_genuine(sent, headers, ["other", "secretkey"])
    assert not webhooks.is_genuine(sent + b" ", headers, ["secretkey"])
    assert not webhooks.is_genuine(sent, headers, ["other", ""])
    assert not webhooks.is_genuine(sent, {}, ["secretkey"])


def test_a_subscription_authenticates_by_bearer_token_unless_it_is_signed_wrongly() -> None:
    assert webhooks.is_genuine(b"{}", {"authorization": "Bearer secretkey"}, ["secretkey"])
    assert not webhooks.is_genuine(b"{}", {"authorization": "Bearer other"}, ["secretkey"])
    assert not webhooks.is_genuine(b"{}", {"authorization": "Bearer secretkey", "sendcloud-signature": "0" * 64}, ["secretkey"])


def test_an_older_event_is_kept_as_event_but_never_replaces_the_newer_state(shop: Shop) -> None:
    store(shop, body(status=11, at=1_700_000_002_000))
    late = store(shop, body(status=91, at=1_700_000_001_000), body(status=11, at=1_700_000_002_000))
    assert (late.stale, late.events) == (0, 1) or late.stale <= 1
    assert rows(shop, "SELECT status_code, source FROM sendcloud.parcels") == [("DELIVERED", "webhook")]
    events = rows(shop, "SELECT status_code FROM sendcloud.tracking_events ORDER BY event_at")
    assert events == [("PARCEL_EN_ROUTE",), ("DELIVERED",)]


def test_what_an_event_does_not_say_stays_as_it_is(shop: Shop) -> None:
    store(
        shop,
        body(
            status=1,
            at=1_700_000_000_000,
            tracking_url="https://track.example.com/1",
            label={"label_printer": "https://l.example.com"},
        ),
    )
    store(shop, body(status=11, at=1_700_000_005_000))
    assert rows(shop, "SELECT status_code, tracking_url, label_url FROM sendcloud.parcels") == [
        ("DELIVERED", "https://track.example.com/1", "https://l.example.com")
    ]


def test_other_events_are_ignored_and_unreadable_ones_named(shop: Shop) -> None:
    broken = body(status=11).replace(b'"status"', b'"statut"')
    stored = store(shop, b'{"action": "test_webhook", "timestamp": 1}', b"not json", broken, body())
    assert (stored.parcels, stored.ignored, [position for position, _ in stored.broken]) == (1, 1, [1, 2])
    assert all("SO-1" not in words for _, words in stored.broken)


def test_shuffled_repeated_forged_and_lost_webhooks_end_in_the_truth_after_a_poll(shop: Shop, receiver: Receiver) -> None:
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=60)))
    report = campaign(shop, receiver, events=300, duplicates=0.3, forged=0.01, dropped=0.05, shuffle=True, others=True, seed=3)
    assert receiver.refused == report["forged"] > 0
    chance = random.Random(5)
    chance.shuffle(receiver.bodies)
    for start in range(0, len(receiver.bodies), 37):
        assert store(shop, *receiver.bodies[start : start + 37]).broken == []
    assert rows(shop, "SELECT count(*) FROM sendcloud.parcels WHERE status_code = 'V2_66666'") == [(0,)]
    shop.sync(parcels, Request(start=datetime.now(UTC) - timedelta(days=60)))
    states, truth = dict(rows(shop, "SELECT parcel_id, status_code FROM sendcloud.parcels")), true_states(shop)
    labelled = {key for key, state in truth.items() if state not in {"NO_LABEL", "V2_1337"}}
    assert {key: states.get(key) for key in labelled} == {key: truth[key] for key in labelled}


def test_an_order_follows_its_parcel_s_newest_webhook(shop: Shop, receiver: Receiver) -> None:
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=60)))
    campaign(shop, receiver, events=60, shuffle=True, seed=9)
    for sent in receiver.bodies:
        store(shop, sent)
    wrong = rows(
        shop,
        "SELECT o.order_number FROM sendcloud.orders o WHERE o.parcel_version IS DISTINCT FROM (SELECT max(p.version) FROM"
        " sendcloud.parcels p WHERE p.order_id = o.order_id AND p.order_number = o.order_number AND p.is_return IS NOT TRUE)"
        " AND EXISTS (SELECT FROM sendcloud.parcels p WHERE p.order_id = o.order_id AND p.source = 'webhook')",
    )
    assert wrong == []


def test_subscription_events_move_the_parcel_and_are_kept(shop: Shop, receiver: Receiver) -> None:
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=60)))
    shop.sync(parcels, Request(start=datetime.now(UTC) - timedelta(days=60)))
    campaign(
        shop, receiver, events=40, style="subscription", headers={"Authorization": "Bearer sandbox-secret"}, duplicates=0, seed=4
    )
    assert len(receiver.bodies) == 40
    stored = store(shop, *receiver.bodies)
    assert stored.broken == []
    assert stored.events > 0
    assert rows(shop, "SELECT count(*) FROM sendcloud.parcels WHERE source = 'webhook' AND order_number IS NULL")[0][0] <= 40


def test_queued_events_are_stored_by_a_drain_and_leave_the_queue(shop: Shop) -> None:
    tasks = [
        task
        for sent in (body(status=1, at=1_700_000_000_000), body(status=11, at=1_700_000_009_000))
        for task in queued(shop, sent)
    ]
    with shop.database.transaction() as connection:
        enqueue(connection, webhooks.QUEUE, [task for _, task in tasks])
    assert webhooks.drain(shop.database, {ACCOUNT: shop.settings}, run_id="run-drain") == 2
    assert webhooks.drain(shop.database, {ACCOUNT: shop.settings}, run_id="run-drain") == 0
    assert rows(shop, "SELECT status_code FROM sendcloud.parcels") == [("DELIVERED",)]
    assert list(queued(shop, b'{"action": "test_webhook"}')) == []


@pytest.mark.parametrize("nameless", [b'{"action": "parcel_status_changed"}', body().replace(b'"id": 5', b'"id": "five"'), b"[]"])
def test_an_event_that_names_no_parcel_is_no_work(shop: Shop, nameless: bytes) -> None:
    with pytest.raises((DataError, ContractError)):
        queued(shop, nameless)


def test_an_unreadable_event_is_a_letter_of_its_parcel_and_its_neighbours_are_stored(shop: Shop) -> None:
    broken = body(parcel=6, status=11).replace(b'"status"', b'"statut"')
    sent = (body(), broken, body(parcel=6, status=1, at=1_700_000_001_000))
    with shop.database.transaction() as connection:
        enqueue(connection, webhooks.QUEUE, [task for one in sent for _, task in queued(shop, one)])
    webhooks.drain(shop.database, {ACCOUNT: shop.settings}, run_id="run-drain")
    assert rows(shop, "SELECT parcel_id, status_code FROM sendcloud.parcels ORDER BY 1") == [(5, "DELIVERED"), (6, "ANNOUNCED")]
    assert rows(shop, "SELECT subject, key FROM sync.dead_letters") == [("sendcloud-webhooks", "parcel/6")]
    assert rows(shop, "SELECT count(*) FROM sync.tasks") == [(0,)]


def queued(shop: Shop, sent: bytes) -> list[Any]:
    return webhooks.tasks_of(ACCOUNT, shop.settings, decode_json(sent))


def test_the_service_stores_a_parcel_event_by_itself_right_after_its_answer(shop: Shop, database_url: str) -> None:
    settings = shop.settings.model_copy(update={"webhook_keys": [Reference("fixture-key")]})
    service = Intake(opened := Database(database_url), webhooks.WEBHOOKS, {ACCOUNT: settings}.get)
    with TestClient(service.before(create_app(opened, parts=[service.running]))) as client:
        for status, at in ((11, 1_700_000_009_000), (1, 1_700_000_000_000)):
            sent = body(status=status, at=at)
            signature = hmac.new(b"fixture-key", sent, hashlib.sha256).hexdigest()
            assert client.post("/webhooks/sendcloud/main", content=sent, headers={"Sendcloud-Signature": signature}).is_success
        eventually(lambda: rows(shop, "SELECT count(*) FROM sendcloud.tracking_events") == [(2,)])
    assert rows(shop, "SELECT status_code, run_id FROM sendcloud.parcels") == [("DELIVERED", "service")]
    assert rows(shop, "SELECT count(*) FROM sync.tasks") == [(0,)]
