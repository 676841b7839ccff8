"""A long sync against a short one: the peak memory, and what a row costs."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

import psycopg

from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.bench.rows import create_table
from sync_pipelines_tests.servers import TestServer


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Each sync in a process of its own, into an empty table."""
    short, long = (500, 2_000) if quick else (10_000, 1_000_000)
    shorts = [_sync(server, short) for _ in range(1 if quick else 5)]
    one = _sync(server, long)
    short_cost = median(found["seconds"] for found in shorts) / short
    short_cpu = median(found["cpu_s"] for found in shorts) / short
    return [
        Measure("sync", f"{long:,} rows: peak memory of the process", one["peak_mb"], "MB", at_most=300),
        Measure("sync", f"{short:,} rows: peak memory of the process", median(found["peak_mb"] for found in shorts), "MB"),
        Measure("sync", f"{long:,} rows", long / one["seconds"], "rows/s"),
        Measure("sync", f"{short:,} rows", 1 / short_cost, "rows/s"),
        Measure("sync", "cost of a row, long sync of short sync", one["seconds"] / long / short_cost, "×", at_most=1.2),
        Measure("sync", "client CPU of a row, long sync of short sync", one["cpu_s"] / long / short_cpu, "×", at_most=1.2),
        Measure("sync", f"{long:,} rows: client CPU", one["cpu_s"] / one["seconds"], "share of wall time"),
    ]


def _sync(server: TestServer, rows: int) -> dict[str, float]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        create_table(connection)
        for table in ("windows", "window_progress", "archive"):
            connection.execute(f"TRUNCATE sync.{table}")
        connection.execute("CHECKPOINT")
    command = [sys.executable, "-m", "sync_pipelines_tests.bench.sync_child", server.url(), str(rows)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(answer)
    return found
