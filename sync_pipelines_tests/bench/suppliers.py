"""BigBuy's 100,000 products in simulated time within its hourly windows, and AliExpress' 500 under throttling."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from sync_pipelines_tests.bench.databases import fresh_database
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.bench.sandbox_process import ServedSandbox, sandbox_process
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.suppliers.simulation import START, floor_s

LARGEST_PAGE, QUICK_PAGE = 10_000, 12
"""The small page makes the demo catalogue take as many windows as the whole one."""


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Both suppliers; each sync and each look-alike in a process of its own."""
    size, page_size = ("demo", QUICK_PAGE) if quick else ("full", LARGEST_PAGE)
    floors = _floor_of_small_pages if quick else _floor_of_large_pages
    with sandbox_process("bigbuy", size=size, clock_at=START, tell=floors) as vendor:
        began = time.perf_counter()
        found = _child(server, "bigbuy", vendor, page_size)
        bigbuy = _bigbuy(found, vendor.told, time.perf_counter() - began)
    with sandbox_process("aliexpress", size=size) as vendor:
        return bigbuy + _aliexpress(_child(server, "aliexpress", vendor, page_size))


def _bigbuy(found: dict[str, Any], floor: float, seconds: float) -> list[Measure]:
    what = f"BigBuy, {found['products']:,} products, {found['variants']:,} variants, {found['taxonomies']} taxonomies"
    return [
        Measure("suppliers", f"{what}: full sync, {found['calls']} calls (simulated)", found["took_s"] / 3600, "h"),
        Measure("suppliers", "the least that the windows allow", floor / 3600, "h"),
        Measure("suppliers", "full sync, of the least that the windows allow", found["took_s"] / floor, "×", at_most=1.1),
        Measure("suppliers", "calls over a window", found["over"], "calls", at_most=0),
        Measure("suppliers", "worst age of a stock that the plan states", found["stated_s"] / 3600, "h"),
        Measure("suppliers", "worst age of a stock met, of the stated", found["met_s"] / found["stated_s"], "×", at_most=1.0),
        *_wrong("BigBuy", found["wrong"]),
        Measure("suppliers", "BigBuy: peak memory of the process", found["memory_mb"], "MB", at_most=400),
        Measure("suppliers", f"BigBuy: full sync and hours of refresh, here {seconds:.0f} s", seconds, "s"),
    ]


def _aliexpress(found: dict[str, Any]) -> list[Measure]:
    return [
        Measure("suppliers", f"AliExpress: products in both envelopes, in {found['runs']} runs", found["products"], "products"),
        *_wrong("AliExpress", found["wrong"]),
        Measure("suppliers", "AliExpress: wrong signatures", found["wrong_signatures"], "calls", at_most=0),
        Measure("suppliers", "AliExpress: peak memory of the process", found["memory_mb"], "MB"),
    ]


def _wrong(supplier: str, wrong: dict[str, int]) -> list[Measure]:
    return [Measure("suppliers", f"{supplier}: {what} unlike the truth", count, "rows", at_most=0) for what, count in wrong.items()]


def _child(server: TestServer, supplier: str, vendor: ServedSandbox, page_size: int) -> dict[str, Any]:
    with fresh_database(server) as url:
        program = "sync_pipelines_tests.bench.suppliers_child"
        command = [sys.executable, "-m", program, supplier, url, vendor.base_url, str(page_size)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found: dict[str, Any] = json.loads(answer)
        return found


def _floor_of_large_pages(app: Any) -> float:
    return floor_s(app.state.world, LARGEST_PAGE)


def _floor_of_small_pages(app: Any) -> float:
    return floor_s(app.state.world, QUICK_PAGE)
