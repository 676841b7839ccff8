"""``sync-pipelines secrets …`` as a person or a script uses it."""

from __future__ import annotations

import io
import json
import sys

import pytest

from sync_pipelines.cli.app import invoke
from sync_pipelines.core.db import Database
from sync_pipelines.core.secrets import MasterKeys, Secrets

KEY = MasterKeys.new()


@pytest.fixture
def run(database_url, monkeypatch, capsys, tmp_path):
    """Runs a command with a value on standard input; returns exit code, output and messages."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", KEY)
    monkeypatch.chdir(tmp_path)

    def command(*words: str, value: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(value)))
        code = invoke(["secrets", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_a_value_goes_in_by_standard_input_and_never_comes_out(run, database_url):
    code, out, err = run("set", "api_key", "--account", "toy/main", value=b"invented value\n")
    assert (code, "invented" in out + err) == (0, False)
    with Database(database_url) as database:
        assert Secrets(database, MasterKeys.parse(KEY)).get("api_key", "toy/main") == b"invented value"
    code, out, _ = run("list")
    assert (code, "api_key" in out, "invented" in out) == (0, True, False)


def test_the_list_is_readable_by_programs(run):
    run("set", "api_key", "--expires-at", "2027-01-31", value=b"1")
    code, out, _ = run("list", "--json")
    (item,) = json.loads(out)
    assert code == 0
    assert (item["name"], item["account"], item["age_days"], item["is_current"]) == ("api_key", None, 0.0, True)
    assert item["expires_at"].startswith("2027-01-31T00:00:00")


def test_deleting_what_is_not_there_fails_with_a_hint(run):
    run("set", "api_key", value=b"1")
    assert run("delete", "api_key")[0] == 0
    code, _, err = run("delete", "api_key")
    assert (code, "secrets list" in err) == (2, True)


def test_a_new_master_key_takes_over(run, monkeypatch):
    run("set", "api_key", value=b"1")
    new = json.loads(run("new-key", "--json")[1])["key"]
    monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", f"{new},{KEY}")
    assert json.loads(run("rotate-key", "--json")[1]) == {"rewrapped": 1}
    monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", new)
    assert json.loads(run("list", "--json")[1])[0]["is_current"]


def test_an_empty_value_and_a_missing_key_are_refused(run, monkeypatch):
    assert run("set", "api_key", value=b"\n")[0] == 2
    monkeypatch.delenv("SYNC_PIPELINES_MASTER_KEY")
    code, _, err = run("set", "api_key", value=b"1")
    assert (code, "sync-pipelines secrets new-key" in err) == (2, True)
