"""A run that somebody launches in Dagster's UI has no tags of ours; it gets them, so that page and alerts know whose it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from dagster import AssetKey, DagsterInstance, Definitions

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.orchestration import engine as engines
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_run_launched_by_hand_is_tagged_with_its_account_and_stream(
    sandbox: Callable[..., RunningSandbox],
    database: Database,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    is_broken: bool,
) -> None:
    shop = Shop(database, sandbox("sendcloud"))

    def account(_: str, lane: Lane) -> AccountContext:
        credentials = {"public_key": "sandbox-public", "secret_key": "wrong" if is_broken else "sandbox-secret"}
        return AccountContext(ACCOUNT, f"{shop.sandbox.base_url}/api", None, credentials, shop.settings, database, None, lane)

    monkeypatch.setattr(engines, "_open_runtime", lambda: Runtime(Database(database_url), account, lambda _: [ACCOUNT]))
    definitions = Definitions.merge(vendor_definitions(VENDOR), Definitions(resources={"engine": Engine()}))
    with DagsterInstance.local_temp() as instance:
        instance.add_dynamic_partitions("sendcloud_accounts", [ACCOUNT])
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[AssetKey(["sendcloud", "orders"])],
            partition_key=f"{ACCOUNT}|{datetime.now(UTC).date()}",
            raise_on_error=False,
        )
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.is_success is not is_broken
        assert (run.tags[tags.ACCOUNT], run.tags[tags.STREAM]) == (ACCOUNT, "sendcloud/orders")
