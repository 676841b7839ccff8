"""Jobs and schedules of streams: delta runs on their beat, sweeps in a lower lane, never two of a kind at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    schedule,
)

from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.stream import Stream, Sweep
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.orchestration import checks, partitions, tags
from sync_pipelines.orchestration.engine import open_runtime

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@contextmanager
def runtime() -> Iterator[Runtime]:
    """A runtime for the length of a tick."""
    opened = open_runtime()
    try:
        yield opened
    finally:
        opened.database.close()


def job_name(stream: Stream[Any]) -> str:
    """``sendcloud_orders``."""
    return f"{stream.vendor}_{stream.name}"


def stream_job(vendor: Vendor, stream: Stream[Any]) -> Any:
    """The job that materializes one stream's asset; one process a run."""
    asset = AssetKey([vendor.name, stream.name])
    selection: AssetSelection = AssetSelection.assets(asset)
    if stream.reconciling is not None:
        selection -= AssetSelection.checks(AssetCheckKey(asset, checks.RECONCILED))
    return define_asset_job(
        job_name(stream),
        selection=selection,
        description=f"Reads {stream.key} for one account.",
        tags={tags.STREAM: stream.key, tags.MAX_RUNTIME: tags.seconds(stream.max_runtime)},
        executor_def=in_process_executor,
    )


def is_active(instance: DagsterInstance, exclusive: str) -> bool:
    """Whether a run with this `tags.EXCLUSIVE` value is queued or running."""
    return bool(instance.get_runs(RunsFilter(tags={tags.EXCLUSIVE: exclusive}, statuses=UNFINISHED), limit=1))


def delta_schedule(vendor: Vendor, stream: Stream[Any], job: Any) -> ScheduleDefinition:
    """Requests a delta run of each account that has none under way."""

    @schedule(
        name=f"{job_name(stream)}_delta",
        cron_schedule=stream.cron or "",
        execution_timezone="UTC",
        job=job,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"What is new in {stream.key}, for every account without a run under way.",
    )
    def delta(context: ScheduleEvaluationContext) -> Any:
        return _requests(context.instance, vendor, stream, lane_group="live", run_config={})

    return delta


def sweep_schedule(vendor: Vendor, stream: Stream[Any], sweep: Sweep, job: Any) -> ScheduleDefinition:
    """Re-reads recent time in the backfill lane against changes that showed up late."""

    @schedule(
        name=f"{job_name(stream)}_{sweep.name}_sweep",
        cron_schedule=sweep.cron,
        execution_timezone="UTC",
        job=job,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Re-reads the last {sweep.reach} of {stream.key}, yielding to live runs.",
    )
    def swept(context: ScheduleEvaluationContext) -> Any:
        end = datetime.now(UTC) - stream.safety_lag
        config = {"mode": "window", "lane": "backfill", "start": (end - sweep.reach).isoformat(), "end": end.isoformat()}
        return _requests(context.instance, vendor, stream, lane_group="backfill", run_config=op_config(stream, config))

    return swept


def op_config(stream: Stream[Any], config: dict[str, Any]) -> dict[str, Any]:
    """Run config of a stream's job."""
    return {"ops": {f"{stream.vendor}__{stream.name}": {"config": config}}}


def _requests(
    instance: DagsterInstance, vendor: Vendor, stream: Stream[Any], *, lane_group: str, run_config: dict[str, Any]
) -> list[RunRequest] | SkipReason:
    with runtime() as opened:
        accounts = [account for account in opened.account_ids(vendor.account_vendors) if stream.reads_from(account)]
    if not accounts:
        return SkipReason(f"no {vendor.name} account is configured")
    partitions.register_accounts(instance, vendor, accounts)
    today = datetime.now(UTC).date()
    requests = [
        RunRequest(
            partition_key=partitions.partition_key(stream, account, today),
            run_config=run_config,
            tags=tags.run_tags(stream, account, lane_group),
        )
        for account in accounts
        if not is_active(instance, tags.exclusive(stream.key, account, lane_group))
    ]
    return requests or SkipReason("a run of each account is queued or running")


def stream_schedules(vendor: Vendor) -> tuple[list[Any], list[ScheduleDefinition]]:
    """Jobs and schedules of all streams of a vendor."""
    jobs, schedules = [], []
    for stream in vendor.streams:
        job = stream_job(vendor, stream)
        jobs.append(job)
        if stream.cron:
            schedules.append(delta_schedule(vendor, stream, job))
        schedules += [sweep_schedule(vendor, stream, sweep, job) for sweep in stream.sweeps]
    return jobs, schedules
