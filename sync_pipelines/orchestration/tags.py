"""Run tags: what bounds parallelism and what finds a run again."""

from __future__ import annotations

from datetime import timedelta

from sync_pipelines.core.stream import Stream

ACCOUNT = "sync/account"
STREAM = "sync/stream"
EXCLUSIVE = "sync/exclusive"
"""One run at a time for each value (``dagster.yaml``): stream, account and lane group."""
PROCESS = "sync/process"
"""Who executes a run outside the run launcher: ``host:pid:start``; lets the boot sweep tell a dead one."""
MAX_RUNTIME = "dagster/max_runtime"
BACKFILL = "dagster/backfill"
PRIORITY = "dagster/priority"


def exclusive(stream_key: str, account: str, lane_group: str) -> str:
    """The value of `EXCLUSIVE`."""
    return f"{stream_key}@{account}#{lane_group}"


def run_tags(stream: Stream[object], account: str, lane_group: str) -> dict[str, str]:
    """The tags of a run of one stream and account."""
    return {
        ACCOUNT: account,
        STREAM: stream.key,
        EXCLUSIVE: exclusive(stream.key, account, lane_group),
        MAX_RUNTIME: seconds(stream.max_runtime),
    }


def seconds(duration: timedelta) -> str:
    """A duration as a tag's whole seconds."""
    return str(int(duration.total_seconds()))
