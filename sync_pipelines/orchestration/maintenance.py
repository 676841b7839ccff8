"""The daily upkeep as a Dagster job, its row counts in the metadata of its steps; and the sensor that keeps the volumes current."""

from datetime import UTC, datetime, timedelta

from dagster import (
    Config,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    In,
    Nothing,
    OpExecutionContext,
    ScheduleDefinition,
    SensorEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    sensor,
)
from pydantic import Field

from sync_pipelines.core.maintenance import Retention, maintain
from sync_pipelines.orchestration import history, tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.orphans import fail_orphans
from sync_pipelines.orchestration.purge import purge_history
from sync_pipelines.orchestration.schedules import runtime

RUNS_DAYS = 90
_KEPT = Retention()


class RetentionConfig(Config):
    """How long our own things are kept."""

    archive_days: int = Field(default=_KEPT.archive_days, ge=1, description="Response pages, and so the reach of replay")
    finished_work_days: int = Field(default=_KEPT.finished_work_days, ge=1, description="Finished queue work, webhook deliveries")
    resolved_letters_days: int = Field(default=_KEPT.resolved_letters_days, ge=1, description="Resolved dead letters")
    reconciliations_days: int = Field(default=_KEPT.reconciliations_days, ge=1, description="Results of comparisons")


class HistoryConfig(Config):
    """How long Dagster's history is kept."""

    runs_days: int = Field(
        default=RUNS_DAYS, ge=history.RECOUNTED_DAYS + 1, description="Runs with their events and logs, check results, ticks"
    )


@op(description="Drops what is past its retention from our own tables and makes partitions ahead.")
def keep_house(context: OpExecutionContext, config: RetentionConfig, engine: Engine) -> None:
    """One pass of `core.maintenance.maintain`."""
    done = maintain(engine.runtime.database, Retention(**config.model_dump()))
    context.add_output_metadata(done.as_json())


@op(description="Fails runs whose process is gone.")
def fail_orphaned_runs(context: OpExecutionContext) -> None:
    """See `orphans.fail_orphans`."""
    context.add_output_metadata({"failed": len(fail_orphans(context.instance, is_code_server_down=False))})


@op(description="Counts the run history into sync.daily_volumes; the last closed days anew.")
def count_runs(context: OpExecutionContext, engine: Engine) -> None:
    """See `history`."""
    now, database = datetime.now(UTC), engine.runtime.database
    new = history.count_new(context.instance, database, now=now, most_steps=10_000)
    again = history.recount(context.instance, database, now=now)
    context.add_output_metadata({"runs_counted": new, "runs_counted_again": again})


@op(ins={"counted": In(Nothing)}, description="Deletes runs, events, check results and ticks past their retention.")
def purge_runs(context: OpExecutionContext, config: HistoryConfig) -> None:
    """See `purge.purge_history`; only what has been counted."""
    purged = purge_history(context.instance, datetime.now(UTC) - timedelta(days=config.runs_days))
    context.add_output_metadata(purged.as_json())


@job(
    name="maintenance",
    executor_def=in_process_executor,
    tags={tags.MAX_RUNTIME: "14400"},
    description="Our tables and Dagster's own history, kept at their retention's size; a step that fails stops none of the others.",
)
def maintenance() -> None:
    """The job."""
    keep_house()
    fail_orphaned_runs()
    purge_runs(count_runs())


@sensor(
    name="daily_volumes",
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Adds the runs that have ended since its last look to sync.daily_volumes; starts no run.",
)
def daily_volumes(context: SensorEvaluationContext) -> SkipReason:
    """See `history.count_new`; how far it is stands in ``sync.roll_ups``, in the transaction of the counts."""
    with runtime() as opened:
        counted = history.count_new(context.instance, opened.database, now=datetime.now(UTC))
    return SkipReason(f"{counted} runs counted")


defs = Definitions(
    jobs=[maintenance],
    schedules=[
        ScheduleDefinition(
            name="maintenance_daily", job=maintenance, cron_schedule="40 3 * * *", default_status=DefaultScheduleStatus.RUNNING
        )
    ],
    sensors=[daily_volumes],
)
