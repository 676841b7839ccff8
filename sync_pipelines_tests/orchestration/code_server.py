"""A process that forks its runs like a code server; prints as JSON what a forked one finds, and what its template is like."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from typing import Any

import psutil

from sync_pipelines.orchestration.forking import TEMPLATE, fork_runs


def look_around(queue: multiprocessing.SimpleQueue[dict[str, Any]]) -> None:
    """What a run finds as it begins."""
    is_prepared = {"sync_pipelines.definitions", "dagster_postgres", TEMPLATE} <= set(sys.modules)
    fork_runs()
    context = multiprocessing.get_context("spawn")
    queue.put({"template": os.getppid(), "is_prepared": is_prepared, "would_fork": context.Process.__name__ == "ForkServerProcess"})


def main() -> None:
    """Starts one run as Dagster does."""
    fork_runs()
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    run = context.Process(target=look_around, args=(queue,))
    run.start()
    found = queue.get()
    run.join()
    template = psutil.Process(found["template"])
    print(
        json.dumps(
            found
            | {
                "exit_code": run.exitcode,
                "is_child_of_template": template.pid != os.getpid() and TEMPLATE in " ".join(template.cmdline()),
                "threads": template.num_threads(),
                "connections": len(template.net_connections()),
            }
        )
    )


if __name__ == "__main__":
    main()
