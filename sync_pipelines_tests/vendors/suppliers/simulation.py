"""BigBuy in simulated time: supplier, budget and planner share a clock that moves only when somebody waits or calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from sync_pipelines.core.budget import Budget
from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers import planner, requests
from sync_pipelines.vendors.suppliers.bigbuy.client import BUCKETS, HOURLY, BigBuyClient, open_http
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines.vendors.suppliers.session import Session
from sync_pipelines.vendors.suppliers.streams import STREAMS

START = 1_800_000_000.4
CALL_S = 5.0
"""How long a call takes in simulated time."""

ACCOUNT = "bigbuy/main"


class _TimedTransport(httpx.HTTPTransport):
    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        self._passed(CALL_S)
        return response


@dataclass
class Simulation:
    """One account of a supplier whose look-alike has a frozen clock that starts at `START`.

    Attributes:
        database: Ours; its `suppliers.now()` becomes the simulated time.
        base_url: The look-alike.
        move_supplier: Advances the look-alike's clock.
        settings: The account's.
        wrap: What is done around each stored page (faults); by default nothing.
    """

    database: Database
    base_url: str
    move_supplier: Callable[[float], Any]
    settings: Settings
    now: float = START
    calls: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.database.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS public.simulated (at float8)")
            connection.execute("TRUNCATE public.simulated")
            connection.execute("INSERT INTO public.simulated VALUES (%s)", [self.now])
            connection.execute(
                "CREATE OR REPLACE FUNCTION suppliers.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
                " AS 'SELECT to_timestamp(at) FROM public.simulated'"
            )

    def advance(self, seconds: float) -> None:
        """Time passes for everybody."""
        if seconds <= 0:
            return
        self.now += seconds
        self.move_supplier(seconds)
        with self.database.connect() as connection:
            connection.execute("UPDATE public.simulated SET at = at + %s", [seconds])

    @property
    def context(self) -> AccountContext:
        return AccountContext(ACCOUNT, self.base_url, None, {"api_key": "sandbox-key"}, self.settings, self.database, None)

    def session(self) -> Session:
        """A session whose budget and transport live in simulated time."""
        budget = Budget(self.database, ACCOUNT, self.context.lane, BUCKETS, now_sql="suppliers.now()", sleep=self.advance)
        http = open_http(
            account=ACCOUNT,
            base_url=self.base_url,
            api_key="sandbox-key",
            budget=budget,
            transport=_TimedTransport(self.advance),
            sleep=self.advance,
            now=lambda: datetime.fromtimestamp(self.now, UTC),
        )
        return Session(CONNECTOR, BigBuyClient(http, self.settings), self.context)

    def run(self, table: str) -> SyncTotals:
        """One run of one table."""
        with self.session() as session:
            return sync_stream(
                STREAMS[table], database=self.database, account=ACCOUNT, client=session, run_id="simulated", settings=self.settings
            )

    def work_off(self, *, until: float | None = None, request_again: tuple[Kind, ...] = ()) -> None:
        """Works on requests as the sensor would, waiting for windows in between, until none is left (or a simulated time)."""
        while until is None or self.now < until:
            for kind in request_again:
                requests.request_sync(self.database, ACCOUNT, kind, by="test", if_idle=True)
            requests.work_off(self.database, ACCOUNT, CONNECTOR, self.settings, self.run, run_id="simulated")
            due = requests.next_due(self.database, ACCOUNT)
            if due is None and not request_again:
                return
            self.advance(max(due.timestamp() - self.now, 0.001) if due else 0.001)

    def request_everything(self) -> None:
        """All that the supplier has."""
        for kind in (Kind.INVENTORY_UPDATE, Kind.PRICE_UPDATE, Kind.SUPPLIER_API):
            requests.request_sync(self.database, ACCOUNT, kind, by="test")

    def worst_age_s(self, table: str) -> float:
        """Age of the oldest part of a table's lists now."""
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT extract(epoch FROM max(age))::float8 FROM suppliers.freshness WHERE stream = %s", [table]
            ).fetchone()
        assert row is not None
        return float(row[0])


def pages(sizes: list[int], page_size: int) -> int:
    """Calls that lists of these sizes take: a last page is one that is not full."""
    return sum(size // page_size + 1 for size in sizes)


def floor_s(world: Any, page_size: int) -> float:
    """The least time between the first and the last call of a full sync, whoever makes it."""
    products = pages([len(indexes) for indexes in world._ranges.values()], page_size)
    variations = pages([len(units) for units in world._variations.values()], page_size)
    lists = {
        name: variations if "variation" in name else products
        for name in HOURLY
        if name not in {"taxonomies", "manufacturers", "attributes", "attributegroups"}
    }
    return max(planner.floor_s(count, HOURLY[name], 3600) for name, count in lists.items())
