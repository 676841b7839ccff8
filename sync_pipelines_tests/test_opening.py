"""The runtime of a process: credentials out of the encrypted secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sync_pipelines.config import Environment
from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.secrets import SHARED, MasterKeys, Secrets
from sync_pipelines.opening import open_runtime

ACCOUNTS = """\
accounts:
  - id: bigbuy/main
    credentials: {api_key: "secret:key"}
  - id: bigbuy/other
    credentials: {api_key: "secret:key"}
  - id: bigbuy/third
    credentials: {api_key: "secret:unset"}
"""


def test_a_secret_is_the_accounts_own_else_the_shared_one(database: Database, database_url: str, tmp_path: Path) -> None:
    master_key = MasterKeys.new()
    secrets = Secrets(database, MasterKeys.parse(master_key))
    secrets.set("key", SHARED, b"shared")
    secrets.set("key", "bigbuy/other", b"own")
    config = tmp_path / "accounts.yaml"
    config.write_text(ACCOUNTS)
    opened = open_runtime(replace(Environment(), database_url=database_url, config_path=config, master_key=master_key))
    try:
        assert opened.account("bigbuy/main", Lane.LIVE).credentials == {"api_key": "shared"}
        assert opened.account("bigbuy/other", Lane.LIVE).credentials == {"api_key": "own"}
        with pytest.raises(ConfigError, match="sync-pipelines secrets set unset --account bigbuy/third"):
            opened.account("bigbuy/third", Lane.LIVE)
    finally:
        opened.database.close()
