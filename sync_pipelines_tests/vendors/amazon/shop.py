"""A seller's world in simulated time: the look-alike, Postgres and our waiting all follow one clock that tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from sync_pipelines.core.budget import Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.sync import Request, sync_stream
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.vendors.amazon.auth import login_with_amazon
from sync_pipelines.vendors.amazon.client import AmazonClient
from sync_pipelines.vendors.amazon.operations import bucket_specs
from sync_pipelines.vendors.amazon.settings import Settings
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines.vendors.amazon.vendor import Reader
from sync_pipelines_tests.sandboxes import RunningSandbox

MARKETPLACES = {
    "alpha": ("A13V1IB3VIYZZH", "A1PA6795UKMFR9"),
    "beta": ("A1F83G8C2ARO7P", "A2NODRKZP88ZB9"),
    "gamma": ("APJ6JRA9NG5V4", "A1RKKUPIHCS9HS"),
}
_SIMULATED_CLOCK = """
create schema simulated;
create table simulated.clock (ahead interval not null);
insert into simulated.clock values ('0');
create function simulated.clock_timestamp() returns timestamptz language sql volatile
    as 'select pg_catalog.clock_timestamp() + (select ahead from simulated.clock)';
"""


class Shop:
    """One look-alike, one database, and readers for its sellers; `wait` moves everybody's clock."""

    def __init__(self, sandbox: RunningSandbox, database: Database, clock: Clock) -> None:
        self.sandbox, self.control, self.database, self._clock = sandbox, sandbox.control, database, clock
        self.secrets = Secrets(database, MasterKeys.parse(MasterKeys.new()))
        self.waited_s = 0.0
        self.starts = self.now() - timedelta(days=15)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._clock.utc()

    def wait(self, seconds: float) -> None:
        """Lets time pass for the look-alike and for Postgres."""
        with self._lock:
            self.waited_s += seconds
            self._clock.advance(seconds)
            with self.database.transaction() as connection:
                connection.execute("update simulated.clock set ahead = ahead + %s", [timedelta(seconds=seconds)])

    def settings(self, tenant: str = "alpha", **changes: Any) -> Settings:
        """An account's settings; no floor between calls."""
        return Settings(**({"marketplaces": MARKETPLACES[tenant], "min_call_interval_s": 0} | changes))

    def reader(self, tenant: str = "alpha", lane: Lane = Lane.LIVE, **changes: Any) -> Reader:
        """A client of one seller whose waiting moves the clock."""
        settings, account = self.settings(tenant, **changes), f"amazon/{tenant}"
        auth = login_with_amazon(
            account=account,
            database=self.database,
            secrets=self.secrets,
            auth_url=f"{self.sandbox.base_url}/auth/o2/token",
            client_id="amzn1.application-oa2-client.sandbox",
            client_secret="sandbox-secret",
            refresh_token=f"Atzr|sandbox-{tenant}",
        )
        patience_s = 240.0 if lane is Lane.BACKFILL else 60.0
        client = AmazonClient(
            account=account,
            base_url=self.sandbox.base_url,
            auth=auth,
            budget=Budget(self.database, account, lane, bucket_specs(settings), sleep=self.wait, max_wait_s=patience_s),
            marketplaces=settings.marketplaces,
            personal_data=settings.personal_data,
            has_pace=False,
            sleep=self.wait,
            now=self.now,
        )
        return Reader(client, settings, self.database, lane=lane, now=self.now)

    def sync(self, tenant: str = "alpha", request: Request | None = None, **changes: Any) -> SyncTotals:
        """One run of ``amazon/orders``."""
        request = request or Request()
        with self.reader(tenant, request.lane, **changes) as reader:
            return sync_stream(
                orders,
                database=self.database,
                account=f"amazon/{tenant}",
                client=reader,
                run_id="test-run",
                settings=reader.settings,
                request=Request(request.mode, request.lane, request.window, self.starts),
            )

    def settle(self, tenant: str = "alpha", *, beats: int = 60, **changes: Any) -> list[SyncTotals]:
        """Lets the last changes become readable, then runs every five minutes until all is read."""
        self.wait(200)
        runs = []
        for _ in range(beats):
            runs.append(self.sync(tenant, **changes))
            if runs[-1].status is Status.COMPLETE:
                return runs
            self.wait(300)
        raise AssertionError(f"not complete after {beats} beats: {runs[-1]}")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, list(values)).fetchall()  # type: ignore[call-overload]

    def stored(self, tenant: str = "alpha") -> dict[str, Any]:
        """What is in the tables, in the words of `truth`."""
        found = {
            row[0]: {"order": row[1:], "items": {}}
            for row in self.rows(
                "select order_id, marketplace_id, status, fulfillment, sales_channel, date_trunc('second', purchased_at),"
                " date_trunc('second', last_updated_at), order_total, currency, items_shipped, items_unshipped"
                " from amazon.orders where account = %s",
                f"amazon/{tenant}",
            )
        }
        for order_id, item_id, *item in self.rows(
            "select order_id, order_item_id, asin, sku, title, quantity, quantity_shipped, item_price, item_tax, shipping_price,"
            " promotion_discount, currency from amazon.order_items where account = %s",
            f"amazon/{tenant}",
        ):
            found[order_id]["items"][item_id] = tuple(item)
        return found

    def truth(self, tenant: str = "alpha") -> dict[str, Any]:
        """What a perfect client would have stored."""
        return {order_id: _expected(order) for order_id, order in self.control.truth(tenant=tenant)["orders"].items()}

    def calls(self, path: str = "", tenant: str | None = None) -> list[dict[str, Any]]:
        """Calls in the look-alike's log."""
        log = self.control.log()
        return [entry for entry in log if path in entry["path"] and tenant in {None, entry["account"]}]

    def calls_above_plan(self) -> list[dict[str, Any]]:
        """Refusals that were no planned fault."""
        return [entry for entry in self.control.log() if entry["throttled"] and not entry["fault"]]


def _expected(order: dict[str, Any]) -> dict[str, Any]:
    def amount(money: dict[str, str] | None) -> Decimal | None:
        return Decimal(money["amount"]) if money else None

    def item(line: dict[str, Any]) -> tuple[Any, ...]:
        parts = {part["type"]: part for part in line.get("proceeds", {}).get("breakdowns", ())}

        def own(kind: str) -> Decimal | None:
            details = {part["subtype"]: part["value"] for part in parts.get(kind, {}).get("detailedBreakdowns", ())}
            return amount(details.get("ITEM"))

        price = parts.get("ITEM", {}).get("subtotal")
        shipping = parts.get("SHIPPING", {}).get("subtotal")
        product = line["product"]
        sold = (product["asin"], product["sellerSku"], product["title"], line["quantityOrdered"])
        sent = line["fulfillment"]["quantityFulfilled"]
        return (*sold, sent, amount(price), own("TAX"), amount(shipping), own("DISCOUNT"), price["currencyCode"] if price else None)

    total = order.get("proceeds", {}).get("grandTotal")
    lines = order["orderItems"]
    return {
        "order": (
            order["salesChannel"]["marketplaceId"],
            order["fulfillment"]["fulfillmentStatus"],
            order["fulfillment"]["fulfilledBy"],
            order["salesChannel"]["marketplaceName"],
            datetime.fromisoformat(order["createdTime"]).replace(microsecond=0),
            datetime.fromisoformat(order["lastUpdatedTime"]).replace(microsecond=0),
            amount(total),
            total["currencyCode"] if total else None,
            sum(line["fulfillment"]["quantityFulfilled"] for line in lines),
            sum(line["fulfillment"]["quantityUnfulfilled"] for line in lines),
        ),
        "items": {line["orderItemId"]: item(line) for line in lines},
    }


@contextmanager
def open_shop(start_sandbox: Callable[..., RunningSandbox], database_url: str, clock: Clock | None = None) -> Iterator[Shop]:
    """A world of three sellers without orders, in simulated time."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_SIMULATED_CLOCK)
        name = connection.info.dbname
        connection.execute(f"alter database {name} set search_path = simulated, pg_catalog, public")  # type: ignore[arg-type]
    clock = clock or Clock()
    running = start_sandbox("amazon", seed=3, size="empty", clock=clock)
    with Database(database_url, application_name="tests", max_connections=20) as database:
        yield Shop(running, database, clock)


@pytest.fixture
def shop(sandbox: Callable[..., RunningSandbox], database_url: str) -> Iterator[Shop]:
    """See `open_shop`."""
    with open_shop(sandbox, database_url) as opened:
        yield opened
