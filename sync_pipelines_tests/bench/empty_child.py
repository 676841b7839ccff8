"""The steps of ``sync-pipelines sync``, with the CPU clock read between them; prints CPU seconds by step as JSON."""

from __future__ import annotations

import time

STARTED = time.process_time()


def main(stream_key: str, account: str) -> None:
    """Runs one empty sync through the instance and one without it."""
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
    step("import command and vendors")
    environment = Environment.read()
    environment.enter(prepare(environment).database_url)
    step("look at the database")
    import dagster

    step("import dagster")
    from sync_pipelines.definitions import defs

    step("import project definitions")
    with dagster.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
        step("open the instance")
        from sync_pipelines.orchestration.launch import run_stream_here

        ended = run_stream_here(defs, instance, vendor, stream, account)
        step("Dagster run")
    assert ended.is_success, ended.error
    from sync_pipelines.core.budget import Lane
    from sync_pipelines.core.sync import sync_stream
    from sync_pipelines.opening import open_runtime

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
