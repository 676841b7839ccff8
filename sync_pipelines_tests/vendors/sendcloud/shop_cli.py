"""The command line of a project whose only account is a look-alike's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.cli import invoke
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT


class ShopCli:
    """Calls commands in this process and reads their JSON."""

    def __init__(
        self,
        running: RunningSandbox,
        database_url: str,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        **settings: Any,
    ) -> None:
        self._capsys = capsys
        account = {
            "id": ACCOUNT,
            "base_url": f"{running.base_url}/api",
            "credentials": {"public_key": "sandbox-public", "secret_key": "sandbox-secret"},
            "settings": settings,
        }
        config = folder / "accounts.yaml"
        config.write_text(json.dumps({"accounts": [account]}))
        monkeypatch.setenv("SYNC_PIPELINES_CONFIG", str(config))
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_PIPELINES_STATE", str(folder / "state"))
        monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))

    def __call__(self, *words: str, code: int = 0) -> Any:
        """The command's JSON; fails unless it ends with ``code``."""
        ended = invoke([*words, "--json"])
        captured = self._capsys.readouterr()
        assert ended == code, captured.err
        return json.loads(captured.out or "null")
