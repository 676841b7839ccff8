"""A process that makes labels until nothing is due; meant to be killed. Arguments: database URL, API URL."""

from __future__ import annotations

import sys

from sync_pipelines.core.db import Database
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.sendcloud.actions import Labels
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines.vendors.sendcloud.vendor import connect

ACCOUNT = "sendcloud/main"
SETTINGS = Settings.model_validate(
    {
        "reads_per_minute": 100_000,
        "writes_per_minute": 100_000,
        "writes_per_second": 100_000,
        "labels": {"rules": [{"option": "sendcloud:letter"}], "default_weight_kg": "1"},
    }
)


def context(database: Database, base_url: str) -> AccountContext:
    """The sandbox's account."""
    keys = {"public_key": "sandbox-public", "secret_key": "sandbox-secret"}
    return AccountContext(ACCOUNT, base_url, None, keys, SETTINGS, database, None)


def main() -> None:
    """Works once."""
    url, base_url = sys.argv[1:]
    with (
        Database(url, application_name="label worker", max_connections=8) as database,
        connect(context(database, base_url)) as client,
    ):
        Labels(database, ACCOUNT, client, SETTINGS, run_id="run-worker").create()


if __name__ == "__main__":
    main()
