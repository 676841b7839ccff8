"""Connecting an account: its quotas and its way of authenticating."""

from __future__ import annotations

from sync_pipelines.core.budget import Lane, read_budgets
from sync_pipelines.core.db import Database
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines.vendors.sendcloud.vendor import check, connect
from sync_pipelines_tests.sandboxes import RunningSandbox


def account(database: Database, running: RunningSandbox, **settings: object) -> AccountContext:
    return AccountContext(
        id="sendcloud/main",
        base_url=f"{running.base_url}/api",
        auth_url=f"{running.base_url}/oauth2/token",
        credentials={"public_key": "sandbox-public", "secret_key": "sandbox-secret"},
        settings=Settings.model_validate(settings),
        database=database,
        secrets=Secrets(database, MasterKeys.parse(MasterKeys.new())),
        lane=Lane.LIVE,
    )


def test_an_account_that_is_oauth_only_connects_by_client_credentials(database: Database, running: RunningSandbox) -> None:
    running.control.post("settings", oauth_only=True)
    try:
        with connect(account(database, running)) as client:
            assert not check(client)[0].is_ok
        with connect(account(database, running, oauth=True)) as client:
            assert all(item.is_ok for item in check(client))
    finally:
        running.control.post("settings", oauth_only=False)


def test_the_configured_quotas_are_the_account_s_budget(database: Database, running: RunningSandbox) -> None:
    with connect(account(database, running, reads_per_minute=600, writes_per_minute=60)) as client:
        client.auth_metadata()
        client.shipping_options()
    rates = {report.bucket: report for report in read_budgets(database, "sendcloud/main")}
    assert set(rates) == {"reads", "writes", "write_burst"}
