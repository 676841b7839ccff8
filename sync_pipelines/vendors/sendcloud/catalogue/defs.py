"""Products in Dagster."""

from dagster import (
    Config,
    OpExecutionContext,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.vendors.sendcloud.catalogue import inbound, outbound
from sync_pipelines.vendors.sendcloud.vendor import VENDOR


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
    for number, words in sorted(totals.refused.items()):
        context.log.warning("order %s is refused: %s", number, words)
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


JOBS = (refresh_products, push_products)
