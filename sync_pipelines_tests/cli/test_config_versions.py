"""The configuration is planned, applied, listed, taken back and written out; what already runs follows at its next tick."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance, build_schedule_context

from sync_pipelines.cli import invoke
from sync_pipelines.definitions import defs
from sync_pipelines.orchestration import tags

ONE = """\
accounts:
  - id: sendcloud/main
    credentials: {public_key: "${PUBLIC}", secret_key: "${SECRET}"}
"""
TWO = f"""{ONE}\
  - id: sendcloud/second
    credentials: {{public_key: "${{PUBLIC}}", secret_key: "${{SECRET}}"}}
"""

Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNC_PIPELINES_CONFIG", raising=False)
    monkeypatch.setenv("SYNC_PIPELINES_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    return tmp_path / "accounts.yaml"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A command's JSON."""

    def command(*words: str) -> Any:
        capsys.readouterr()
        assert invoke(["config", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return command


@pytest.fixture
def tick() -> Iterator[Callable[[], list[str]]]:
    """Ticks a schedule of the definitions as they were loaded; answers the accounts it asks runs for."""
    schedule: Any = defs.resolve_schedule_def("sendcloud_orders_delta")
    with DagsterInstance.local_temp() as instance:

        def accounts() -> list[str]:
            context = build_schedule_context(instance=instance, scheduled_execution_time=datetime.now(UTC))
            return [request.tags[tags.ACCOUNT] for request in schedule(context)]

        yield accounts


def test_running_schedules_follow_what_is_applied_and_taken_back(file: Path, run: Run, tick: Callable[[], list[str]]) -> None:
    file.write_text(ONE)
    assert tick() == ["sendcloud/main"], "until something was applied the file itself is followed"
    assert run("apply", "-m", "one shop")["version"] == 1
    file.write_text(TWO)
    [change] = run("plan")["changes"]
    assert (change["path"], change["after"]["id"]) == ("accounts[sendcloud/second]", "sendcloud/second")
    assert tick() == ["sendcloud/main"], "a plan changes nothing"
    assert run("apply", "-m", "a second shop")["version"] == 2
    assert tick() == ["sendcloud/main", "sendcloud/second"]
    assert run("plan")["changes"] == []
    assert run("rollback", "1", "-m", "too early")["version"] == 3
    assert tick() == ["sendcloud/main"]

    versions = run("history")
    assert [(one["version"], one["comment"]) for one in versions] == [(3, "too early"), (2, "a second shop"), (1, "one shop")]
    assert {one["by"] for one in versions} == {getpass.getuser()}
    assert all(datetime.fromisoformat(one["at"]).tzinfo for one in versions)
    assert [change["path"] for change in versions[1]["changed"]] == ["accounts[sendcloud/second]"]
    assert run("export") == yaml.safe_load(ONE)
    assert run("export", "--version", "2") == yaml.safe_load(TWO)


def test_what_is_wrong_is_neither_applied_nor_brought_back(
    file: Path, run: Run, tick: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(ONE)
    run("apply")
    file.write_text(ONE.replace("public_key", "publik_key"))
    assert invoke(["config", "apply"]) == 2
    assert "publik_key" in capsys.readouterr().err
    assert invoke(["config", "rollback", "7"]) == 2
    assert [one["version"] for one in run("history")] == [1]
    assert tick() == ["sendcloud/main"]
