"""Labels in Dagster: jobs that work requests off, and a sensor that asks for a run while some wait."""

from typing import Any

from dagster import (
    Config,
    DefaultSensorStatus,
    OpExecutionContext,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    sensor,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime
from sync_pipelines.vendors.sendcloud import label_requests
from sync_pipelines.vendors.sendcloud.actions import Labels, LabelTotals
from sync_pipelines.vendors.sendcloud.outcomes import told
from sync_pipelines.vendors.sendcloud.vendor import VENDOR

_BEAT_S = 10


class LabelConfig(Config):
    """Whose labels, and for which orders."""

    account: str = Field(description="vendor/name, such as sendcloud/main")
    orders: list[str] = Field(default=[], description="Order numbers to make labels for; none: whatever waits")
    shipping_option: str | None = Field(default=None, description="Shipping option code for these orders; empty: by rule")


class CancelConfig(Config):
    """Whose labels to take back."""

    account: str = Field(description="vendor/name, such as sendcloud/main")
    requests: list[int] = Field(default=[], description="Ids of label requests; none: whatever asks for it")


def _work(context: OpExecutionContext, engine: Engine, account: str, work: Any) -> LabelTotals:
    with told(context):
        resolved = engine.runtime.account(account, Lane.LIVE)
        with VENDOR.connect(resolved) as client:
            totals: LabelTotals = work(Labels(engine.runtime.database, account, client, resolved.settings, run_id=context.run_id))
    context.add_output_metadata({**totals.as_metadata(), "account": account})
    context.log.info("%s", ", ".join(f"{count} {name}" for name, count in totals.as_metadata().items() if count) or "nothing to do")
    return totals


@op(description="Announces what is asked for in sendcloud.label_requests, and keeps the documents.")
def create_labels_op(context: OpExecutionContext, config: LabelConfig, engine: Engine) -> None:
    """Makes labels."""
    ids = None
    if config.orders:
        with engine.runtime.database.transaction() as connection:
            ids = label_requests.create(
                connection, config.account, config.orders, requested_by="dagster", shipping_option=config.shipping_option
            )
    totals = _work(context, engine, config.account, lambda labels: labels.create(ids=ids))
    if totals.failed:
        context.log.warning("%s label(s) failed; the vendor's words are in sendcloud.label_requests.error", totals.failed)


@op(description="Takes back the labels whose rows in sendcloud.label_requests ask for it.")
def cancel_labels_op(context: OpExecutionContext, config: CancelConfig, engine: Engine) -> None:
    """Cancels labels."""
    if config.requests:
        with engine.runtime.database.transaction() as connection:
            label_requests.ask_to_cancel(connection, config.account, config.requests)
    _work(context, engine, config.account, lambda labels: labels.cancel())


_TAGS = {tags.MAX_RUNTIME: "1200"}


@job(executor_def=in_process_executor, tags=_TAGS, description="Makes labels for chosen orders or for whatever waits.")
def create_labels() -> None:
    """The job."""
    create_labels_op()


@job(executor_def=in_process_executor, tags=_TAGS, description="Takes labels back.")
def cancel_labels() -> None:
    """The job."""
    cancel_labels_op()


_WAITING = """
SELECT DISTINCT account, CASE WHEN state IN ('waiting', 'sending', 'announcing') OR missing_documents <> '{}'
                              THEN 'create_labels' ELSE 'cancel_labels' END
  FROM sendcloud.label_requests
 WHERE next_attempt_at <= clock_timestamp()
   AND (state IN ('waiting', 'sending', 'announcing', 'cancelling') OR (state = 'done' AND missing_documents <> '{}')
        OR (state = 'done' AND cancel_requested_at IS NOT NULL AND cancel_outcome IS NULL))
"""


def requests_for(waiting: list[tuple[str, str]], known: set[str], busy: Any) -> list[RunRequest]:
    """A run for each account and job with due requests and none under way."""
    requests = []
    for account, name in sorted(waiting):
        exclusive = tags.exclusive("sendcloud/labels", account, name)
        if account in known and not busy(exclusive):
            config = {"ops": {f"{name}_op": {"config": {"account": account}}}}
            requests.append(RunRequest(job_name=name, run_config=config, tags={tags.ACCOUNT: account, tags.EXCLUSIVE: exclusive}))
    return requests


@sensor(
    name="label_requests_sensor",
    jobs=[create_labels, cancel_labels],
    minimum_interval_seconds=_BEAT_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="Asks for a run while label requests or cancellations are due.",
)
def _label_requests(context: SensorEvaluationContext) -> Any:
    with runtime() as opened, opened.database.connect() as connection:
        waiting = connection.execute(_WAITING).fetchall()
        known = set(opened.account_ids(VENDOR.account_vendors))
    found = requests_for(waiting, known, lambda exclusive: is_active(context.instance, exclusive))
    return found or SkipReason("no label request is due")


label_requests_sensor: SensorDefinition = _label_requests
