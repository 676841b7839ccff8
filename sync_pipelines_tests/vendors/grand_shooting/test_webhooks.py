"""Webhooks: who is let in, what they mean, and how they are registered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync_pipelines.core.errors import ConfigError, DataError
from sync_pipelines.vendors.grand_shooting.registration import register_webhooks
from sync_pipelines.vendors.grand_shooting.settings import Settings
from sync_pipelines.vendors.grand_shooting.vendor import connect
from sync_pipelines.vendors.grand_shooting.webhooks import is_genuine, tasks_of
from sync_pipelines_tests.vendors.grand_shooting.worlds import MAIN

SETTINGS = Settings(
    account_id=12, webhook_key="new-key", previous_webhook_key="old-key", webhook_url="https://hooks.invalid/gs/main"
)


def body(**changes: Any) -> bytes:
    return json.dumps({"account_id": 12, "topic": "references/update", "type": "reference", "ids": [1, "2", 1], **changes}).encode()


@pytest.mark.parametrize(
    ("key", "expected"), [("new-key", True), ("old-key", True), ("", False), ("new-key ", False), ("é", False)]
)
def test_the_current_and_the_previous_key_open(key: str, expected: bool) -> None:
    assert is_genuine(SETTINGS, key) is expected


def test_without_a_configured_key_nobody_is_let_in() -> None:
    assert not is_genuine(Settings(), "")


def test_ids_become_one_task_each_whether_numbers_or_texts() -> None:
    assert [(task.key, task.payload) for task in tasks_of(MAIN, SETTINGS, body())] == [
        ("1", {"topic": "references/update"}),
        ("2", {"topic": "references/update"}),
    ]


@pytest.mark.parametrize("topic", ["pictures/update", "something/new"])
def test_what_means_nothing_to_us_is_accepted_and_dropped(topic: str) -> None:
    assert tasks_of(MAIN, SETTINGS, body(topic=topic)) == []


@pytest.mark.parametrize("bad", [b"", b"[]", b"{}", body(account_id=99), body(ids=["x"]), body(ids=[[1]]), body(type="other")])
def test_a_body_that_is_not_the_vendors_is_refused(bad: bytes) -> None:
    with pytest.raises(DataError, match="grand_shooting/main"):
        tasks_of(MAIN, SETTINGS, bad)


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
