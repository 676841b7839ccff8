"""The steps of ``sync-pipelines sync``, with the CPU clock read between them; prints CPU seconds by step as JSON."""

from __future__ import annotations

import gc
import time

STARTED = time.process_time()


def main(stream_key: str, account: str) -> None:
    """Runs one empty sync through the instance and one without it."""
    gc.set_threshold(50_000)  # as the command does
    steps = {"interpreter": STARTED}
    last = STARTED

    def step(name: str) -> None:
        nonlocal last
        now = time.process_time()
        steps[name], last = now - last, now

    from sync_pipelines.config import Environment
    from sync_pipelines.preparation import prepare
    from sync_pipelines.registry import find_stream

    vendor, stream = find_stream(stream_key)
    step("import command and vendor")
    environment = Environment.read()
    environment.enter(prepare(environment).database_url)
    step("look at the database")
    import dagster

    step("import dagster")
    from sync_pipelines.opening import open_runtime
    from sync_pipelines.orchestration.engine import assemble
    from sync_pipelines.registry import module

    defs = assemble([module(vendor.name, "defs").defs], open_runtime)
    step("import its definitions")
    with dagster.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=10)
        instance.get_runs(limit=1)
        step("open the instance")
        from sync_pipelines.orchestration.launch import run_stream_here

        ended = run_stream_here(defs, instance, vendor, stream, account)
        step("Dagster run")
    assert ended.is_success, ended.error
    from sync_pipelines.core.budget import Lane
    from sync_pipelines.core.sync import sync_stream

    last = time.process_time()
    runtime = open_runtime()
    resolved = runtime.account(account, Lane.LIVE)
    with vendor.connect(resolved) as client:
        sync_stream(stream, database=runtime.database, account=account, client=client, run_id="bench", settings=resolved.settings)
    runtime.database.close()
    step("the sync itself, within the run")
    steps["Dagster run"] -= steps["the sync itself, within the run"]
    print(json.dumps(steps))


if __name__ == "__main__":
    import json
    import sys

    main(sys.argv[1], sys.argv[2])
