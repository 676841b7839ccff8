"""Serves a filled page to look at: ``python -m sync_pipelines_tests.service.page.serve 8788``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import psycopg

from sync_pipelines.core.buckets import BucketSpec, Lane
from sync_pipelines.core.budget import Budget
from sync_pipelines.core.db import Database
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.core.queue import NewTask, enqueue
from sync_pipelines.migrations import migrate
from sync_pipelines.service.page import Access, Pictures, page_routes
from sync_pipelines.service.serving import serve
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import FAN_OUT
from sync_pipelines_tests.overview.history import fill
from sync_pipelines_tests.overview.house import House, make_dagster_tables
from sync_pipelines_tests.servers import TestServer


def furnish(house: House, database: Database) -> None:
    """A house with ninety days behind it, quotas in use and work waiting."""
    fill(house)
    for account, name, burst in (
        ("amazon/north", "orders", 20),
        ("sendcloud/main", "requests", 1000),
        ("bigbuy/main", "catalogue", 10),
    ):
        budget = Budget(database, account, Lane.LIVE, [BucketSpec.token(name, rate=0.05, burst=burst)])
        for _ in range(burst * 7 // 10):
            budget.settle(budget.acquire(name))
    with database.transaction() as connection:
        enqueue(connection, FAN_OUT, [NewTask(account="paris", key=str(number)) for number in range(1_240)])
    orders = {"account": "amazon/north", "stream": "amazon/orders"}
    house.run("amazon_orders", "FAILURE", ago=house.now - house.now, took=2, **orders)


def main() -> None:
    """Until stopped."""
    with tempfile.TemporaryDirectory(prefix="sync-page-") as folder, ProcessGuard() as guard:
        Path(folder).chmod(0o755)
        server = TestServer(EmbeddedServer(Path(folder) / "state"), guard)
        server.start()
        migrate(server.url())
        make_dagster_tables(server.url())
        house = House(server.url())
        database = Database(server.url(), max_connections=4)
        furnish(house, database)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("analyze")
        pages = page_routes(Pictures(database, lambda: house.seen), Access())
        try:
            serve(Database(server.url()), (), lambda _: None, host="127.0.0.1", port=int(sys.argv[1]), pages=pages)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
