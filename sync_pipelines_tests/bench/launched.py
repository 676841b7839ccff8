"""A run with nothing to do, launched as schedules and sensors launch theirs: by the daemon of ``up``, forked by the code server.

``empty`` measures the same run by the command ``sync``, which starts an interpreter.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

import psutil

from sync_pipelines.orchestration.forking import TEMPLATE
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.e2e.conftest import Up
from sync_pipelines_tests.servers import TestServer

TIMES = """
query ($run: ID!) { runOrError(runId: $run) { ... on Run { creationTime startTime endTime } } }
"""
SETTLES_S = 2.0
"""Until the run's process has ended after the run."""


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Launches runs one after the other in a whole house of their own."""
    del server
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as folder:
        up = Up(Path(folder))
        try:
            up.wait()
            _launch(up)
            runs = [_launch(up) for _ in range(1 if quick else 9)]
        finally:
            up.stop()
    spent, waited, took = (median(one[which] for one in runs) for which in range(3))
    return [
        Measure("launched", "CPU of an empty run's own process", spent, "s", at_most=4),
        Measure("launched", "from its request to its start, queue included", waited, "s"),
        Measure("launched", "from its start to its end", took, "s"),
    ]


def _launch(up: Up) -> tuple[float, float, float]:
    before, tag = _spent_by_runs(up), str(uuid4())
    up.api.launch_run("sendcloud_orders", f"sendcloud/main|{datetime.now(UTC).date()}", bench=tag)
    (ended,) = up.api.ended_runs(1, bench=tag)
    assert ended["status"] == "SUCCESS", ended
    times = up.api.ask(TIMES, run=ended["runId"])["runOrError"]
    time.sleep(SETTLES_S)
    spent = _spent_by_runs(up) - before
    return spent, times["startTime"] - times["creationTime"], times["endTime"] - times["startTime"]


def _spent_by_runs(up: Up) -> float:
    """CPU seconds of the ended processes below the fork server: the runs."""
    for process in psutil.Process(up.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if TEMPLATE in " ".join(process.cmdline()):
                times = process.cpu_times()
                return times.children_user + times.children_system
    raise AssertionError("the code server forks no runs")
