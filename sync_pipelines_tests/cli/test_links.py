"""``links`` and the configuration's versions, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.cli import invoke
from sync_pipelines.core.secrets import MasterKeys
from sync_pipelines_tests.sandboxes import RunningSandbox

Run = Callable[..., Any]


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    return tmp_path / "accounts.yaml"


@pytest.fixture
def run(
    sandbox: Callable[..., RunningSandbox],
    accounts: Path,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    url = f"{sandbox('grand_shooting').base_url}/v3"
    items = [
        {
            "id": f"grand_shooting/{name}",
            "base_url": url,
            "credentials": {"token": f"sandbox-{name}-token"},
            "settings": {"account_id": number},
        }
        for name, number in (("main", 12), ("paris", 34))
    ]
    link = {
        "id": "paris",
        "main": "grand_shooting/main",
        "secondary": "grand_shooting/paris",
        "mapping": {"brand": {"rules": [{"type": "upper"}]}},
    }
    accounts.write_text(json.dumps({"accounts": items, "links": [link]}))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_PIPELINES_CONFIG", str(accounts))
    monkeypatch.setenv("SYNC_PIPELINES_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", MasterKeys.new())

    def call(*words: str, code: int = 0) -> Any:
        assert invoke([*words, "--json"]) == code
        printed = capsys.readouterr().out
        return json.loads(printed) if printed else None

    return call


def test_a_link_is_planned_previewed_initialised_held_and_replayed(run: Run) -> None:
    assert [(item["id"], item["state"], item["waiting"]) for item in run("links", "list")] == [("paris", "active", 0)]
    plan = run("links", "plan", "paris")
    assert (plan["create"], plan["calls"], plan["brake"]) == (120, 2, None)
    first = run("links", "preview", "paris", "--limit", "1")[0]
    assert first["after"]["brand"] == first["before"]["brand"].upper()
    assert run("links", "initialise", "paris") == {"plan": plan["id"], "total": 120, "left": 120, "seconds_left": 0.3}
    assert run("links", "show", "paris")["waiting"] == 120
    assert run("links", "pause", "paris")["changed"]
    assert run("links", "list")[0]["state"] == "paused"
    assert run("links", "resume", "paris")["changed"]
    assert run("links", "replay", "paris", "--dry-run")["references"] == 0
    assert [item["received"] for item in run("links", "history", "paris")["volumes"]] == [120]
    run("links", "show", "nowhere", code=2)


def test_the_check_looks_at_secondary_accounts_too(run: Run) -> None:
    assert {row["account"] for row in run("check")} == {"grand_shooting/main", "grand_shooting/paris"}


def test_the_configuration_is_planned_applied_rolled_back_and_followed(run: Run, accounts: Path) -> None:
    assert run("config", "plan")["version"] == 0
    first = run("config", "apply", "--comment", "start")["version"]
    changed = json.loads(accounts.read_text())
    changed["links"][0]["webhooks"] = False
    accounts.write_text(json.dumps(changed))
    assert run("links", "show", "paris")["configuration"]["webhooks"] is True
    assert run("config", "plan")["changes"] == [{"path": "links[paris].webhooks", "after": False}]
    run("config", "apply", "--planned-on", "0", code=2)
    second = run("config", "apply", "--planned-on", str(first))["version"]
    assert run("links", "show", "paris")["configuration"]["webhooks"] is False
    assert run("links", "history", "paris")["configuration"][0]["version"] == second
    run("config", "rollback", str(first))
    assert run("links", "show", "paris")["configuration"]["webhooks"] is True
    assert [item["version"] for item in run("config", "history")] == [second + 1, second, first]
    assert run("config", "export")["links"][0]["id"] == "paris"


def test_a_file_that_cannot_be_activated_is_refused(run: Run, accounts: Path) -> None:
    broken = json.loads(accounts.read_text())
    broken["links"][0]["mapping"] = {"color": {"target": "brand"}}
    accounts.write_text(json.dumps(broken))
    run("config", "apply", code=2)
