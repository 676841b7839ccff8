"""One sync of the bench's stream in a process of its own: ``python -m sync_pipelines_tests.bench.sync_child URL ROWS``."""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import timedelta

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Request, sync_stream
from sync_pipelines_tests.bench.rows import ACCOUNT, CHANGED, STREAM, BenchVendor


def main(url: str, rows: int) -> None:
    """Syncs and prints seconds, CPU seconds and peak memory as JSON."""
    with Database(url) as database:
        with database.connect():
            pass
        started, cpu = time.perf_counter(), time.process_time()
        totals = sync_stream(
            STREAM,
            database=database,
            account=ACCOUNT,
            client=BenchVendor(rows),
            run_id="bench",
            settings=None,
            request=Request(start=CHANGED - timedelta(days=1)),
        )
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert totals.inserted == rows, totals
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu_s": cpu, "peak_mb": peak}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
