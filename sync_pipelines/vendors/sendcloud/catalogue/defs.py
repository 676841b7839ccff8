"""Products and the initial setup in Dagster."""

import time
from collections.abc import Callable
from typing import Any

from dagster import (
    Config,
    Failure,
    In,
    JobDefinition,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    graph,
    in_process_executor,
    job,
    op,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.vendors.sendcloud import streams
from sync_pipelines.vendors.sendcloud.catalogue import inbound, outbound
from sync_pipelines.vendors.sendcloud.reference import streams as reference
from sync_pipelines.vendors.sendcloud.vendor import VENDOR, check


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


def _step(name: str, description: str, work: Callable[[Engine, str, str], dict[str, Any]]) -> OpDefinition:
    @op(name=name, description=description, ins={"before": In(Nothing)})
    def step(context: OpExecutionContext, config: AccountConfig, engine: Engine) -> None:
        started = time.monotonic()
        numbers = work(engine, config.account, context.run_id)
        context.add_output_metadata({**numbers, "duration_s": round(time.monotonic() - started, 3)})

    return step


def _test(engine: Engine, account: str, run_id: str) -> dict[str, Any]:
    del run_id
    with VENDOR.connect(engine.runtime.account(account, Lane.LIVE)) as client:
        items = check(client)
    if broken := [item for item in items if not item.is_ok]:
        raise Failure("; ".join(f"{item.what}: {item.detail}" for item in broken), allow_retries=False)
    return {item.what.replace(" ", "_"): item.detail for item in items}


def _sync(*wanted: Stream[Any], mode: Mode = Mode.FULL) -> Callable[[Engine, str, str], dict[str, Any]]:
    def work(engine: Engine, account: str, run_id: str) -> dict[str, Any]:
        resolved = engine.runtime.account(account, Lane.LIVE)
        numbers: dict[str, Any] = {}
        with VENDOR.connect(resolved) as client:
            for stream in wanted:
                start = getattr(resolved.settings, "start", None)
                totals = sync_stream(
                    stream,
                    database=engine.runtime.database,
                    account=account,
                    client=client,
                    run_id=run_id,
                    settings=resolved.settings,
                    request=Request(mode, Lane.LIVE, None, start),
                )
                numbers |= {f"{stream.name}_fetched": totals.fetched, f"{stream.name}_written": totals.written}
        return numbers

    return work


def _products(engine: Engine, account: str, run_id: str) -> dict[str, Any]:
    del run_id
    return inbound.refresh(engine.runtime.database, account, everything=True).as_metadata()


_connection = _step("test_connection", "Tries credentials and permissions.", _test)
_carriers = _step(
    "read_carriers",
    "Carriers, contracts, sender addresses, shop connections.",
    _sync(reference.carriers, reference.contracts, reference.sender_addresses, reference.integrations),
)
_methods = _step(
    "read_shipping_methods", "v2 methods and v3 options.", _sync(reference.shipping_methods, reference.shipping_options)
)
_orders = _step(
    "read_orders",
    "Recent orders and parcels; all history is a backfill of sendcloud/orders.",
    _sync(streams.orders, streams.parcels, mode=Mode.INCREMENTAL),
)
_all_products = _step("derive_products", "Products of all orders read.", _products)

SETUP_STEPS = ("test_connection", "read_carriers", "read_shipping_methods", "read_orders", "derive_products")


@graph(description="Connection, carriers, methods, orders, products: safe to run again.")
def sendcloud_initial_setup_graph() -> None:
    """The steps, one after the other."""
    _all_products(_orders(_methods(_carriers(_connection()))))


sendcloud_initial_setup: JobDefinition = sendcloud_initial_setup_graph.to_job(
    name="sendcloud_initial_setup", executor_def=in_process_executor, tags=_TAGS
)
JOBS = (refresh_products, push_products, sendcloud_initial_setup)
