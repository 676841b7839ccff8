"""The webhook intake over HTTP, promise by promise: as an ASGI application, and on a connection of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from psycopg import Connection
from psycopg.sql import SQL, Identifier
from starlette.testclient import TestClient

from sync_pipelines.core import dead_letters, intake
from sync_pipelines.core.db import Database
from sync_pipelines.core.partitions import drop_days_before, existing_days
from sync_pipelines.core.queue import claim
from sync_pipelines.core.webhooks import keys_match, signature_matches
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import MAX_BODY, Intake
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.service.process import serving
from sync_pipelines_tests.service.toy_service import ACCOUNTS, QUEUE, WEBHOOKS
from sync_pipelines_tests.waiting import eventually

PATH = "/webhooks/toy/main?key=present-key"


@pytest.fixture(params=["application", "connection"])
def client(database_url: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    service = Intake(opened := Database(database_url, timeout_s=2), WEBHOOKS, ACCOUNTS.get)
    app = service.before(create_app(opened, parts=[service.running]))
    if request.param == "application":
        with TestClient(app) as client:
            yield client
    else:
        with serving(app, service) as url, httpx.Client(base_url=url, trust_env=False) as client:
            yield client


class Counted(Database):
    """Counts the connections it lends."""

    lent = 0

    def connect(self) -> AbstractContextManager[Connection]:
        self.lent += 1
        return super().connect()


def _stored(database: Database) -> list[intake.StoredDelivery]:
    return list(intake.read(database, account="toy/main"))


def test_a_delivery_is_stored_with_its_work_before_it_is_answered(client: httpx.Client, database: Database) -> None:
    body = b'{"event": "e1", "refs": ["A", "B"],  "price": 1.10}'
    before = datetime.now(UTC)
    answer = client.post(PATH, content=body, headers={"content-type": "application/json", "authorization": "Bearer x"})
    assert (answer.status_code, answer.text) == (200, "")
    (stored,) = _stored(database)
    assert (stored.body, stored.event_id) == (body, "e1")
    assert before <= stored.received_at <= datetime.now(UTC)
    assert stored.headers["content-type"] == "application/json"
    assert "authorization" not in stored.headers
    assert [task.key for task in claim(database, QUEUE, "w")] == ["A", "B"]


def test_a_repeat_is_answered_but_not_stored_again(client: httpx.Client, database: Database) -> None:
    for body in ({"event": "e1", "refs": ["A"]}, {"event": "e1", "refs": ["A"], "attempt": 2}):
        assert client.post(PATH, json=body).status_code == 200
    assert len(_stored(database)) == 1
    for _ in range(2):
        assert client.post(PATH, json={"refs": ["B"]}).status_code == 200
    assert [json.loads(one.body)["refs"] for one in _stored(database)] == [["A"], ["B"]]


def test_the_same_words_after_a_while_are_a_new_change(client: httpx.Client, database: Database) -> None:
    client.post(PATH, json={"refs": ["A"]})
    with database.connect() as connection:
        connection.execute("update sync.delivery_identities set expires_at = expires_at - %s", [timedelta(minutes=3)])
    client.post(PATH, json={"refs": ["A"]})
    assert len(_stored(database)) == 2
    assert [task.key for task in claim(database, QUEUE, "w")] == ["A"]


@pytest.mark.parametrize("key", ["present-key", "previous-key"])
def test_both_keys_are_accepted_while_rotating(client: httpx.Client, key: str) -> None:
    assert client.post(f"/webhooks/toy/main?key={key}", json={"refs": []}).status_code == 200
    signature = hmac.new(key.encode(), b'{"refs": [] }', hashlib.sha256).hexdigest()
    answer = client.post("/webhooks/toy-signed/main", content=b'{"refs": [] }', headers={"Toy-Signature": signature})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/webhooks/toy/main?key=wrong", {}, 401),
        ("/webhooks/toy/main", {}, 401),
        ("/webhooks/toy/main?key=", {}, 401),
        ("/webhooks/toy/keyless?key=", {}, 401),
        ("/webhooks/toy-signed/main", {"headers": {"toy-signature": "00" * 32}}, 401),
        ("/webhooks/toy/nobody?key=present-key", {}, 404),
        ("/webhooks/nowhere/main?key=present-key", {}, 404),
        (PATH, {"content": b'{"refs": '}, 400),
        (PATH, {"content": b"\xff\xfe"}, 400),
        (PATH, {"content": b""}, 400),
        (PATH, {"content": b" " * (MAX_BODY + 1)}, 413),
        (PATH, {"content": [b" " * MAX_BODY, b"  "]}, 413),
    ],
)
def test_what_is_refused_is_not_stored(
    client: httpx.Client, database: Database, path: str, options: dict[str, Any], status: int
) -> None:
    answer = client.post(path, **{"content": b'{"refs": ["A"]}', **options})
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert _stored(database) == []


def test_a_body_of_a_megabyte_is_taken(client: httpx.Client) -> None:
    start = b'{"refs": [], "pad": "'
    body = start + b"x" * (MAX_BODY - len(start) - 2) + b'"}'
    assert len(body) == MAX_BODY
    assert client.post(PATH, content=body).status_code == 200


@pytest.mark.parametrize("body", [{"things": 1}, ["refs"], {"refs": ["a\x00b"]}, {"refs": ["A"], "event": "a\x00b"}, {"refs": 5}])
def test_a_genuine_delivery_that_we_cannot_read_is_kept_as_a_dead_letter(
    client: httpx.Client, database: Database, body: Any
) -> None:
    assert client.post(PATH, json=body).status_code == 200
    (stored,) = _stored(database)
    assert json.loads(stored.body) == body
    with database.connect() as connection:
        (letter,) = dead_letters.find(connection, subject="toy/webhooks")
    assert json.loads(letter.payload) == body
    assert "a\x00b" not in letter.error


def test_a_bad_delivery_does_not_spoil_those_committed_with_it(client: httpx.Client, database: Database) -> None:
    bodies = [{"refs": ["a\x00b" if number == 5 else f"r{number}"]} for number in range(12)]
    for body in bodies:
        assert client.post(PATH, json=body).status_code == 200
    assert len(_stored(database)) == 12
    assert len(claim(database, QUEUE, "w")) == 11


def test_while_the_database_is_away_the_vendor_is_told_to_come_again(
    client: httpx.Client, database: Database, postgres_server: TestServer
) -> None:
    assert client.post(PATH, json={"refs": ["A"]}).status_code == 200
    postgres_server.stop()
    answer = client.post(PATH, json={"refs": ["B"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    postgres_server.start()
    assert client.post(PATH, json={"refs": ["C"]}).status_code == 200
    assert [json.loads(one.body)["refs"] for one in _stored(database)] == [["A"], ["C"]]


def test_day_partitions_that_cannot_be_made_at_the_start_are_told_once_and_made_later(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sync_pipelines.service.intake.PREPARE_AGAIN_S", 0.05)

    def days() -> int:
        with database.connect() as connection:
            return len(existing_days(connection, "deliveries"))

    def rename(before: str, after: str) -> None:
        with database.connect() as connection:
            connection.execute(SQL("alter table sync.{} rename to {}").format(Identifier(before), Identifier(after)))

    with database.connect() as connection:
        drop_days_before(connection, "deliveries", date.max)
    rename("deliveries", "elsewhere")
    service = Intake(opened := Counted(database_url), WEBHOOKS, ACCOUNTS.get)
    with TestClient(service.before(create_app(opened, parts=[service.running]))) as client:
        eventually(lambda: opened.lent >= 3)
        assert client.post(PATH, json={"refs": ["A"]}).status_code == 503
        rename("elsewhere", "deliveries")
        eventually(lambda: days() > 0)
        assert client.post(PATH, json={"refs": ["B"]}).status_code == 200
    assert caplog.text.count("the day partitions can not be made") == 1


def test_keys_and_bodies_reach_no_log(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for body in (b'{"refs": ["private"]}', b'{"refs": 5, "name": "private"}', b"private"):
        client.post(PATH, content=body)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [line for line in ours if "present-key" in line or "private" in line]


def test_health_is_answered_beside_the_intake(client: httpx.Client) -> None:
    assert client.get("/readyz").status_code == 200


def test_days_past_their_retention_and_old_identities_are_forgotten(client: httpx.Client, database: Database) -> None:
    client.post(PATH, json={"refs": ["A"]})
    with database.connect() as connection:
        connection.execute("update sync.delivery_identities set expires_at = now() - interval '1 second'")
        assert intake.forget(connection, datetime.now(UTC) + timedelta(days=1)) == 1
        assert connection.execute("select count(*) from sync.delivery_identities").fetchone() == (0,)
    assert _stored(database) == []


def test_no_key_matches_an_account_without_keys() -> None:
    assert not keys_match("", [])
    assert not keys_match(None, [None, ""])
    assert not signature_matches(None, b"", [])
    assert not signature_matches(hmac.new(b"", b"{}", hashlib.sha256).hexdigest(), b"{}", ["", None])


def test_the_documented_signature_of_a_known_key_and_body_matches() -> None:
    known = "1eed4b3d41f4653ac64fd56f1bf1cbfd349e4482cbc11dff7134bd93e5da4b0a"
    assert signature_matches(known.upper(), b'{"key": "value"}', ["secretkey"])
    assert not signature_matches(known, b'{"key":"value"}', ["secretkey"])


def test_a_repeat_within_and_after_a_transaction_is_stored_once(database: Database) -> None:
    delivery = intake.Delivery(account="toy/main", route="/webhooks/toy/{account}", body=b"{}", received_at=datetime.now(UTC))
    with database.transaction() as one:
        assert intake.store(one, [delivery, delivery]) == [True, False]
    with database.transaction() as two:
        assert intake.store(two, [delivery]) == [False]
