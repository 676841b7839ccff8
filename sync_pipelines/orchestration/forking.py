"""Runs are forked from a process that has imported everything they need, which takes four fifths off the cost of an empty run.

Dagster's code server starts an interpreter for every run, and that imports Dagster and all of our code again. Python's fork server
imports once and forks from then on. A run is a process of its own as before: watched, terminated and killed in the same way. The
code server hears of its end only from the process it was forked from, so it ends with that one.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing import forkserver

TEMPLATE = "sync_pipelines.orchestration.template"


def fork_runs() -> None:
    """Makes this code server fork its runs.

    It does nothing in any other process that loads the definitions, and nothing outside of Linux, where the system's own libraries
    may not survive a fork.
    """
    is_code_server = "dagster._grpc.server" in sys.modules and multiprocessing.parent_process() is None
    if sys.platform != "linux" or not is_code_server:
        return
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([TEMPLATE])
    # Dagster has no setting for it: its server asks for the context "spawn", which is one object in the whole process.
    multiprocessing.get_context("spawn").Process = forking.Process  # type: ignore[misc,assignment]
    forkserver.ensure_running()
