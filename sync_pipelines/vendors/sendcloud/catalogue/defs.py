"""Products in Dagster."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from dagster import (
    Config,
    DefaultScheduleStatus,
    JobDefinition,
    OpExecutionContext,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    schedule,
)
from psycopg import Connection
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime
from sync_pipelines.vendors.sendcloud.catalogue import inbound, outbound
from sync_pipelines.vendors.sendcloud.outcomes import told
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines.vendors.sendcloud.vendor import VENDOR

_AFTER_ORDERS = 5
"""Minutes after the delta run of orders, so that what is written onto an order is as new as can be."""


class AccountConfig(Config):
    """Which account."""

    account: str = Field(description="vendor/name, such as sendcloud/main")


class PushConfig(AccountConfig):
    """What is written onto open orders."""

    skus: list[str] = Field(default=[], description="Only these; none: all of wms.products")
    overwrite: bool = Field(default=False, description="Also replace what somebody changed at SendCloud after us")


@op(description="Derives sendcloud.products from order and parcel items.")
def refresh_products_op(context: OpExecutionContext, config: AccountConfig, engine: Engine) -> None:
    """Inbound."""
    context.add_output_metadata(inbound.refresh(engine.runtime.database, config.account).as_metadata())


@op(description="Writes wms.products onto open orders; only fields that differ.")
def push_products_op(context: OpExecutionContext, config: PushConfig, engine: Engine) -> None:
    """Outbound."""
    with told(context):
        resolved = engine.runtime.account(config.account, Lane.LIVE)
        with VENDOR.connect(resolved) as client:
            totals = outbound.push(
                engine.runtime.database,
                config.account,
                client,
                resolved.settings,
                run_id=context.run_id,
                overwrite=config.overwrite or None,
                skus=config.skus or None,
            )
    for number in sorted(totals.refused):
        context.log.warning("order %s is refused; its dead letter has the vendor's words", number)
    context.add_output_metadata(totals.as_metadata())


_TAGS = {tags.MAX_RUNTIME: "1800"}


@job(executor_def=in_process_executor, tags=_TAGS, description="Derives products from orders and parcels.")
def refresh_products() -> None:
    """The job."""
    refresh_products_op()


@job(executor_def=in_process_executor, tags=_TAGS, description="Writes the shop's master data onto open orders.")
def push_products() -> None:
    """The job."""
    push_products_op()


def _refresh_every(settings: Settings) -> int:
    return settings.products.refresh_minutes


def _push_every(settings: Settings) -> int:
    return settings.products.push_minutes


def is_due(at: datetime, every: int) -> bool:
    """Whether a beat of ``every`` minutes falls on this instant: five minutes past the quarter, when orders have just been read."""
    return every > 0 and (int(at.timestamp()) // 60 - _AFTER_ORDERS) % every == 0


def _has_master_data(connection: Connection[Any]) -> bool:
    return connection.execute("SELECT 1 FROM wms.products LIMIT 1").fetchone() is not None


def _beat(target: JobDefinition, every: Callable[[Settings], int], *, needs_master_data: bool) -> ScheduleDefinition:
    @schedule(
        name=f"sendcloud_{target.name}",
        cron_schedule="*/5 * * * *",
        execution_timezone="UTC",
        job=target,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Asks for {target.name} of each account as often as its settings.products say.",
    )
    def beat(context: ScheduleEvaluationContext) -> Any:
        requests = []
        with runtime() as opened:
            if needs_master_data:
                with opened.database.connect() as connection:
                    if not _has_master_data(connection):
                        return SkipReason("wms.products is empty")
            for account in opened.account_ids(VENDOR.account_vendors):
                exclusive = tags.exclusive("sendcloud/products", account, target.name)
                try:
                    minutes = every(opened.account(account, Lane.LIVE).settings)
                except ConfigError as error:
                    context.log.warning("%s", error)
                    continue
                if is_due(context.scheduled_execution_time, minutes) and not is_active(context.instance, exclusive):
                    config = {"ops": {f"{target.name}_op": {"config": {"account": account}}}}
                    requests.append(RunRequest(run_config=config, tags={tags.ACCOUNT: account, tags.EXCLUSIVE: exclusive}))
        return requests or SkipReason("no account's turn, or its run is under way")

    return beat


JOBS = (refresh_products, push_products)
SCHEDULES = (
    _beat(refresh_products, _refresh_every, needs_master_data=False),
    _beat(push_products, _push_every, needs_master_data=True),
)
