"""Draining webhooks in Dagster: one job, asked for while events wait."""

from typing import Any

from dagster import (
    DefaultSensorStatus,
    OpExecutionContext,
    RunRequest,
    SensorEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    sensor,
)

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.queue import has_work
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime
from sync_pipelines.vendors.sendcloud import webhooks
from sync_pipelines.vendors.sendcloud.vendor import VENDOR

_EXCLUSIVE = tags.exclusive("sendcloud/webhooks", "all", "webhook")


@op(description="Stores the parcel events that webhooks brought.")
def store_sendcloud_webhooks_op(context: OpExecutionContext, engine: Engine) -> None:
    """Drains the queue."""
    runtime_ = engine.runtime
    accounts = runtime_.account_ids(VENDOR.account_vendors)
    settings = {account: runtime_.account(account, Lane.WEBHOOK).settings for account in accounts}
    count = webhooks.drain(runtime_.database, settings, run_id=context.run_id)
    context.add_output_metadata({"fetched": count})


@job(executor_def=in_process_executor, tags={tags.MAX_RUNTIME: "600"}, description="Stores waiting webhooks of SendCloud.")
def store_sendcloud_webhooks() -> None:
    """The job."""
    store_sendcloud_webhooks_op()


@sensor(
    name="sendcloud_webhooks_sensor",
    job=store_sendcloud_webhooks,
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Asks for a run while webhooks wait.",
)
def sendcloud_webhooks_sensor(context: SensorEvaluationContext) -> Any:
    """One run at a time."""
    with runtime() as opened, opened.database.connect() as connection:
        is_waiting = has_work(connection, webhooks.QUEUE.name)
    if not is_waiting or is_active(context.instance, _EXCLUSIVE):
        return SkipReason("no webhook waits, or a run is under way")
    return RunRequest(tags={tags.EXCLUSIVE: _EXCLUSIVE})
