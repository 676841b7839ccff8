"""A process that forks its runs like a code server; prints as JSON what a forked one finds, and what its template is like."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from typing import Any

import dagster._grpc.server  # noqa: F401 - what makes this process a code server
import psutil

from sync_pipelines.orchestration.forking import TEMPLATE, fork_runs
from sync_pipelines_tests.waiting import eventually


def look_around(queue: multiprocessing.SimpleQueue[dict[str, Any]]) -> None:
    """What a run finds as it begins; it goes on until it is ended."""
    is_prepared = {"sync_pipelines.definitions", "dagster_postgres", TEMPLATE} <= set(sys.modules)
    fork_runs()
    context = multiprocessing.get_context("spawn")
    queue.put({"template": os.getppid(), "is_prepared": is_prepared, "would_fork": context.Process.__name__ == "ForkServerProcess"})
    time.sleep(60)


def main() -> None:
    """Starts one run as Dagster does in the background of a script, and kills the process it was forked from."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    fork_runs()
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    run = context.Process(target=look_around, args=(queue,))
    run.start()
    found = queue.get()
    template = psutil.Process(found["template"])
    found |= {
        "is_child_of_template": template.pid != os.getpid() and TEMPLATE in " ".join(template.cmdline()),
        "threads": template.num_threads(),
        "connections": len(template.net_connections()),
    }
    process = psutil.Process(run.pid)
    os.kill(template.pid, signal.SIGKILL)
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, seconds=30)
    print(json.dumps(found | {"has_ended_with_its_template": True}))


if __name__ == "__main__":
    main()
