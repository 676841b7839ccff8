"""The command line: results as text and JSON, clear messages, exit codes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import psycopg
import pytest
import typer

from sync_pipelines.cli import app, commands, invoke
from sync_pipelines.core.errors import AuthError

ACCOUNTS = """\
accounts:
  - id: sendcloud/main
    credentials: {public_key: "${PUBLIC}", secret_key: visible-nowhere}
    settings: {webhook_keys: [visible-nowhere]}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder to work in, without a database of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("SYNC_PIPELINES_CONFIG", "SYNC_PIPELINES_STATE", "PUBLIC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:visible-nowhere@127.0.0.1:1/shop")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = invoke(words)
    captured = capsys.readouterr()
    assert "visible-nowhere" not in captured.out + captured.err
    return code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """The JSON result of a command that succeeds."""
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(word in out for word in ("accounts", "config", "db", "sandbox", "up"))


@pytest.mark.parametrize("words", [("nope",), ("db", "nope"), ("accounts", "list", "--nope"), ("up", "--web-port", "http")])
def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_a_missing_file_ends_with_2_and_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "accounts", "list")
    assert (code, out) == (2, "")
    assert "cp accounts.example.yaml accounts.yaml" in err
    assert "Traceback" not in err


def test_a_failure_is_one_json_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--json", "config", "validate")
    assert code == 2
    assert json.loads(out)["kind"] == "ConfigError"
    assert err.startswith("error:")


def test_debug_lets_the_traceback_through() -> None:
    with pytest.raises(Exception, match=r"accounts.yaml does not exist"):
        invoke(["config", "validate", "--debug"])


def test_a_bug_is_one_line_without_debug(project: Path) -> None:
    program = "from sync_pipelines.cli import app; app.build = lambda _: 1 / 0; app.main()"
    ended = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "unexpected ZeroDivisionError: division by zero. Run the command with --debug for the traceback\n"


def test_every_error_of_ours_has_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise AuthError("sendcloud/main refuses the key", account="sendcloud/main")

    built = app.build()
    built.command("refuse")(refuse)
    monkeypatch.setattr(app, "build", lambda _: built)
    code, out, _ = run(capsys, "refuse", "--json")
    assert (code, json.loads(out)["account"]) == (1, "sendcloud/main")


@pytest.mark.parametrize("module", sorted(module.name for module in iter_modules(commands.__path__)))
def test_a_command_is_found_without_importing_the_others(module: str) -> None:
    name = module.replace("_", "-")
    alone = typer.main.get_command(app.build([name, "--help"]))
    assert list(alone.commands) == [name]  # type: ignore[attr-defined]


def test_accounts_are_listed_with_what_is_missing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "accounts.yaml").write_text(ACCOUNTS)
    (row,) = run_json(capsys, "accounts", "list")
    assert row["missing"] == ["public_key"]
    assert row["credentials"] == ["public_key: ${PUBLIC}", "secret_key: (literal)"]
    assert run(capsys, "accounts", "list")[0] == 0


def test_the_configuration_is_validated_and_shown_without_secrets(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "accounts.yaml").write_text(ACCOUNTS)
    assert run_json(capsys, "config", "validate")["accounts"] == 1
    shown = run_json(capsys, "config", "show")
    assert shown["accounts"][0]["settings"]["webhook_keys"] == ["(set)"]
    (project / "accounts.yaml").write_text(ACCOUNTS.replace("[visible-nowhere]", '["${NOT_SET}"]'))
    assert run_json(capsys, "config", "show")["accounts"][0]["settings"]["webhook_keys"] == ["${NOT_SET}"]
    assert run_json(capsys, "accounts", "list")[0]["missing"] == ["public_key", "settings.webhook_keys[0]"]
    assert run(capsys, "config", "show")[0] == 0


def test_an_unreachable_database_is_named_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "db", "migrate")
    assert code == 1
    assert "postgresql://user@127.0.0.1:1/shop is not reachable" in err
    code, out, err = run(capsys, "db", "status", "--json")
    assert (code, json.loads(out)[0]["is_running"]) == (1, False)
    assert "does not answer" in err


def test_a_database_of_ones_own_is_not_ours_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "db", "stop")
    assert code == 2
    assert "unset DATABASE_URL" in err


def test_an_unusable_url_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://somewhere")
    code, _, err = run(capsys, "db", "migrate")
    assert code == 2
    assert "must look like postgresql://" in err


def test_migrate_prepares_an_empty_database_and_changes_nothing_on_a_current_one(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    assert {"engine_0001", "dagster"} <= set(run_json(capsys, "db", "migrate")["applied"])
    assert run_json(capsys, "db", "migrate")["applied"] == []
    assert run_json(capsys, "db", "status")[0]["is_current"]
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute("select to_regclass('dagster.runs'), to_regclass('public.runs')").fetchone()
    assert tables == ("dagster.runs", None)
    assert sorted(path.name for path in project.iterdir()) == [".sync_pipelines"]
    variables = run_json(capsys, "env")
    assert "search_path%3Ddagster" in variables["SYNC_PIPELINES_DAGSTER_URL"]
    assert run(capsys, "env")[1].startswith("export DATABASE_URL=")


def test_the_embedded_server_is_started_shown_and_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    assert run(capsys, "db", "status")[0] == 1
    try:
        url = run_json(capsys, "db", "start")["url"]
        assert run_json(capsys, "db", "url")["url"] == url
        with psycopg.connect(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        assert run_json(capsys, "db", "stop") == {"stopped": True}
    assert run_json(capsys, "db", "stop") == {"stopped": False}


def test_a_taken_port_and_an_unknown_vendor_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = run(capsys, "sandbox", "serve", "--port", port)
    assert code == 2
    assert f"can not listen on 127.0.0.1:{port}" in err
    assert run(capsys, "sandbox", "serve", "--vendor", "nobody")[0] == 2
    assert run(capsys, "sandbox", "serve", "--size", "huge")[0] == 2
