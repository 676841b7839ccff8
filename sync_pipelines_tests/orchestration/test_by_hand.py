"""A run that somebody launches in Dagster's UI gets our tags, so that page and alerts know whose it is, and its config is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Definitions, ExecuteInProcessResult

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.orchestration import engine as engines
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.launch import reason
from sync_pipelines.orchestration.schedules import op_config
from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop


@pytest.fixture
def shop(sandbox: Callable[..., RunningSandbox], database: Database) -> Shop:
    return Shop(database, sandbox("sendcloud"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp() as temporary:
        yield temporary


@pytest.fixture
def launch(
    shop: Shop, instance: DagsterInstance, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ExecuteInProcessResult]:
    """Materializes today's orders as the UI does."""

    def launched(config: dict[str, Any] | None = None, *, secret: str = "sandbox-secret") -> ExecuteInProcessResult:
        def account(_: str, lane: Lane) -> AccountContext:
            return replace(shop.context(lane), credentials={"public_key": "sandbox-public", "secret_key": secret})

        monkeypatch.setattr(engines, "_open_runtime", lambda: Runtime(Database(database_url), account, lambda _: [ACCOUNT]))
        definitions = Definitions.merge(vendor_definitions(VENDOR), Definitions(resources={"engine": Engine()}))
        instance.add_dynamic_partitions("sendcloud_accounts", [ACCOUNT])
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[AssetKey(["sendcloud", "orders"])],
            partition_key=f"{ACCOUNT}|{datetime.now(UTC).date()}",
            run_config=op_config(orders, config or {}),
            raise_on_error=False,
        )

    return launched


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_run_launched_by_hand_is_tagged_with_its_account_and_stream(
    launch: Callable[..., ExecuteInProcessResult], instance: DagsterInstance, is_broken: bool
) -> None:
    result = launch(secret="wrong" if is_broken else "sandbox-secret")
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.is_success is not is_broken
    assert (run.tags[tags.ACCOUNT], run.tags[tags.STREAM]) == (ACCOUNT, "sendcloud/orders")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"start": "2026-03-01"}, "end: empty, although start is '2026-03-01'; give both or neither"),
        ({"mode": "full", "start": "2026-03-01", "end": "2026-03-02"}, "mode: 'full' does not go with start"),
        ({"lane": "fast"}, "lane: 'fast' is none of live, webhook, retry, replay, backfill"),
    ],
)
def test_a_config_that_is_wrong_ends_the_run_once_and_nothing_is_read(
    launch: Callable[..., ExecuteInProcessResult], shop: Shop, config: dict[str, str], message: str
) -> None:
    result = launch(config)
    assert not result.success
    assert reason(result).startswith(message)
    assert not any(event.is_step_up_for_retry for event in result.all_events)
    assert shop.sandbox.control.log() == []
