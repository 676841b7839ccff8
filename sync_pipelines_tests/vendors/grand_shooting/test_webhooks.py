"""Webhooks: who is let in, what they mean, and how they are registered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError, DataError
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.webhooks import Verdict
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import Intake
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import CHANGES
from sync_pipelines.vendors.grand_shooting.registration import register_webhooks
from sync_pipelines.vendors.grand_shooting.settings import Settings
from sync_pipelines.vendors.grand_shooting.vendor import connect
from sync_pipelines.vendors.grand_shooting.webhooks import WEBHOOKS, to_tasks, verify
from sync_pipelines_tests.vendors.grand_shooting.worlds import MAIN

SETTINGS = Settings(
    account_id=12, webhook_key="new-key", previous_webhook_key="old-key", webhook_url="https://hooks.invalid/gs/main"
)


def body(**changes: Any) -> bytes:
    return json.dumps({"account_id": 12, "topic": "references/update", "type": "reference", "ids": [1, "2", 1], **changes}).encode()


def verdict(key: str | None, settings: Settings = SETTINGS, content: bytes | None = None) -> Verdict:
    return verify(settings, {}, {} if key is None else {"key": key}, body() if content is None else content)


def tasks_of(content: bytes) -> list[tuple[str, Any]]:
    found = list(to_tasks(MAIN, SETTINGS, decode_json(content)))
    assert all(spec is CHANGES and task.account == MAIN for spec, task in found)
    return [(task.key, task.payload) for _, task in found]


@pytest.mark.parametrize("key", ["new-key", "old-key"])
def test_the_current_and_the_previous_key_open(key: str) -> None:
    assert verdict(key) is Verdict.GENUINE


@pytest.mark.parametrize("key", [None, "", "new-key ", "é"])
def test_any_other_key_does_not(key: str | None) -> None:
    assert verdict(key) is Verdict.FORGED


def test_without_a_configured_key_nobody_is_let_in() -> None:
    assert verdict("", Settings()) is Verdict.FORGED


def test_a_body_about_another_account_is_told_apart() -> None:
    assert verdict("new-key", content=body(account_id=99)) is Verdict.WRONG_ACCOUNT
    assert verdict("new-key", content=b"no json") is Verdict.GENUINE


def test_ids_become_one_task_each_whether_numbers_or_texts() -> None:
    assert tasks_of(body()) == [("1", {"topic": "references/update"}), ("2", {"topic": "references/update"})]


@pytest.mark.parametrize("topic", ["pictures/update", "something/new"])
def test_what_means_nothing_to_us_is_accepted_and_dropped(topic: str) -> None:
    assert tasks_of(body(topic=topic)) == []


@pytest.mark.parametrize("bad", [b"[]", b"{}", body(ids=["x"]), body(ids=[[1]]), body(type="other")])
def test_a_body_that_is_not_the_vendors_is_refused(bad: bytes) -> None:
    with pytest.raises(DataError, match="grand_shooting/main"):
        tasks_of(bad)


@pytest.fixture
def hook(database_url: str) -> Iterator[TestClient]:
    intake = Intake(opened := Database(database_url), WEBHOOKS, {MAIN: SETTINGS}.get)
    with TestClient(intake.before(create_app(opened, parts=[intake.running]))) as client:
        yield client


def test_a_delivery_is_answered_200_once_it_is_stored_with_its_tasks(hook: TestClient, database: Database) -> None:
    path = "/webhooks/grand-shooting/main"
    for _ in range(2):
        assert hook.post(f"{path}?key=new-key", content=body()).status_code == 200
    assert hook.post(f"{path}?key=wrong", content=body()).status_code == 401
    assert hook.post(f"{path}?key=new-key", content=b"{").status_code == 400
    assert hook.post(f"{path}?key=new-key", content=body(account_id=99)).status_code == 404
    assert hook.post("/webhooks/grand-shooting/nobody?key=new-key", content=body()).status_code == 404
    with database.connect() as connection:
        rows = connection.execute("select key, superseded from sync.tasks where queue = %s order by key", [CHANGES.name]).fetchall()
    assert rows == [("1", 1), ("2", 1)]


def test_registration_creates_what_is_missing_and_reports_strangers(world: Any) -> None:
    one = world(paris={})
    with connect(one.context(MAIN)) as client:
        client.subscribe("https://somebody.invalid/hook?key=theirs", "references/update")
        client.subscribe("https://hooks.invalid/gs/main?key=outdated", "references/update")
        first = register_webhooks(client, SETTINGS)
        second = register_webhooks(client, SETTINGS)
        registered = {(item.address, item.topic) for item in client.subscriptions()}
    assert sorted(first.created) == ["references/create", "references/delete", "references/update"]
    assert first.removed == ["references/update"]
    assert first.strangers == ["references/update at https://somebody.invalid/hook"]
    assert (sorted(second.kept), second.created, second.removed) == (sorted(first.created), [], [])
    assert len(registered) == 4


def test_registration_needs_an_address_and_a_key(world: Any) -> None:
    one = world(paris={})
    with connect(one.context(MAIN)) as client, pytest.raises(ConfigError, match="webhook_url"):
        register_webhooks(client, Settings())
