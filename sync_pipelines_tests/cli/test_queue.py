"""The commands on queues and dead letters, on a real database."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines import resending
from sync_pipelines.cli import invoke
from sync_pipelines.core import dead_letters, intake
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_tasks import fail
from sync_pipelines.core.faults import Fault
from sync_pipelines.core.queue import NewTask, QueueSpec, claim, enqueue
from sync_pipelines.core.runtime import Runtime
from sync_pipelines_tests.service import toy_service

SPEC = QueueSpec(name="toy", retry_delays=())


class Command:
    """Runs commands on the test's database."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def json(self, *words: str, code: int = 0) -> Any:
        assert invoke([*words, "--json"]) == code
        return json.loads(self._capsys.readouterr().out)

    def text(self, *words: str, code: int = 0) -> str:
        assert invoke(words) == code
        captured = self._capsys.readouterr()
        return captured.out + captured.err


@pytest.fixture
def command(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "accounts.yaml").write_text("accounts: []\n")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.delenv("SYNC_PIPELINES_CONFIG", raising=False)
    return Command(capsys)


@pytest.fixture
def add(database: Database) -> Callable[..., None]:
    def add(*keys: str, account: str = "toy/main", payload: Any = None) -> None:
        with database.transaction() as connection:
            enqueue(connection, SPEC, [NewTask(account=account, key=key, payload=payload) for key in keys])

    return add


@pytest.fixture
def dead(database: Database, add: Callable[..., None]) -> int:
    """The id of a dead task's letter."""
    add("A", payload={"price": "ten"})
    (task,) = claim(database, SPEC, "w")
    with database.transaction() as connection:
        return fail(connection, task, Fault("DataError", "price is no number"), run_id="run-1", request="PUT /things/A")


def test_queues_are_counted_listed_shown_and_purged(command: Command, add: Callable[..., None], database: Database) -> None:
    add("A", "A", "B", payload={"n": 1})
    add("C", account="toy/other")
    assert [(line["account"], line["waiting"]) for line in command.json("queue", "counts")] == [("toy/main", 3), ("toy/other", 1)]
    assert "toy/other" in command.text("queue", "counts", "toy", "--exact")
    listed = command.json("queue", "list", "toy", "--account", "toy/main", "--state", "ready")
    assert [task["key"] for task in listed] == ["A", "B"]
    assert command.json("queue", "show", str(listed[0]["id"]))["payload"] == {"n": 1}
    assert command.json("queue", "purge", "toy", "--key", "A", "--yes") == {"purged": 2}
    assert {task["outcome"] for task in command.json("queue", "done", "toy", "--error", "purged by")} == {"purged"}
    assert {task.key for task in claim(database, SPEC, "w")} == {"B", "C"}


def test_wrong_words_are_named_with_the_right_ones(command: Command) -> None:
    assert "ready" in command.text("queue", "list", "toy", "--state", "happy", code=2)
    assert "queue done" in command.text("queue", "show", "99", code=2)
    assert "no such dead letter: 99" in command.text("dead-letters", "show", "99", code=2)
    assert "--account" in command.text("dead-letters", "resend", code=2)


def test_a_dead_task_is_found_mended_and_sent_again(command: Command, database: Database, dead: int, tmp_path: Path) -> None:
    (listed,) = command.json("dead-letters", "list")
    assert (listed["id"], listed["subject"], listed["cause"], listed["state"]) == (dead, "toy", "DataError", "open")
    assert "payload" not in listed
    (tmp_path / "mended.json").write_text('{"price": 10}')
    assert "not JSON" in _edited_from(command, dead, b"{price", code=2)
    command.text("dead-letters", "edit", str(dead), "--file", "mended.json")
    shown = command.json("dead-letters", "show", str(dead))
    assert (json.loads(shown["payload"]), json.loads(shown["original"])) == ({"price": 10}, {"price": "ten"})
    (sent,) = command.json("dead-letters", "resend", "--subject", "toy")
    assert sent["outcome"] == "resolved"
    assert [task.payload for task in claim(database, SPEC, "w")] == [{"price": 10}]
    assert command.json("dead-letters", "list") == []
    assert command.json("dead-letters", "resend", str(dead), code=1)[0]["reason"] == "it is resolved already"


def _edited_from(command: Command, letter: int, typed: bytes, *, code: int) -> str:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(typed))
    try:
        return command.text("dead-letters", "edit", str(letter), "--file", "-", code=code)
    finally:
        sys.stdin = before


def test_letters_are_closed_by_id_or_by_filter(command: Command, dead: int) -> None:
    assert command.json("dead-letters", "resolve", "--cause", "Nothing") == {"resolved": 0}
    assert command.json("dead-letters", "resolve", str(dead)) == {"resolved": 1}
    assert [one["id"] for one in command.json("dead-letters", "list", "--state", "resolved")] == [dead]


def test_a_delivery_that_could_not_be_read_is_read_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = intake.Delivery(
        account="toy/main",
        route=toy_service.WEBHOOKS[0].path,
        body=b'{"refs": ["A"]}',
        received_at=datetime.now(UTC),
        fault=Fault("KeyError", "unexpected KeyError"),
    )
    with database.transaction() as connection:
        intake.store(connection, [delivery])
        (letter,) = dead_letters.find(connection, subject="toy/webhooks")

    class Account:
        settings = toy_service.ACCOUNTS["toy/main"]

    opened = Runtime(database=database, account=lambda *_: Account(), account_ids=lambda _: [])  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(resending, "modules", lambda _: [toy_service])
    assert resending.resend(opened, letter, by="Ada", run_id="resend") is None
    assert [task.key for task in claim(database, toy_service.QUEUE, "w")] == ["A"]
    with database.connect() as connection:
        assert dead_letters.counts(connection) == {}
