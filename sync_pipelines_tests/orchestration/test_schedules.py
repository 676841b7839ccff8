"""Schedules request one run an account, never a second one beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRequest, SkipReason, build_schedule_context

from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.orchestration import orphans, partitions, schedules, tags
from sync_pipelines.orchestration.launch import process_identity
from sync_pipelines.vendors.sendcloud.defs import defs
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines.vendors.sendcloud.vendor import VENDOR

ACCOUNTS = ["sendcloud/main", "sendcloud/second"]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp() as temporary:
        yield temporary


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The configured accounts; a test may change the list."""
    configured = list(ACCOUNTS)

    def open_runtime() -> Runtime:
        nowhere: Any = None
        return Runtime(Database("postgresql://nobody@127.0.0.1:1/none"), account=nowhere, account_ids=lambda _: configured)

    monkeypatch.setattr(schedules, "open_runtime", open_runtime)
    return configured


def tick(instance: DagsterInstance, name: str) -> Any:
    """What the schedule's function answers."""
    schedule: Any = next(one for one in defs.schedules or [] if one.name == name)
    return schedule(build_schedule_context(instance=instance, scheduled_execution_time=datetime.now(UTC)))


def add_run(instance: DagsterInstance, account: str, status: DagsterRunStatus, **more: str) -> DagsterRun:
    run = DagsterRun(job_name="sendcloud_orders", status=status, tags={**tags.run_tags(orders, account, "live"), **more})
    return instance.add_run(run)


def accounts_requested(answer: list[RunRequest]) -> list[str]:
    return [request.tags[tags.ACCOUNT] for request in answer]


def test_a_tick_requests_todays_partition_of_every_account_and_makes_the_accounts_known(instance: DagsterInstance) -> None:
    answer = tick(instance, "sendcloud_orders_delta")
    assert accounts_requested(answer) == ACCOUNTS
    today = datetime.now(UTC).date()
    assert answer[0].partition_key in {
        str(partitions.partition_key(orders, ACCOUNTS[0], day)) for day in (today, today - timedelta(days=1))
    }
    assert answer[0].tags[tags.EXCLUSIVE] == "sendcloud/orders@sendcloud/main#live"
    assert sorted(instance.get_dynamic_partitions("sendcloud_accounts")) == ACCOUNTS


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
def test_an_account_with_a_run_under_way_is_left_alone(instance: DagsterInstance, status: DagsterRunStatus) -> None:
    add_run(instance, ACCOUNTS[0], status)
    assert accounts_requested(tick(instance, "sendcloud_orders_delta")) == ACCOUNTS[1:]
    add_run(instance, ACCOUNTS[1], status)
    assert isinstance(tick(instance, "sendcloud_orders_delta"), SkipReason)


def test_ended_runs_and_runs_of_another_lane_hold_nothing_up(instance: DagsterInstance) -> None:
    add_run(instance, ACCOUNTS[0], DagsterRunStatus.FAILURE)
    add_run(instance, ACCOUNTS[1], DagsterRunStatus.SUCCESS)
    add_run(instance, ACCOUNTS[1], DagsterRunStatus.STARTED, **{tags.EXCLUSIVE: "sendcloud/orders@sendcloud/second#backfill"})
    assert accounts_requested(tick(instance, "sendcloud_orders_delta")) == ACCOUNTS


def test_the_sweep_asks_for_thirty_days_in_the_backfill_lane(instance: DagsterInstance) -> None:
    answer = tick(instance, "sendcloud_orders_nightly_sweep")
    config = answer[0].run_config["ops"]["sendcloud__orders"]["config"]
    reach = datetime.fromisoformat(config["end"]) - datetime.fromisoformat(config["start"])
    assert (config["mode"], config["lane"], reach) == ("window", "backfill", timedelta(days=30))
    assert answer[0].tags[tags.EXCLUSIVE].endswith("#backfill")


def test_without_accounts_it_says_so(instance: DagsterInstance, accounts: list[str]) -> None:
    accounts.clear()
    skipped = tick(instance, "sendcloud_orders_delta")
    assert isinstance(skipped, SkipReason)
    assert VENDOR.name in (skipped.skip_message or "")


def test_runs_of_dead_processes_are_failed_and_living_ones_are_not(instance: DagsterInstance) -> None:
    host, pid, started = process_identity().rsplit(":", 2)
    alive = add_run(instance, ACCOUNTS[0], DagsterRunStatus.STARTED, **{tags.PROCESS: process_identity()})
    dead = add_run(instance, ACCOUNTS[0], DagsterRunStatus.STARTED, **{tags.PROCESS: f"{host}:{pid}:{int(started) - 1000}"})
    elsewhere = add_run(instance, ACCOUNTS[1], DagsterRunStatus.STARTED, **{tags.PROCESS: f"other-{host}:{pid}:1"})
    launched = add_run(instance, ACCOUNTS[1], DagsterRunStatus.STARTED)
    assert orphans.fail_orphans(instance, is_code_server_down=False) == [dead.run_id]
    assert orphans.fail_orphans(instance, is_code_server_down=True) == [launched.run_id]
    still = {run.run_id for run in instance.get_runs() if run.status is DagsterRunStatus.STARTED}
    assert still == {alive.run_id, elsewhere.run_id}
