"""One supplier's sync in a process of its own, which prints what it came to as JSON.

``python -m sync_pipelines_tests.bench.suppliers_child bigbuy|aliexpress DATABASE_URL BASE_URL PAGE_SIZE``
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from sync_pipelines.core.db import Database
from sync_pipelines.vendors.suppliers import session
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines_tests.memory import most_memory
from sync_pipelines_tests.sandboxes import Control
from sync_pipelines_tests.vendors.suppliers.desk import Desk
from sync_pipelines_tests.vendors.suppliers.simulation import ACCOUNT, Simulation

HOURS, SETTLED = 6, 3


def bigbuy(database: Database, base_url: str, page_size: int) -> dict[str, Any]:
    """A full sync, then some hours of stock refresh."""
    control = Control(base_url)
    settings = Settings(language="en", page_size=page_size)
    simulation = Simulation(database, base_url, lambda seconds: control.clock(advance=seconds), settings)
    simulation.request_everything()
    simulation.work_off()
    memory = most_memory()
    log = control.log()
    took = log[-1]["at"] - log[0]["at"]
    stated = max(row["worst_age_s"] for row in session.describe_plan(database, CONNECTOR, ACCOUNT, "stock"))
    start, met = simulation.now, 0.0
    for hour in range(1, HOURS + 1):
        simulation.work_off(until=start + hour * 3600, request_again=(Kind.INVENTORY_UPDATE,))
        if hour > SETTLED:
            met = max(met, simulation.worst_age_s("stock"))
    truth = control.truth()
    with database.connect() as connection:
        counts = dict(
            connection.execute(
                "SELECT 'products', count(*) FROM suppliers.products UNION ALL SELECT 'variants', count(*) FROM suppliers.variants"
                " UNION ALL SELECT 'taxonomies', count(DISTINCT scope) FROM suppliers.freshness WHERE stream = 'stock'"
            ).fetchall()
        )
        stock = dict(connection.execute("SELECT supplier_sku, quantity FROM suppliers.stock").fetchall())
        products = {row[0] for row in connection.execute("SELECT supplier_product_id FROM suppliers.products")}
        prices = {row[0]: float(row[1]) for row in connection.execute("SELECT supplier_sku, cost FROM suppliers.prices")}
    wrong = {
        "stock": len(stock.items() ^ truth["stock"].items()),
        "prices": len(prices.items() ^ truth["prices"].items()),
        "products": len(products ^ truth["products"].keys()),
    }
    over = control.get("windows")["sandbox-key"]
    return {
        **counts,
        "wrong": wrong,
        "took_s": took,
        "calls": len(log),
        "over": sum(over.values()),
        "stated_s": stated,
        "met_s": met,
        "memory_mb": max(memory, most_memory()) / 2**20,
    }


def aliexpress(database: Database, base_url: str, _: int) -> dict[str, Any]:
    """One call in five throttled, the token expiring on the way, in both envelopes."""
    place: Any = SimpleNamespace(base_url=base_url, control=Control(base_url))
    desk = Desk("aliexpress", database, place)
    desk.sandbox.control.post("throttle", probability=0.2)
    runs = 0
    for simplify in (False, True):
        desk.given["simplify"] = simplify
        desk.sandbox.control.post("tokens", expire=True)
        while True:
            runs += 1
            if desk.sync("products").status == "complete":
                break
    truth = desk.sandbox.control.truth()
    names = desk.column("SELECT supplier_product_id, name FROM suppliers.products WHERE deleted_at IS NULL")
    expected = {number: row["subject"] for number, row in truth["products"].items()}
    return {
        "products": len(names),
        "wrong": {
            "products": len(names.items() ^ expected.items()),
            "stock": len(desk.stock().items() ^ truth["stock"].items()),
        },
        "runs": runs,
        "wrong_signatures": len(desk.sandbox.control.get("signatures")["wrong"]),
        "memory_mb": most_memory() / 2**20,
    }


def main(supplier: str, database_url: str, base_url: str, page_size: str) -> None:
    """Runs one proof."""
    with Database(database_url, max_connections=8) as database:
        found = {"bigbuy": bigbuy, "aliexpress": aliexpress}[supplier](database, base_url, int(page_size))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
