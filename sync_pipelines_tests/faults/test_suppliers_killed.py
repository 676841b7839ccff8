"""A supplier sync that is killed again and again ends with what the supplier holds.

Two kills in ``make test``; 20 in ``make soak``.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.desk import Desk

KILLS = 20 if os.environ.get("SYNC_PIPELINES_SOAK") else 2
TABLES = ("products", "variants", "stock", "prices")
GIVEN: dict[str, dict[str, Any]] = {"bigbuy": {"page_size": 20}, "aliexpress": {}}


def _sync(supplier: str, url: str, base_url: str) -> None:
    with Database(url) as database:
        place: Any = SimpleNamespace(base_url=base_url)
        Desk(supplier, database, place, GIVEN[supplier]).sync(*TABLES)


def _killed_after(calls: int, supplier: str, url: str, sandbox: RunningSandbox) -> bool:
    """Starts a run in a process of its own and kills it once the supplier has seen so many calls; whether it lived so long."""
    sandbox.control.clear_log()
    process = multiprocessing.get_context("spawn").Process(target=_sync, args=(supplier, url, sandbox.base_url), daemon=True)
    process.start()
    pause = threading.Event()
    while process.is_alive() and len(sandbox.control.log()) < calls:
        pause.wait(0.02)
    if process.is_alive() and process.pid:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.timeout(3600 if KILLS > 2 else 300)
@pytest.mark.parametrize("supplier", ["bigbuy", "aliexpress"])
def test_kill_9_costs_repeated_work_and_no_row(
    supplier: str, database: Database, database_url: str, sandbox: Callable[..., RunningSandbox]
) -> None:
    look_alike = sandbox(supplier)
    if supplier == "aliexpress":
        look_alike.control.post("throttle", probability=0)
    chance = random.Random(7)
    desk = Desk(supplier, database, look_alike, {**GIVEN[supplier], "brake": {"stock_share": 1, "price_move": 9}})
    killed = 0
    for _ in range(KILLS):
        desk.forget_windows()
        killed += _killed_after(chance.randint(2, 25), supplier, database_url, look_alike)
        look_alike.control.mutate(5, seed=chance.randint(1, 99))
    print(f"{supplier}: killed {killed} times")
    assert killed >= KILLS * 3 // 4
    for _ in range(3):
        desk.sync_fully(*TABLES)
    truth = look_alike.control.truth()
    assert desk.stock() == truth["stock"]
    living = desk.column("SELECT supplier_product_id, 1 FROM suppliers.products WHERE deleted_at IS NULL")
    assert set(living) == set(truth["products"])
