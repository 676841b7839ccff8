"""Commands follow the applied version as runs do, and say once that the file says something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_pipelines.cli import invoke

APPLIED = "accounts:\n  - id: bigbuy/main\n    credentials: {api_key: '${BIGBUY_API_KEY}'}\n"
EDITED = APPLIED.replace("bigbuy/main", "bigbuy/other")
DIFFERS = "accounts.yaml differs from the applied version 1: run `sync-pipelines config plan`"


@pytest.fixture
def file(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """The configuration file, whose first content was applied; everything else of the project is in its folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("SYNC_PIPELINES_CONFIG", "SYNC_PIPELINES_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    path = tmp_path / "accounts.yaml"
    path.write_text(APPLIED)
    assert invoke(["config", "apply"]) == 0
    capsys.readouterr()
    return path


def listed(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """The ids of ``accounts list``, and what it says besides."""
    assert invoke(["accounts", "list", "--json"]) == 0
    captured = capsys.readouterr()
    return [row["id"] for row in json.loads(captured.out)], captured.err


def test_what_was_applied_is_followed_in_silence_while_the_file_agrees(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys) == (["bigbuy/main"], "")
    file.write_text("# a comment changes nothing\n" + APPLIED)
    assert listed(capsys) == (["bigbuy/main"], "")
    file.unlink()
    assert listed(capsys) == (["bigbuy/main"], "")


@pytest.mark.parametrize("content", [EDITED, "accounts: [", "accounts: nonsense"])
def test_a_file_that_says_something_else_is_reported_not_followed(
    file: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(content)
    ids, said = listed(capsys)
    assert (ids, said.strip()) == (["bigbuy/main"], DIFFERS)


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "suppliers/stock", "-a", "bigbuy/other"),
        ("reconcile", "suppliers/stock", "-a", "bigbuy/other"),
        ("setup", "bigbuy/other"),
        ("suppliers", "plan", "--account", "bigbuy/other"),
        ("gazelle", "sync", "-a", "bigbuy/other"),
    ],
)
def test_an_account_that_was_not_applied_is_unknown_to_every_command(
    file: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(EDITED)
    assert invoke(words) == 2
    said = capsys.readouterr().err
    assert said.count(DIFFERS) == 1
    assert "bigbuy/main" in said


def test_commands_about_the_file_read_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(EDITED)
    assert invoke(["config", "plan", "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)["changes"]
    assert [change["path"] for change in changed] == ["accounts[bigbuy/main]", "accounts[bigbuy/other]"]
    assert invoke(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accounts"][0]["id"] == "bigbuy/main"


def test_the_demo_leaves_a_database_alone_that_follows_other_accounts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo"]) == 2
    assert "run the demo on a database of its own" in capsys.readouterr().err


def test_without_the_database_a_list_is_the_files_and_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@127.0.0.1:1/shop")
    file.write_text(EDITED)
    ids, said = listed(capsys)
    assert ids == ["bigbuy/other"]
    assert "This is accounts.yaml, not what may have been applied" in said
