"""The ``labels`` commands, from an order to a print file and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pypdf import PdfReader

from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.shop_cli import ShopCli
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT

LABELS: dict[str, Any] = {"rules": [{"option": "sendcloud:letter"}], "default_weight_kg": "1"}


@pytest.fixture
def running(sandbox: Callable[..., RunningSandbox]) -> RunningSandbox:
    started = sandbox("sendcloud")
    started.control.post("world", orders=12, shipped_percent=0, history_days=5)
    started.control.post("settings", writes_per_minute=1000, failing_carriers=["ups"])
    return started


@pytest.fixture
def command(
    running: RunningSandbox, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> ShopCli:
    return ShopCli(running, database_url, tmp_path, monkeypatch, capsys, labels=LABELS)


def orders(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        query = "SELECT order_number FROM sendcloud.orders WHERE ship_to_country IS NOT NULL ORDER BY 1 LIMIT 4"
        return [number for (number,) in connection.execute(query)]


def test_labels_are_made_listed_printed_and_taken_back(command: ShopCli, database_url: str, tmp_path: Path) -> None:
    assert command("sync", "sendcloud/orders", "-a", ACCOUNT)["status"] == "complete"
    *three, fourth = orders(database_url)
    made = command("labels", "create", "-a", ACCOUNT, *three)
    assert (made["done"], made["failed"], made["documents"]) == (3, 0, 3)
    failed = command("labels", "create", "-a", ACCOUNT, fourth, "--option", "ups:standard", code=1)
    assert (failed["done"], failed["failed"]) == (0, 1)
    listed = {row["order_number"]: row for row in command("labels", "list", "-a", ACCOUNT)}
    assert [listed[number]["state"] for number in three] == ["done"] * 3
    assert "Service error" in listed[fourth]["error"]
    ids = [str(listed[number]["id"]) for number in three]
    (letter,) = command("dead-letters", "list", "-a", ACCOUNT)
    assert (letter["subject"], letter["key"], letter["state"]) == (
        "sendcloud/label_requests",
        str(listed[fourth]["id"]),
        "retrying",
    )

    file = tmp_path / "print.pdf"
    assert command("labels", "merge", "-a", ACCOUNT, *ids, "--to", str(file))["documents"] == 3
    assert len(PdfReader(file).pages) == 3

    taken = command("labels", "cancel", "-a", ACCOUNT, *ids)
    assert taken["cancelled"] + taken["cancelling"] + taken["refused"] == 3
    states = {str(row["id"]): row["state"] for row in command("labels", "list", "-a", ACCOUNT)}
    assert {states[key] for key in ids} <= {"cancelled", "cancelling", "done"}


def test_a_failed_label_is_made_from_its_dead_letter_or_by_retry(
    command: ShopCli, running: RunningSandbox, database_url: str
) -> None:
    command("sync", "sendcloud/orders", "-a", ACCOUNT)
    first, second, *_ = orders(database_url)
    command("labels", "create", "-a", ACCOUNT, first, second, "--option", "ups:standard", code=1)
    running.control.post("settings", failing_carriers=[])
    letters = {letter["key"]: letter["id"] for letter in command("dead-letters", "list", "-a", ACCOUNT)}
    (one, letter), (other, _) = sorted(letters.items())
    assert [row["outcome"] for row in command("dead-letters", "resend", str(letter))] == ["resolved"]
    assert command("labels", "retry", "-a", ACCOUNT, other)["waiting"] == 1
    assert command("labels", "create", "-a", ACCOUNT)["done"] == 1
    assert {row["state"] for row in command("labels", "list", "-a", ACCOUNT)} == {"done"}
    assert command("dead-letters", "list", "-a", ACCOUNT) == []
    assert one != other
