"""The daily upkeep as a Dagster job, its row counts in the metadata of its steps; and the sensor that keeps the volumes current."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    Config,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    Failure,
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
from pydantic import Field, create_model

from sync_pipelines.core import erasures
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.maintenance import maintain
from sync_pipelines.core.retention import Retention
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.orchestration import history, tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.orphans import fail_orphans
from sync_pipelines.orchestration.purge import purge_history
from sync_pipelines.orchestration.schedules import runtime


def _overrides(name: str, *fields: str) -> type[Config]:
    """A launch's own wishes; what it leaves open stands in the configuration's ``retention``."""
    told = Retention.model_fields
    wanted: dict[str, Any] = {
        field: (int | None, Field(default=None, ge=_least(field), description=told[field].description)) for field in fields
    }
    return create_model(name, __base__=Config, **wanted)


def _least(field: str) -> int:
    return next(int(limit.ge) for limit in Retention.model_fields[field].metadata if hasattr(limit, "ge"))


def _retention(runtime: Runtime, config: Config) -> Retention:
    return runtime.retention.model_copy(update={name: days for name, days in config.model_dump().items() if days is not None})


HISTORY = ("runs_days", "ticks_days")
"""What Dagster keeps; all else is ours."""

OursConfig = _overrides("OursConfig", *(name for name in Retention.model_fields if name not in HISTORY))
HistoryConfig = _overrides("HistoryConfig", *HISTORY)


@op(description="Drops what is past its retention from our own tables and makes partitions ahead.")
def keep_house(context: OpExecutionContext, config: OursConfig, engine: Engine) -> None:  # type: ignore[valid-type]
    """One pass of `core.maintenance.maintain`."""
    done = maintain(engine.runtime.database, _retention(engine.runtime, config))
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
def purge_runs(context: OpExecutionContext, config: HistoryConfig, engine: Engine) -> None:  # type: ignore[valid-type]
    """See `purge.purge_history`; only what has been counted."""
    now, retention = datetime.now(UTC), _retention(engine.runtime, config)
    purged = purge_history(
        context.instance, now - timedelta(days=retention.runs_days), ticks_before=now - timedelta(days=retention.ticks_days)
    )
    context.add_output_metadata(purged.as_json())


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


def erase_all(vendors: Sequence[Vendor], runtime: Runtime, *, now: datetime, run_id: str) -> Counter[str]:
    """Carries out every rule for personal data of every configured account; one account's trouble keeps none of the others.

    Raises:
        Failure: Some account's could not be carried out; the text names it.
    """
    erased: Counter[str] = Counter()
    troubles: list[str] = []
    for vendor in vendors:
        rules = [*erasures.stream_rules(vendor.streams), *vendor.erasures]
        for account in runtime.account_ids(vendor.account_vendors) if rules else ():
            try:
                erased += erasures.carry_out(rules, runtime.database, account, runtime.settings_of(account), now=now, run_id=run_id)
            except SyncError as error:
                troubles.append(f"{account}: {error}")
    if troubles:
        raise Failure("; ".join(troubles), metadata=dict(erased))
    return erased


def definitions(vendors: Sequence[Vendor]) -> Definitions:
    """The job, its schedule and the sensor.

    Args:
        vendors: Whose rules for personal data are carried out.
    """

    @op(description="Erases personal data whose time has come, in every place; sync.erasures has the record.")
    def erase_personal_data(context: OpExecutionContext, engine: Engine) -> None:
        context.add_output_metadata(dict(erase_all(vendors, engine.runtime, now=datetime.now(UTC), run_id=context.run_id)))

    @job(
        name="maintenance",
        executor_def=in_process_executor,
        tags={tags.MAX_RUNTIME: "14400"},
        description="Our tables and Dagster's history, kept at their retention's size; a step that fails stops none of the others.",
    )
    def maintenance() -> None:
        keep_house()
        erase_personal_data()
        fail_orphaned_runs()
        purge_runs(count_runs())

    return Definitions(
        jobs=[maintenance],
        schedules=[
            ScheduleDefinition(
                name="maintenance_daily", job=maintenance, cron_schedule="40 3 * * *", default_status=DefaultScheduleStatus.RUNNING
            )
        ],
        sensors=[daily_volumes],
    )
