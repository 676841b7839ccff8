"""What we read of Dagster's tables is what a real Dagster instance has written there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetKey, AssetMaterialization, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from dagster._daemon.types import DaemonHeartbeat

from sync_pipelines.config.environment import dagster_url
from sync_pipelines.core.db import Database
from sync_pipelines.overview import dagster_tables

SOON = timedelta(minutes=1)


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[DagsterInstance]:
    """A real instance on the product's own kind of storage."""
    (tmp_path / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{dagster_url(database_url)}'}}}}\n")
    with DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def test_runs_of_a_job_come_newest_first_with_their_tags(database: Database, instance: DagsterInstance) -> None:
    tags = {"sync/account": "amazon/north", "sync/stream": "amazon/orders"}
    first = instance.add_run(DagsterRun(job_name="amazon_orders", status=DagsterRunStatus.NOT_STARTED, tags=tags))
    second = instance.add_run(
        DagsterRun(
            job_name="amazon_orders",
            status=DagsterRunStatus.STARTED,
            tags={"dagster/partition/account": "amazon/south", "dagster/partition": "amazon/south|2026-01-01"},
        )
    )
    instance.report_run_failed(first)
    with database.connect() as connection:
        runs = dagster_tables.newest_runs(connection, [("amazon_orders", 2), ("nothing", 1)])
        failed = dagster_tables.failed_runs(connection)
        state = dagster_tables.instance(connection)
    assert [(run.run_id, run.status, run.account, run.stream) for run in runs] == [
        (second.run_id, "STARTED", "amazon/south", None),
        (first.run_id, "FAILURE", "amazon/north", "amazon/orders"),
    ]
    assert runs[0].ended_at is None
    assert runs[1].ended_at is not None
    assert abs(datetime.now(UTC) - runs[1].ended_at) < SOON
    assert abs(datetime.now(UTC) - runs[0].started_at) < SOON
    assert [run.run_id for run in failed] == [first.run_id]
    assert (state.queued, state.running) == (0, 1)


def test_heartbeats_and_stopped_schedules_are_seen(database: Database, instance: DagsterInstance) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(datetime.now(UTC).timestamp(), "SCHEDULER", "id", errors=[]))
    location = RemoteRepositoryOrigin(
        GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="here"), "__repository__"
    )
    for name, status in (("amazon_orders_delta", InstigatorStatus.STOPPED), ("sendcloud_orders_delta", InstigatorStatus.RUNNING)):
        origin = RemoteInstigatorOrigin(repository_origin=location, instigator_name=name)
        instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SCHEDULE, status, ScheduleInstigatorData("*/5 * * * *", None))
        )
    with database.connect() as connection:
        assert dagster_tables.stopped_schedules(connection) == {"amazon_orders_delta"}
        beat = dagster_tables.instance(connection).daemon_beat_at
    assert beat is not None
    assert abs(datetime.now(UTC) - beat) < SOON


def test_materializations_of_a_partition_are_found(database: Database, instance: DagsterInstance) -> None:
    instance.report_runless_asset_event(AssetMaterialization(AssetKey(["suppliers", "stock"]), partition="bigbuy/main"))
    with database.connect() as connection:
        found = dagster_tables.last_materialized(
            connection, [("suppliers/stock", "bigbuy/main"), ("suppliers/stock", "aliexpress/main")]
        )
    assert found.keys() == {("suppliers/stock", "bigbuy/main")}
    assert abs(datetime.now(UTC) - found["suppliers/stock", "bigbuy/main"]) < SOON
