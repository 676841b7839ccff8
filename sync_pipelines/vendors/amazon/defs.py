"""Amazon in Dagster: its stream, and the jobs beside the beat."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetKey,
    AssetMaterialization,
    Config,
    DefaultScheduleStatus,
    Failure,
    JobDefinition,
    OpExecutionContext,
    RetryRequested,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    schedule,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import StreamBusy, SyncError, TransientError
from sync_pipelines.core.totals import Status
from sync_pipelines.orchestration import launchpad, partitions, progress, tags
from sync_pipelines.orchestration.assets import metadata_of
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime
from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.amazon import actions, reports
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines.vendors.amazon.vendor import VENDOR, connect

_REPORTS_RETRY_S = 600
"""A bulk backfill whose reports are still being made looks again after this …"""
_REPORTS_RETRIES = 36
"""… this many times: six hours."""


class AccountConfig(Config):
    """Which tenant."""

    account: str = Field(description="vendor/name")


class SweepConfig(AccountConfig):
    """Which tenant, and how far back."""

    hours: int = Field(default=48, ge=1, description="Hours to read again")


class BulkConfig(AccountConfig):
    """Which tenant, and which time."""

    start: str = Field(description="First instant (ISO 8601, UTC if no zone)")
    end: str = Field(description="End, exclusive (ISO 8601, UTC if no zone)")
    poll_s: float = Field(default=30, ge=0, description="Seconds between looks whether Amazon has made the reports")


@op(description="Finds orders whose lines are absent or fewer than the order says, and reads them one by one.")
def sync_missing_items(context: OpExecutionContext, config: AccountConfig, engine: Engine) -> None:
    """See `actions.sync_missing_items`."""
    with _as_dagster(context), connect(engine.runtime.account(config.account, Lane.RETRY)) as reader:
        done = actions.sync_missing_items(reader, database=engine.runtime.database, account=config.account, run_id=context.run_id)
    context.add_output_metadata({name: value for name, value in asdict(done).items() if value is not None})


@op(description="Reads recent time again against orders that showed up late, as far back as the quota can afford.")
def sweep_orders(context: OpExecutionContext, config: SweepConfig, engine: Engine) -> None:
    """See `actions.sweep`."""
    database = engine.runtime.database
    with _as_dagster(context), connect(engine.runtime.account(config.account, Lane.BACKFILL)) as reader:
        done = actions.sweep(
            reader, database=database, account=config.account, run_id=context.run_id, reach=timedelta(hours=config.hours)
        )
    context.log.info("%s: %s", config.account, done.says)
    facts = {"account": config.account, "sweep": done.says, "skipped_h": done.skipped_h, "calls_affordable": done.calls_affordable}
    context.add_output_metadata(facts)
    if done.totals is not None:
        partition = partitions.partition_key(orders, config.account, datetime.now(UTC).date())
        metadata = metadata_of(done.totals) | facts
        context.log_event(AssetMaterialization(AssetKey(["amazon", "orders"]), partition=partition, metadata=metadata))


@op(description="Stores a history from reports, for which the quota of single calls would take days.")
def backfill_reports(context: OpExecutionContext, config: BulkConfig, engine: Engine) -> None:
    """See `reports.backfill`."""
    window = launchpad.required_window(config.start, config.end)
    with _as_dagster(context), connect(engine.runtime.account(config.account, Lane.BACKFILL)) as reader:
        totals = reports.backfill(
            reader,
            database=engine.runtime.database,
            account=config.account,
            window=window,
            run_id=context.run_id,
            poll_s=config.poll_s,
            on_progress=progress.reporter(context.log.info),
        )
    for day in partitions.days_touched(totals.windows):
        partition = partitions.partition_key(orders, config.account, day)
        read_by = {"account": config.account, "source": "report"}
        context.log_event(AssetMaterialization(AssetKey(["amazon", "orders"]), partition=partition, metadata=read_by))
    context.add_output_metadata(metadata_of(totals))
    if totals.status is Status.PARTIAL:
        context.log.info("%s", totals.stopped_because)
        raise RetryRequested(max_retries=_REPORTS_RETRIES, seconds_to_wait=_REPORTS_RETRY_S)


@job(name="amazon_sync_missing_items", executor_def=in_process_executor, tags={tags.MAX_RUNTIME: "3600"})
def missing_items_job() -> None:
    """Reads orders anew whose lines are missing."""
    sync_missing_items()


@job(name="amazon_orders_sweep", executor_def=in_process_executor, tags={tags.MAX_RUNTIME: "14400", tags.STREAM: orders.key})
def sweep_job() -> None:
    """Reads recent orders again in the backfill lane; leaves out what the quota cannot afford, and says so."""
    sweep_orders()


@job(name="amazon_backfill_reports", executor_def=in_process_executor, tags={tags.MAX_RUNTIME: "86400"})
def backfill_reports_job() -> None:
    """Stores a long history from reports; goes on with the reports it asked for."""
    backfill_reports()


def _beat(name: str, target: JobDefinition, op_name: str, cron: str, lane_group: str, **config: Any) -> ScheduleDefinition:
    """Requests a run of each tenant that has none of this kind under way."""

    @schedule(name=name, cron_schedule=cron, job=target, execution_timezone="UTC", default_status=DefaultScheduleStatus.RUNNING)
    def beat(context: ScheduleEvaluationContext) -> Any:
        with runtime() as opened:
            accounts = opened.account_ids(VENDOR.account_vendors)
        requests = []
        for account in accounts:
            exclusive = tags.exclusive(orders.key if lane_group == "backfill" else target.name, account, lane_group)
            if not is_active(context.instance, exclusive):
                run_config = {"ops": {op_name: {"config": {"account": account, **config}}}}
                requests.append(RunRequest(run_config=run_config, tags={tags.ACCOUNT: account, tags.EXCLUSIVE: exclusive}))
        return requests or SkipReason("no account, or a run of each is queued or running")

    return beat


@contextmanager
def _as_dagster(context: OpExecutionContext) -> Iterator[None]:
    """Errors of ours as Dagster's: transient ones are tried again, the others fail for good."""
    try:
        yield
    except TransientError as error:
        context.log.warning("%s", error)
        raise RetryRequested(max_retries=3, seconds_to_wait=60) from error
    except StreamBusy as error:
        raise RetryRequested(max_retries=40, seconds_to_wait=30) from error
    except SyncError as error:
        raise Failure(str(error), metadata={"error_type": type(error).__name__}, allow_retries=False) from error


defs = vendor_definitions(
    VENDOR,
    jobs=[missing_items_job, sweep_job, backfill_reports_job],
    schedules=[
        _beat("amazon_missing_items", missing_items_job, "sync_missing_items", "20 * * * *", "retry"),
        _beat("amazon_orders_daily_sweep", sweep_job, "sweep_orders", "40 1 * * *", "backfill", hours=48),
        _beat("amazon_orders_weekly_sweep", sweep_job, "sweep_orders", "40 3 * * 0", "backfill", hours=168),
    ],
)
