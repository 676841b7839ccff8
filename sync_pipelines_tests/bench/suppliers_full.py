"""BigBuy at full size in simulated time, and AliExpress' 500 products under throttling: prints what the windows and memory came to.

``python -m sync_pipelines_tests.bench.suppliers_full [bigbuy|aliexpress]``. The look-alikes run in processes of their own, so that
the memory is the sync's alone.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sync_pipelines.core.db import Database
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.migrations import migrate
from sync_pipelines.vendors.suppliers import session
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines_tests.sandboxes import Control, RunningSandbox
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.suppliers.desk import Desk
from sync_pipelines_tests.vendors.suppliers.simulation import ACCOUNT, START, Simulation, floor_s

PAGE_SIZE = 10_000


def main() -> None:
    """Runs both proofs and prints one JSON object."""
    with tempfile.TemporaryDirectory() as folder, ProcessGuard() as guard:
        server = TestServer(EmbeddedServer(Path(folder) / "postgres", settings={"synchronous_commit": "off"}), guard)
        server.start()
        migrate(server.url("postgres"))
        with Database(server.url("postgres"), max_connections=8) as database:
            proofs = {"bigbuy": bigbuy, "aliexpress": aliexpress}
            found = {name: proofs[name](database) for name in sys.argv[1:] or proofs}
        server.stop()
    sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")


def bigbuy(database: Database) -> dict[str, Any]:
    """A full sync, then eight hours of stock refresh."""
    process, base_url, floor = _in_process("bigbuy")
    control = Control(base_url)
    simulation = Simulation(database, base_url, lambda seconds: control.clock(advance=seconds), Settings(language="en"))
    began = time.monotonic()
    simulation.request_everything()
    simulation.work_off()
    log = control.log()
    took, wall = log[-1]["at"] - log[0]["at"], time.monotonic() - began
    sys.stderr.write(
        f"full sync: {took / 3600:.3f} h of at least {floor / 3600:.3f} h, {len(log)} calls, {wall:.0f} s here, {_memory_mb()} MB\n"
    )
    worst, hours = 0.0, 6
    plan = session.describe_plan(database, CONNECTOR, ACCOUNT, "stock")
    start = simulation.now
    for hour in range(1, hours + 1):
        simulation.work_off(until=start + hour * 3600, request_again=(Kind.INVENTORY_UPDATE,))
        if hour > 3:
            worst = max(worst, simulation.worst_age_s("stock"))
    with database.connect() as connection:
        counts = {
            table: (connection.execute(f"SELECT count(*) FROM suppliers.{table}").fetchone() or (0,))[0]
            for table in ("products", "product_information", "product_images", "variants", "variant_attributes", "stock", "prices")
        }
        stock = dict(connection.execute("SELECT supplier_sku, quantity FROM suppliers.stock").fetchall())
    result = {
        "rows": counts,
        "stock_equals_truth": stock == control.truth(stream="stock"),
        "floor_h": floor / 3600,
        "took_h": round(took / 3600, 3),
        "ratio": round(took / floor, 3),
        "calls": len(log),
        "calls_over_a_window": control.get("windows")["sandbox-key"],
        "stated_worst_age_h": max(row["worst_age_s"] for row in plan) / 3600,
        "met_worst_age_h": round(worst / 3600, 3),
        "peak_memory_mb": _memory_mb(),
        "wall_s": round(wall, 1),
    }
    process.terminate()
    return result


def aliexpress(database: Database) -> dict[str, Any]:
    """500 products, one call in five throttled, the token expiring on the way, in both envelopes."""
    process, base_url, _ = _in_process("aliexpress")

    class Elsewhere:
        def __init__(self) -> None:
            self.base_url, self.control = base_url, Control(base_url)

    elsewhere: Any = Elsewhere()
    desk = Desk("aliexpress", database, elsewhere)
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
    held = desk.column(
        "SELECT supplier_product_id, name FROM suppliers.products WHERE account = 'aliexpress/main' AND deleted_at IS NULL"
    )
    stock = desk.column(
        "SELECT supplier_sku, quantity FROM suppliers.stock WHERE account = 'aliexpress/main' AND deleted_at IS NULL"
    )
    result = {
        "products": len(held),
        "equal_truth": held == {number: row["subject"] for number, row in truth["products"].items()} and stock == truth["stock"],
        "runs": runs,
        "wrong_signatures": len(desk.sandbox.control.get("signatures")["wrong"]),
    }
    process.terminate()
    return result


def _memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _in_process(vendor: str) -> tuple[Any, str, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(vendor, there), daemon=True)
    process.start()
    base_url, floor = here.recv()
    return process, base_url, floor


def _serve(vendor: str, pipe: Any) -> None:
    from importlib import import_module

    from sync_pipelines.sandbox.common.clock import Clock

    app = import_module(f"sync_pipelines.sandbox.{vendor}.app").create_app(
        size="full", clock=Clock(START) if vendor == "bigbuy" else None
    )
    running = RunningSandbox(vendor, app)
    pipe.send((running.base_url, floor_s(app.state.world, PAGE_SIZE) if vendor == "bigbuy" else 0.0))
    time.sleep(10_000)


if __name__ == "__main__":
    main()
