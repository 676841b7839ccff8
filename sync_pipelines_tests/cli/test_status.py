"""``status`` shows the same picture as the status page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_pipelines.cli import invoke
from sync_pipelines.core.db import Database
from sync_pipelines.overview.models import Status
from sync_pipelines.overview.reading import read_status
from sync_pipelines_tests.overview.house import ACCOUNTS, House


def test_status_prints_the_pages_own_picture(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("SYNC_PIPELINES_CONFIG", raising=False)
    house = House(database_url)
    house.volume("amazon/north", "amazon/orders", complete=3, inserted=5)
    assert invoke(["status", "--json"]) == 0
    printed = Status.model_validate(json.loads(capsys.readouterr().out))
    shown = read_status(database, house.seen)
    assert [item.model_dump(exclude={"next_beat_at", "is_stopped"}) for item in printed.streams] == [
        item.model_dump(exclude={"next_beat_at", "is_stopped"}) for item in shown.streams
    ]
    house.letter("amazon/north", "amazon/orders", "1")
    assert invoke(["status"]) == 1
    assert "amazon/orders" in capsys.readouterr().out
