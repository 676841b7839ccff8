"""Three processes on one account at saturation: the whole limit is used and never exceeded.

Small in ``make test`` (50 calls in any 5 s); SendCloud's own limit of 1000 a minute in ``make soak``.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from contextlib import ExitStack

import httpx

from sync_pipelines.core.budget import BucketSpec, Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines_tests.core.toy_vendor import toy_vendor

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
LIMIT, SECONDS, SHARE = (1000, 60.0, 0.97) if IS_SOAK else (50, 5.0, 0.9)
"""In seconds, other tests' processes keep these from their calls for longer than a limit of a minute would notice."""

WINDOWS, WORKERS = (3 if IS_SOAK else 2), 3


def call_for_a_while(url: str, vendor: str, barrier, started) -> None:
    with Database(url) as database, httpx.Client(base_url=vendor, trust_env=False) as client:
        budget = Budget(database, "toy/main", Lane.BACKFILL, [BucketSpec.per_window("reads", LIMIT, SECONDS)])
        budget.state()
        client.get("/ready")
        if barrier.wait(60) == 0:
            started.value = time.time()
        barrier.wait(60)
        while time.time() < started.value + WINDOWS * SECONDS:
            grant = budget.acquire("reads")
            client.get("/data")
            budget.settle(grant)


def test_three_processes_use_the_whole_limit_and_never_more(database_url):
    spawn = multiprocessing.get_context("spawn")
    barrier, started = spawn.Barrier(WORKERS), spawn.Value("d", 0.0)
    with toy_vendor(limit=LIMIT, seconds=SECONDS) as vendor:
        arguments = (database_url, vendor.url, barrier, started)
        workers = [spawn.Process(target=call_for_a_while, args=arguments) for _ in range(WORKERS)]
        with ExitStack() as stack:
            for worker in workers:
                worker.start()
                stack.callback(worker.join)
        calls = vendor.calls()
    permitted = WINDOWS * LIMIT
    used = sum(started.value <= at < started.value + WINDOWS * SECONDS for at, _ in calls)
    print(f"{used} of {permitted} permitted calls used")
    assert Counter(status for _, status in calls)[429] == 0
    assert used >= SHARE * permitted
