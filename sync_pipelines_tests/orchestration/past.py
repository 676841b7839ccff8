"""A Dagster instance on Postgres whose runs can be given any past."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    AssetMaterialization,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    EventLogEntry,
)
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import StepMaterializationData
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.utils import make_new_backfill_id, make_new_run_id
from sqlalchemy import create_engine

from sync_pipelines.orchestration import tags

_CONFIG = """
storage:
  postgres:
    postgres_url: "{url}"
local_artifact_storage:
  module: dagster._core.storage.root
  class: LocalArtifactStorage
  config: {{base_dir: "{home}"}}
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config: {{base_dir: "{home}"}}
telemetry: {{enabled: false}}
"""

_ENDS = {
    DagsterRunStatus.SUCCESS: DagsterEventType.RUN_SUCCESS,
    DagsterRunStatus.FAILURE: DagsterEventType.RUN_FAILURE,
    DagsterRunStatus.CANCELED: DagsterEventType.RUN_CANCELED,
}


def postgres_instance(url: str, home: Path) -> DagsterInstance:
    """An instance whose tables are in schema ``dagster`` of a test's database."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("create schema if not exists dagster")
    separator = "&" if "?" in url else "?"
    dagster_url = url.replace("postgresql://", "postgresql+psycopg2://") + f"{separator}options=-csearch_path%3Ddagster"
    (home / "dagster.yaml").write_text(_CONFIG.format(url=dagster_url, home=home))
    instance = DagsterInstance.from_config(str(home))
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        # Dagster opens a connection for every statement; a year of them would be spent with that.
        storage._engine = create_engine(dagster_url, isolation_level="AUTOCOMMIT", pool_size=2)  # type: ignore[union-attr]
    return instance


def live_through(
    instance: DagsterInstance,
    url: str,
    *,
    stream: str,
    account: str,
    ended: datetime,
    status: DagsterRunStatus = DagsterRunStatus.SUCCESS,
    took: timedelta = timedelta(seconds=30),
    job: str = "toy_things",
    **numbers: Any,
) -> str:
    """Adds one run of the past with its start, its numbers, a check and its end."""
    run_id = make_new_run_id()
    instance.add_run(DagsterRun(job, run_id=run_id, tags={tags.ACCOUNT: account, tags.STREAM: stream}))
    key = AssetKey(stream.split("/"))
    _event(instance, run_id, job, DagsterEventType.RUN_START, ended - took)
    if numbers:
        made = AssetMaterialization(key, metadata={"account": account, **numbers})
        _event(instance, run_id, job, DagsterEventType.ASSET_MATERIALIZATION, ended, StepMaterializationData(made))
        checked = AssetCheckEvaluation(key, "coverage", passed=True, metadata={}, severity=AssetCheckSeverity.WARN)
        _event(instance, run_id, job, DagsterEventType.ASSET_CHECK_EVALUATION, ended, checked)
    _event(instance, run_id, job, _ENDS[status], ended)
    with psycopg.connect(url, autocommit=True) as admin:
        moment = ended.replace(tzinfo=None)
        admin.execute(
            "update dagster.runs set create_timestamp = %s, update_timestamp = %s where run_id = %s", [moment, moment, run_id]
        )
        admin.execute("update dagster.asset_check_executions set create_timestamp = %s where run_id = %s", [moment, run_id])
    return run_id


def _event(instance: DagsterInstance, run_id: str, job: str, kind: DagsterEventType, at: datetime, data: Any = None) -> None:
    event = DagsterEvent(kind.value, job, event_specific_data=data, step_key="step" if data else None)
    entry = EventLogEntry(
        None, logging.INFO, "", run_id, at.timestamp(), step_key=event.step_key, job_name=job, dagster_event=event
    )
    instance.handle_new_event(entry)


def add_schedule(instance: DagsterInstance, name: str = "toy_things_delta") -> InstigatorState:
    """A schedule that runs, as the daemon would note it."""
    location = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin(host="localhost", port=4000), "__repository__")
    origin = RemoteInstigatorOrigin(location, name)
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, ScheduleInstigatorData("*/5 * * * *", None))
    instance.add_instigator_state(state)
    return state


def add_tick(instance: DagsterInstance, of: InstigatorState, at: datetime) -> None:
    """One successful tick of the past."""
    who = (of.instigator_origin_id, of.instigator_name, of.instigator_type)
    instance.create_tick(TickData(*who, TickStatus.SUCCESS, at.timestamp(), run_ids=[], selector_id=of.selector_id))


def add_backfill(
    instance: DagsterInstance, at: datetime, status: BulkActionStatus = BulkActionStatus.COMPLETED_SUCCESS
) -> PartitionBackfill:
    """A backfill of the past; its runs, if it has any, carry the tag ``dagster/backfill``."""
    backfill = PartitionBackfill(
        backfill_id=make_new_backfill_id(),
        status=status,
        from_failure=False,
        tags={"toy": "yes"},
        backfill_timestamp=at.timestamp(),
        asset_selection=[],
        serialized_asset_backfill_data="{}",
    )
    instance.add_backfill(backfill)
    return backfill
