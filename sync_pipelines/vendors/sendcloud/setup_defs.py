"""The first filling of an account's tables in Dagster, step by step: ``sendcloud_initial_setup``."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dagster import (
    Failure,
    In,
    JobDefinition,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    graph,
    in_process_executor,
    op,
)

from sync_pipelines.core import partitions
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.store import Storer
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.vendors.sendcloud import streams
from sync_pipelines.vendors.sendcloud.catalogue import inbound
from sync_pipelines.vendors.sendcloud.catalogue.defs import AccountConfig
from sync_pipelines.vendors.sendcloud.client import SendCloudClient
from sync_pipelines.vendors.sendcloud.outcomes import told
from sync_pipelines.vendors.sendcloud.reference import streams as reference
from sync_pipelines.vendors.sendcloud.vendor import check, connect, prerequisites

Work = Callable[[AccountContext, SendCloudClient, str], dict[str, Any]]
"""What a step does with account, client and run id; answers its counts."""


def _step(name: str, description: str, work: Work) -> OpDefinition:
    @op(name=name, description=description, ins={"before": In(Nothing)})
    def step(context: OpExecutionContext, config: AccountConfig, engine: Engine) -> None:
        started = time.monotonic()
        with told(context):
            account = engine.runtime.account(config.account, Lane.LIVE)
            with connect(account) as client:
                numbers = work(account, client, context.run_id)
                calls = {"api_calls": client.stats.api_calls}
        context.add_output_metadata({**numbers, **calls, "duration_s": round(time.monotonic() - started, 3)})

    return step


def _test(account: AccountContext, client: SendCloudClient, run_id: str) -> dict[str, Any]:
    del run_id
    items = [*check(client), *prerequisites(account.id, account.settings)]
    if broken := [item for item in items if not item.is_ok]:
        raise Failure("; ".join(f"{item.what}: {item.detail}" for item in broken), allow_retries=False)
    return {item.what.replace(" ", "_"): item.detail for item in items}


def _whole(*wanted: Stream[Any]) -> Work:
    def work(account: AccountContext, client: SendCloudClient, run_id: str) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        for stream in wanted:
            totals = sync_stream(
                stream,
                database=account.database,
                account=account.id,
                client=client,
                run_id=run_id,
                settings=account.settings,
                request=Request(Mode.FULL),
            )
            numbers |= {stream.name: totals.fetched, f"{stream.name}_written": totals.written}
        return numbers

    return work


def _products(account: AccountContext, client: SendCloudClient, run_id: str) -> dict[str, Any]:
    del run_id
    totals = inbound.survey(account.database, account.id, client, account.settings)
    return {
        "products": totals.looked_at,
        "products_written": totals.written,
        "products_conflicting": totals.conflicting,
        "orders_looked_at": totals.orders,
        "orders_unreadable": totals.unreadable,
    }


def _newest_orders(account: AccountContext, client: SendCloudClient, run_id: str) -> dict[str, Any]:
    page, now = streams.newest_orders(client), datetime.now(UTC)
    storer = Storer(streams.orders, account.id, run_id, account.settings)
    with account.database.transaction() as connection:
        partitions.ensure_days(connection, "archive", first=now.date())
        outcome = storer.page(connection, page, received_at=now)
        known = connection.execute(
            "SELECT count(*) FROM sendcloud.orders WHERE account = %s AND deleted_at IS NULL", [account.id]
        ).fetchone()
    return {
        "orders": outcome.fetched,
        "orders_written": outcome.counts.inserted + outcome.counts.updated,
        "orders_dead_lettered": outcome.dead_lettered,
        "orders_stored": known[0] if known else 0,
        "all_history": f"backfill sendcloud/orders in the UI, or `sync-pipelines sync sendcloud/orders -a {account.id} --full`",
    }


_connection = _step("test_connection", "Tries credentials and permissions.", _test)
_carriers = _step(
    "read_carriers",
    "Carriers, contracts, sender addresses, shop connections.",
    _whole(reference.carriers, reference.contracts, reference.sender_addresses, reference.integrations),
)
_methods = _step(
    "read_shipping_methods", "v2 methods and v3 options.", _whole(reference.shipping_methods, reference.shipping_options)
)
_all_products = _step("read_products", "Products of every order the vendor lists; the orders themselves are not stored.", _products)
_orders = _step("read_orders", "The last 100 orders; all history is a backfill of sendcloud/orders.", _newest_orders)


@graph(description="Connection, carriers, methods, products, the last orders: safe to run again.")
def sendcloud_initial_setup_graph() -> None:
    """The steps, one after the other."""
    _orders(_all_products(_methods(_carriers(_connection()))))


sendcloud_initial_setup: JobDefinition = sendcloud_initial_setup_graph.to_job(
    name="sendcloud_initial_setup", executor_def=in_process_executor, tags={tags.MAX_RUNTIME: "1800"}
)
