"""Runs whose process is gone: failed at start-up, so that they neither look alive nor hold a place in the queue.

Dagster's default launcher cannot tell that a run's process died together with its code server; such a run would stay STARTED.
"""

from __future__ import annotations

import socket

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from sync_pipelines.orchestration import tags

_EXECUTING = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def fail_orphans(instance: DagsterInstance, *, is_code_server_down: bool) -> list[str]:
    """Fails runs that nobody executes any more.

    Args:
        instance: The instance.
        is_code_server_down: Whether the caller knows that no code server runs, so that every run one had launched is dead.

    Returns:
        Ids of the runs failed now. What they had stored stays; the next run of the same stream goes on where they stopped.
    """
    failed = []
    for run in instance.get_runs(RunsFilter(statuses=_EXECUTING)):
        if _is_orphan(run, is_code_server_down=is_code_server_down):
            instance.report_run_failed(run, "Its process ended without a word; the next run goes on where it stopped.")
            failed.append(run.run_id)
    return failed


def _is_orphan(run: DagsterRun, *, is_code_server_down: bool) -> bool:
    identity = run.tags.get(tags.PROCESS)
    if identity is None:
        return is_code_server_down
    host, pid, started = identity.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        return int(psutil.Process(int(pid)).create_time()) != int(started)
    except psutil.NoSuchProcess:
        return True
