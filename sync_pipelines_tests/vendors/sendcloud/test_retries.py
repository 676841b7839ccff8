"""``sendcloud-dlq``: whatever fails at SendCloud is tried again after 5, 10 and 20 minutes, then waits for a person."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync_pipelines.core import dead_letters
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import Letter
from sync_pipelines.core.queue import NewTask, enqueue
from sync_pipelines.core.references import Reference
from sync_pipelines.core.resend import Resent
from sync_pipelines.core.sync import Request
from sync_pipelines.orchestration.retries import queues_of, retry_all
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import Intake
from sync_pipelines.vendors.sendcloud import webhooks
from sync_pipelines.vendors.sendcloud.actions import Labels
from sync_pipelines.vendors.sendcloud.catalogue.outbound import PushTotals, push
from sync_pipelines.vendors.sendcloud.letters import EVENTS, LABELS, PRODUCTS, RETRY_QUEUE
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

FAST = {"writes_per_minute": 100_000, "writes_per_second": 100_000}
WAITS = [timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20)]


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    """A shop of open orders, synced."""
    running = sandbox("sendcloud")
    running.control.post("settings", **FAST, announce_s=0, order_saving_s=0)
    running.control.post("world", orders=12, products=5, shipped_percent=0, history_days=5)
    shop = Shop(database, running)
    labels = {"rules": [{"option": "sendcloud:letter"}], "default_weight_kg": "1"}
    shop.settings = Settings.model_validate({**FAST, "labels": labels})
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=10)))
    return shop


def run(shop: Shop, query: str, *values: Any) -> Any:
    with shop.database.connect() as connection:
        cursor = connection.execute(query, values)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else None


def letters(shop: Shop, *states: str) -> list[Letter]:
    with shop.database.connect() as connection:
        return dead_letters.find(connection, states=states or ("open", "retrying"))


def waits(letter: Letter) -> timedelta:
    assert letter.next_attempt_at is not None
    return timedelta(minutes=round((letter.next_attempt_at - datetime.now(UTC)).total_seconds() / 60))


def retry(shop: Shop) -> Resent:
    """What the schedule's job does once the letters are due."""
    run(shop, "UPDATE sync.dead_letters SET next_attempt_at = now() WHERE state = 'retrying'")
    with shop.client(Lane.RETRY) as client:
        return retry_all(VENDOR, RETRY_QUEUE, shop.context(Lane.RETRY), client, run_id="run-retry")


def make_labels(shop: Shop, *orders: str) -> None:
    for order in orders:
        run(shop, "INSERT INTO sendcloud.label_requests (account, order_number) VALUES (%s, %s)", ACCOUNT, order)
    with shop.client() as client:
        Labels(shop.database, ACCOUNT, client, shop.settings, run_id="run-labels").create()


def write_products(shop: Shop, **options: Any) -> PushTotals:
    with shop.client() as client:
        return push(shop.database, ACCOUNT, client, shop.settings, run_id="run-push", **options)


def an_order(shop: Shop) -> str:
    number: str = run(shop, "SELECT order_number FROM sendcloud.orders WHERE ship_to_country IS NOT NULL ORDER BY 1 LIMIT 1")[0][0]
    return number


def event(parcel: int, **more: Any) -> dict[str, Any]:
    shown = {"id": parcel, "status": {"id": 11, "message": "words"}, "date_created": "01-11-2023 10:00:00", "order_number": "SO-1"}
    label = {"normal_printer": None, "label_printer": None}
    return {"action": "parcel_status_changed", "timestamp": 1_700_000_000_000, "parcel": {**shown, "label": label, **more}}


def test_one_queue_takes_orders_parcels_labels_products_and_webhooks() -> None:
    assert [queue.name for queue in queues_of(VENDOR)] == ["sendcloud-dlq"]
    of_streams = {stream.key for stream in VENDOR.streams if stream.retry_queue == RETRY_QUEUE}
    assert {"sendcloud/orders", "sendcloud/parcels"} <= of_streams
    assert {one.subject for one in VENDOR.retries} == {LABELS, PRODUCTS, EVENTS, "sendcloud/webhooks"}
    assert [route.retry_queue for route in webhooks.WEBHOOKS] == [RETRY_QUEUE]


def test_a_failed_label_is_tried_after_5_10_and_20_minutes_and_then_waits_for_a_person(shop: Shop) -> None:
    shop.sandbox.control.post("settings", failing_carriers=["sendcloud"])
    make_labels(shop, an_order(shop))
    for attempt, wait in enumerate(WAITS):
        (letter,) = letters(shop)
        assert (letter.subject, letter.state, letter.queue, letter.attempts) == (LABELS, "retrying", "sendcloud-dlq", attempt)
        assert waits(letter) == wait
        assert b"connecting to the carrier" in (letter.response or b"")
        assert "carrier" not in letter.error
        retry(shop)
    (letter,) = letters(shop)
    assert (letter.state, letter.attempts) == ("open", 3)
    assert retry(shop) == Resent()


def test_a_failed_label_that_can_be_made_at_last_resolves_its_letter(shop: Shop) -> None:
    shop.sandbox.control.post("settings", failing_carriers=["sendcloud"])
    make_labels(shop, an_order(shop))
    shop.sandbox.control.post("settings", failing_carriers=[])
    assert retry(shop) == Resent(resolved=1)
    assert letters(shop) == []
    assert run(shop, "SELECT state FROM sendcloud.label_requests") == [("done",)]


def test_an_edited_letter_changes_the_label_that_is_asked_for(shop: Shop) -> None:
    number = an_order(shop)
    query = "INSERT INTO sendcloud.label_requests (account, order_number, shipping_option) VALUES (%s, %s, 'no:such')"
    run(shop, query, ACCOUNT, number)
    make_labels(shop)
    (letter,) = letters(shop)
    with shop.database.transaction() as connection:
        wish = json.loads(letter.payload) | {"shipping_option": "sendcloud:letter"}
        dead_letters.edit(connection, letter.id, json.dumps(wish).encode())
    assert retry(shop) == Resent(resolved=1)
    assert run(shop, "SELECT state, chosen_option FROM sendcloud.label_requests") == [("done", "sendcloud:letter")]


def test_an_order_that_refuses_product_data_is_left_to_its_letter(shop: Shop) -> None:
    sku = run(shop, "SELECT sku FROM sendcloud.order_items WHERE sku <> '' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0][0]
    run(shop, "INSERT INTO wms.products (sku, hs_code, updated_at) VALUES (%s, '610910', now())", sku)
    spoil = "UPDATE sendcloud.orders SET raw = jsonb_set(raw, '{order_details,integration,id}', %s::jsonb) WHERE order_id = %s"
    order_id, integration = run(shop, "SELECT order_id, integration_id FROM sendcloud.order_items WHERE sku = %s LIMIT 1", sku)[0]
    run(shop, spoil, "999", order_id)
    assert len(write_products(shop).refused) == 1
    (letter,) = letters(shop)
    assert (letter.subject, letter.state, letter.queue) == (PRODUCTS, "retrying", "sendcloud-dlq")
    assert write_products(shop).calls == 0
    assert retry(shop) == Resent(retrying=1)
    run(shop, spoil, str(integration), order_id)
    assert retry(shop) == Resent(resolved=1)
    assert letters(shop) == []
    written = {order_id for (order_id,) in run(shop, "SELECT DISTINCT order_id FROM sendcloud.product_writes")}
    assert order_id in written


def test_a_refused_order_is_written_again_once_the_master_data_changed(shop: Shop) -> None:
    sku = run(shop, "SELECT sku FROM sendcloud.order_items WHERE sku <> '' LIMIT 1")[0][0]
    run(shop, "INSERT INTO wms.products (sku, hs_code, updated_at) VALUES (%s, '610910', now())", sku)
    shop.sandbox.control.faults(
        {"kind": "status", "status": 400, "body": '{"errors": []}', "path": "POST .*/v3/orders", "times": None}
    )
    refused = write_products(shop).refused
    assert refused
    shop.sandbox.control.clear_faults()
    assert write_products(shop).changed == 0
    run(shop, "UPDATE wms.products SET hs_code = '420292', updated_at = now()")
    assert write_products(shop).changed == len(refused)
    assert letters(shop) == []


def test_an_event_the_database_refuses_stands_alone_and_the_others_are_stored(shop: Shop) -> None:
    wrong = 2**70
    with shop.database.transaction() as connection:
        tasks = [NewTask(account=ACCOUNT, key=f"parcel/{key}", payload=event(key)) for key in (1, wrong, 2)]
        enqueue(connection, webhooks.QUEUE, tasks)
    assert webhooks.drain(shop.database, {ACCOUNT: shop.settings}, run_id="run-drain") == 3
    assert run(shop, "SELECT parcel_id FROM sendcloud.parcels WHERE source = 'webhook' ORDER BY 1") == [(1,), (2,)]
    (letter,) = letters(shop)
    assert (letter.subject, letter.key, letter.state) == (EVENTS, f"parcel/{wrong}", "retrying")
    assert retry(shop) == Resent(retrying=1)
    with shop.database.transaction() as connection:
        dead_letters.edit(connection, letter.id, json.dumps(event(3)).encode())
    assert retry(shop) == Resent(resolved=1)
    assert run(shop, "SELECT count(*) FROM sendcloud.parcels WHERE parcel_id = 3") == [(1,)]


def test_a_webhook_that_cannot_be_read_is_tried_again_too(shop: Shop, database_url: str) -> None:
    settings = shop.settings.model_copy(update={"webhook_keys": [Reference("fixture-key")]})
    service = Intake(opened := Database(database_url), webhooks.WEBHOOKS, {ACCOUNT: settings}.get)
    sent = json.dumps(event(7)).replace('"id": 7', '"id": "seven"').encode()
    signature = hmac.new(b"fixture-key", sent, hashlib.sha256).hexdigest()
    with TestClient(service.before(create_app(opened, parts=[service.running]))) as client:
        answer = client.post("/webhooks/sendcloud/main", content=sent, headers={"Sendcloud-Signature": signature})
    assert answer.status_code == 200
    (letter,) = letters(shop)
    assert (letter.subject, letter.queue, waits(letter)) == ("sendcloud/webhooks", "sendcloud-dlq", WAITS[0])
    assert retry(shop) == Resent(retrying=1)
