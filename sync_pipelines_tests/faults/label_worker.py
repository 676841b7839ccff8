"""One round of making labels, as a function that a process of its own can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sync_pipelines.core.budget import Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.http import HttpClient
from sync_pipelines.vendors.sendcloud.actions import Labels
from sync_pipelines.vendors.sendcloud.client import SendCloudClient, basic_auth, buckets, classify
from sync_pipelines.vendors.sendcloud.settings import Settings

ACCOUNT = "sendcloud/main"
SETTINGS = Settings.model_validate({"labels": {"rules": [{"option": "sendcloud:letter"}], "default_weight_kg": "1"}})
NO_QUOTA = buckets(reads_per_minute=10**6, writes_per_minute=10**6, writes_per_second=10**6)


@contextmanager
def connect(database: Database, base_url: str) -> Iterator[SendCloudClient]:
    """A client whose vendor never refuses for quota, and that does not sleep before it tries again."""
    budget = Budget(database, ACCOUNT, Lane.LIVE, NO_QUOTA)
    keys = basic_auth("sandbox-public", "sandbox-secret")
    with HttpClient(account=ACCOUNT, base_url=base_url, budget=budget, auth=keys, classify=classify, sleep=lambda _: None) as http:
        yield SendCloudClient(http)


def make_labels(database_url: str, base_url: str) -> None:
    """Works until nothing is due."""
    with (
        Database(database_url, application_name="label worker", max_connections=8) as database,
        connect(database, base_url) as client,
    ):
        Labels(database, ACCOUNT, client, SETTINGS, run_id="run-worker").create()
