"""The ``gazelle`` commands: consent in a browser, an old token file, one run of everything."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from dagster import DagsterInstance

from sync_pipelines.cli import invoke
from sync_pipelines.core.secrets import MasterKeys
from sync_pipelines_tests.sandboxes import RunningSandbox

ACCOUNTS = """
accounts:
  - id: gazelle/studio
    base_url: {base_url}
    credentials: {{client_id: sandbox-client, client_secret: sandbox-secret, refresh_token: "secret:consent"}}
    settings: {{timezone: America/Montreal, requests_per_second: 10000}}
"""


@pytest.fixture
def studio(
    sandbox: Callable[..., RunningSandbox], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunningSandbox:
    """A look-alike, a configuration for it and an environment to run commands in."""
    running = sandbox("gazelle", size="tiny")
    running.control.post("settings", rate=1e6, burst=1_000_000)
    config = tmp_path / "accounts.yaml"
    config.write_text(ACCOUNTS.format(base_url=running.base_url))
    monkeypatch.setenv("SYNC_PIPELINES_CONFIG", str(config))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", MasterKeys.new())
    monkeypatch.setenv("SYNC_PIPELINES_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return running


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """A command's exit code and its JSON."""
    code = invoke([*words, "--json"])
    return code, json.loads(capsys.readouterr().out or "null")


def log_of(run_id: str) -> str:
    """What a run wrote into Dagster's log."""
    with DagsterInstance.get() as instance:
        return "\n".join(entry.user_message for entry in instance.all_logs(run_id))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_account_from_consent_to_tables_and_back_to_a_refusal(
    studio: RunningSandbox,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One story, because every command of it needs the same prepared database."""
    token = tmp_path / "token.json"
    token.write_text("[]")
    code, told = run(capsys, "gazelle", "import-token", str(token), "--account", "gazelle/studio")
    assert code == 2
    assert "token.json" in told["error"]

    token.write_text(json.dumps({"access_token": "old", "refresh_token": "sandbox-refresh", "expires_in": 7200, "created_at": 1}))
    code, told = run(capsys, "gazelle", "import-token", str(token), "--account", "gazelle/studio")
    assert (code, told) == (0, {"account": "gazelle/studio", "secret": "consent", "is_used": True})
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT ciphertext FROM sync.secrets WHERE name = 'consent'").fetchone()
    assert stored
    assert b"sandbox-refresh" not in stored[0]

    code, summary = run(capsys, "gazelle", "sync", "--account", "gazelle/studio")
    assert code == 0
    assert {row["table"]: row["inserted"] for row in summary} == {
        name: len(items) for name, items in studio.control.truth().items() if name != "deleted"
    }

    studio.control.post("schema", removed=["PrivateUser.color"])
    code, summary = run(capsys, "gazelle", "sync", "--account", "gazelle/studio", "--thorough")
    assert code == 0
    assert {row["table"]: row["unknown_words"] for row in summary if row["unknown_words"]} == {"users": ["color is absent"]}
    assert "not as our mapping knows it, stored as it is: color is absent" in log_of(summary[0]["run_id"])
    assert "6 fetched, 0 new" in log_of(summary[0]["run_id"])
    studio.control.post("schema", removed=[])

    studio.control.post("tokens", action="revoke")
    code, summary = run(capsys, "gazelle", "sync", "--account", "gazelle/studio")
    assert code == 1
    assert {row["status"] for row in summary} == {"failed"}
    code, told = run(capsys, "sync", "gazelle/users", "--account", "gazelle/studio")
    assert code == 1
    assert "authorize" in told["error"]

    def agree(address: str) -> None:
        threading.Thread(target=httpx.get, args=(address,), kwargs={"follow_redirects": True}, daemon=True).start()

    monkeypatch.setattr("webbrowser.open", agree)
    code, _ = run(capsys, "gazelle", "authorize", "--account", "gazelle/studio", "--port", "0")
    assert code == 0
    code, told = run(capsys, "check", "--account", "gazelle/studio")
    assert (code, [row["what"] for row in told if not row["is_ok"]]) == (0, [])
