"""Runs one stream of one account as a Dagster run in this process, recorded by the instance like any other."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from dagster import DagsterInstance, Definitions, ExecuteInProcessResult

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.core.windows import Window
from sync_pipelines.orchestration import partitions, progress, tags
from sync_pipelines.orchestration.schedules import job_name, op_config

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Launched:
    """How a run ended: its totals if it got that far, and why it failed if it did."""

    run_id: str
    is_success: bool
    totals: SyncTotals | None
    error: str | None


def process_identity() -> str:
    """``host:pid:start`` of this process; the start tells it from a later process of the same number."""
    return f"{socket.gethostname()}:{os.getpid()}:{int(psutil.Process().create_time())}"


def run_stream_here(
    definitions: Definitions,
    instance: DagsterInstance,
    vendor: Vendor,
    stream: Stream[Any],
    account: str,
    *,
    window: Window | None = None,
    is_full: bool = False,
    lane: Lane | None = None,
    on_progress: Callable[[SyncTotals], None] = lambda _: None,
) -> Launched:
    """Executes the stream's job for one account and waits for it."""
    config: dict[str, Any] = {}
    if window is not None:
        config |= {"mode": "window", "start": window.start.isoformat(), "end": window.end.isoformat()}
    elif is_full:
        config["mode"] = "full"
    if lane is not None:
        config["lane"] = str(lane)
    group = "backfill" if lane in {Lane.BACKFILL, Lane.REPLAY} or (window is not None and lane is None) else "live"
    partitions.register_accounts(instance, vendor, [account])
    last: list[SyncTotals] = []

    def keep(totals: SyncTotals) -> None:
        last[:] = [totals]
        on_progress(totals)

    with progress.listening(keep):
        result = definitions.resolve_job_def(job_name(stream)).execute_in_process(
            instance=instance,
            partition_key=partitions.partition_key(stream, account, datetime.now(UTC).date()),
            run_config={**op_config(stream, config), **QUIET},
            tags={**tags.run_tags(stream, account, group), tags.PROCESS: process_identity()},
            raise_on_error=False,
        )
    totals = last[-1] if last else None
    return Launched(result.run_id, result.success, totals, None if result.success else reason(result))


def reason(result: ExecuteInProcessResult) -> str:
    """Why a run failed, in the words of the error that ended it."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            error = data.error
            while error is not None and error.cause is not None:
                error = error.cause
            if error is not None:
                return error.message.strip()
    return "the run failed; see its log in the Dagster UI"
