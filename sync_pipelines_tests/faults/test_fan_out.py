"""Random changes by unreliable webhooks, two sick secondaries of five, kill -9 of the drain: at rest everything is equal.

The main account's webhooks are duplicated, reordered and dropped; drains run in processes of their own that are killed at random.
What must hold: every secondary equals filter and mapping of the main by an oracle that knows nothing of our code, no look-alike saw
a request above its limit, and per reference the applied versions never went backwards. Small in ``make test``; 20,000 references in
``make soak``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.queue import enqueue
from sync_pipelines.vendors.grand_shooting.fan_out.drain import Limits
from sync_pipelines.vendors.grand_shooting.vendor import connect
from sync_pipelines.vendors.grand_shooting.webhooks import to_tasks
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.grand_shooting.worlds import MAIN, FanOutWorld, Reference

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
REFERENCES, ROUNDS, OPERATIONS = (20_000, 20, 500) if IS_SOAK else (240, 3, 25)
KILLS, MOST_BEFORE_A_KILL = (6, 1_000) if IS_SOAK else (2, 240)
HEALTHY, SICK = ("paris", "lyon", "berlin"), ("madrid", "milan")
FILTERED: dict[str, Any] = {
    "filter": {"exclude": [{"field": "brand", "op": "in", "value": ["Elm", "Fir"]}]},
    "mapping": {"color": {"target": "extra.shade", "rules": [{"type": "upper"}]}, "tags": {"target": None}},
}


def filtered(reference: Reference) -> Reference | None:
    """What `FILTERED` means, said another way."""
    if reference["brand"] in {"Elm", "Fir"}:
        return None
    kept = {name: value for name, value in reference.items() if name not in {"color", "tags"}}
    return {**kept, "extra": {**reference["extra"], "shade": reference["color"].upper()}}


class Deliveries:
    """Takes the look-alike's webhooks as the intake does, in process."""

    def __init__(self) -> None:
        self.world: FanOutWorld | None = None

    def __call__(self, _: str, body: bytes) -> int:
        assert self.world is not None
        with self.world.database.transaction() as connection:
            for spec, task in to_tasks(MAIN, self.world.settings[MAIN], decode_json(body)):
                enqueue(connection, spec, [task])
        return 200


@pytest.fixture
def one(sandbox: Callable[..., RunningSandbox], database: Database) -> FanOutWorld:
    deliveries = Deliveries()
    running = sandbox("grand_shooting", post=deliveries)
    running.control.post("populate", account="main", references=REFERENCES)
    links = {name: FILTERED if name in {"lyon", "milan"} else {} for name in (*HEALTHY, *SICK)}
    deliveries.world = FanOutWorld(running, database, links, unlimited=False)
    with connect(deliveries.world.context(MAIN)) as client:
        for verb in ("create", "update", "delete"):
            client.subscribe("http://127.0.0.1:1/hook", f"references/{verb}")
    running.control.post("webhooks", drop=0.1, duplicate=0.2, reorder=True, seed=3, flush_s=1e9)
    return deliveries.world


@contextmanager
def drain_process(world: FanOutWorld, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """A drain in a process of its own."""
    arguments = {"url": world.database.url, "base_url": world.base_url, "links": world.options, "seconds": seconds}
    process = subprocess.Popen(
        [sys.executable, "-m", "sync_pipelines_tests.vendors.grand_shooting.drain_process", json.dumps(arguments)]
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def _kill_after(process: subprocess.Popen[bytes], world: FanOutWorld, tasks: int) -> bool:
    """Kills the drain in the middle of its work, once it has finished so many tasks more; ``False`` if it ended before."""
    done = "select coalesce(sum(processed + dropped), 0) from sync.hourly_volumes"
    (start,) = world.rows(done)[0]
    while world.rows(done)[0][0] < start + tasks:
        with suppress(subprocess.TimeoutExpired):
            assert process.wait(timeout=0.05) == 0
            return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_at_rest_every_secondary_equals_the_main_account(one: FanOutWorld) -> None:
    rng = random.Random(7)
    one.watch_versions()
    one.mirror()
    one.control.post("account", account=SICK[0], down=True)
    one.control.post("account", account=SICK[1], revoked=True)
    kills = 0
    for seed in range(ROUNDS):
        one.control.mutate(OPERATIONS, seed=seed)
        one.control.post("webhooks/flush")
        with drain_process(one, 30.0) as process:
            if kills < KILLS:
                kills += _kill_after(process, one, rng.randint(50, MOST_BEFORE_A_KILL))
            else:
                assert process.wait(timeout=120) == 0
    assert kills == KILLS
    one.heal_circuits(SICK)
    one.expire_leases()
    for _ in range(2):
        one.mirror(full=True)
    for name in one.links:
        one.differences(name)
    one.drain(Limits(linger_s=0.5, max_runtime_s=600))
    one.expire_leases()
    one.drain(Limits(linger_s=0.5, max_runtime_s=600))
    for name in (*HEALTHY, *SICK):
        one.expect(name, filtered if name in {"lyon", "milan"} else lambda reference: reference)
    assert [entry for entry in one.control.log() if entry["throttled"]] == []
    assert one.rows("select count(*) from version_regressions") == [(0,)]
    assert one.rows("select count(*) from sync.dead_letters where state <> 'resolved'") == [(0,)]
