"""Three processes on one account at saturation: how much of the permitted calls they use, against a vendor that counts exactly."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from sync_pipelines.core.budget import BucketSpec, Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.core.toy_vendor import toy_vendor
from sync_pipelines_tests.servers import TestServer


@dataclass(frozen=True, slots=True)
class Saturation:
    """Calls that were permitted in the measured time, used within it, and refused at any time."""

    permitted: int
    used: int
    refused: int


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """SendCloud's limit of reads: 1000 in any minute, for two minutes."""
    limit, seconds = (50, 2.0) if quick else (1000, 60.0)
    found = saturate(server.url(), limit=limit, seconds=seconds)
    return [
        Measure(
            "budget", f"{limit} calls in any {seconds:g} s, 3 processes: used", found.used / found.permitted, "share", at_least=0.97
        ),
        Measure("budget", "answers 429", found.refused, "calls", at_most=0),
    ]


def saturate(url: str, *, limit: int, seconds: float, windows: int = 2, workers: int = 3) -> Saturation:
    """Lets several processes call as fast as their shared budget permits, for some windows of the vendor's limit."""
    spawn = multiprocessing.get_context("spawn")
    barrier, started = spawn.Barrier(workers), spawn.Value("d", 0.0)
    with toy_vendor(limit=limit, seconds=seconds) as vendor:
        arguments = (url, vendor.url, limit, seconds, windows, barrier, started)
        processes = [spawn.Process(target=_call, args=arguments) for _ in range(workers)]
        with ExitStack() as stack:
            for process in processes:
                process.start()
                stack.callback(process.join)
        calls = vendor.calls()
    end = started.value + windows * seconds
    used = sum(started.value <= at < end and status == 200 for at, status in calls)
    return Saturation(windows * limit, used, sum(status == 429 for _, status in calls))


def _call(url: str, vendor: str, limit: int, seconds: float, windows: int, barrier: Any, started: Any) -> None:
    with Database(url) as database, httpx.Client(base_url=vendor, trust_env=False) as client:
        budget = Budget(database, "toy/main", Lane.BACKFILL, [BucketSpec.per_window("reads", limit, seconds)])
        budget.state()
        client.get("/ready")
        if barrier.wait(60) == 0:
            started.value = time.time()
        barrier.wait(60)
        while time.time() < started.value + windows * seconds:
            grant = budget.acquire("reads")
            client.get("/data")
            budget.settle(grant)
