"""The daily upkeep as a Dagster job, its row counts in the run's metadata."""

from dagster import (
    Config,
    DefaultScheduleStatus,
    Definitions,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from sync_pipelines.core.maintenance import Retention, maintain
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine


class RetentionConfig(Config):
    """How long things are kept."""

    archive_days: int = Field(default=Retention().archive_days, ge=1, description="Response pages, and so the reach of replay")
    resolved_letters_days: int = Field(default=Retention().resolved_letters_days, ge=1, description="Resolved dead letters")


@op(name="keep_house", description="Drops what is past its retention and makes partitions ahead.")
def keep_house(context: OpExecutionContext, config: RetentionConfig, engine: Engine) -> None:
    """One pass of `core.maintenance.maintain`."""
    done = maintain(engine.runtime.database, Retention(config.archive_days, config.resolved_letters_days))
    context.add_output_metadata(done.as_json())


@job(
    name="maintenance",
    executor_def=in_process_executor,
    tags={tags.MAX_RUNTIME: "3600"},
    description="Archive, dead letters and partitions, kept at their retention's size.",
)
def maintenance() -> None:
    """The job."""
    keep_house()


defs = Definitions(
    jobs=[maintenance],
    schedules=[
        ScheduleDefinition(
            name="maintenance_daily", job=maintenance, cron_schedule="40 3 * * *", default_status=DefaultScheduleStatus.RUNNING
        )
    ],
)
