"""The ``suppliers`` commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sync_pipelines.cli import invoke

ACCOUNTS = """
accounts:
  - id: bigbuy/main
    base_url: http://127.0.0.1:1
    credentials: {api_key: sandbox-key}
    settings: {language: fr, taxonomies: [19653], price_rules: [{to_cost: 10, margin_percent: 60}, {margin_percent: 40}]}
"""


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    config = tmp_path / "accounts.yaml"
    config.write_text(ACCOUNTS)
    monkeypatch.setenv("SYNC_PIPELINES_CONFIG", str(config))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_PIPELINES_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return database_url


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = invoke(["suppliers", *words, "--json"])
    return code, json.loads(capsys.readouterr().out or "null")


def test_orders_are_followed_and_syncs_requested(environment: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run(capsys, "follow", "--account", "bigbuy/main", "--reference", "A-1")[0] == 0
    with psycopg.connect(environment) as connection:
        assert connection.execute("SELECT account, order_id, reference FROM suppliers.order_requests").fetchall() == [
            ("bigbuy/main", None, "A-1")
        ]
    code, made = run(capsys, "request", "--account", "bigbuy/main", "--kind", "price_update")
    assert (code, made["status"]) == (0, "pending")
    assert [row["id"] for row in run(capsys, "requests")[1]] == [made["id"]]
    assert run(capsys, "plan", "--account", "bigbuy/main") == (0, [])
    assert run(capsys, "follow", "--account", "bigbuy/other", "--order", "1")[0] == 2
    assert run(capsys, "follow", "--account", "bigbuy/main")[0] == 2
