"""How fast the fan-out is: ``python -m sync_pipelines_tests.bench.fan_out BENCH [references]``.

``drain``: a look-alike without quota in a process of its own: references a second, and what each process spends on one.
``memory``: the drain's memory while a million tasks wait. ``initialise``: within the quota, killed twice on the way;
``undisturbed``: the same without the kills. ``busy``: from a webhook's task to the secondary while changes never stop.
``lag``: healthy links beside sick ones.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.migrations import migrate
from sync_pipelines.orchestration.forking import TEMPLATE
from sync_pipelines.supervision.ports import free_port
from sync_pipelines.vendors.grand_shooting.fan_out.drain import Limits
from sync_pipelines.vendors.grand_shooting.fan_out.plan import make_plan, start_plan
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import announce
from sync_pipelines.vendors.grand_shooting.vendor import connect
from sync_pipelines_tests.bench.measures import processor_seconds
from sync_pipelines_tests.sandboxes import Control
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.grand_shooting import drain_process
from sync_pipelines_tests.vendors.grand_shooting.worlds import MAIN, FanOutWorld

CALLS_PER_SECOND, PER_CALL = 4, 100
_RUNS = multiprocessing.get_context("forkserver")
_RUNS.set_forkserver_preload([TEMPLATE, drain_process.__name__])

HEALTHY, SICK = ("paris", "lyon", "berlin"), ("madrid", "milan")


class _Sandbox:
    def __init__(self, base_url: str) -> None:
        self.base_url, self.control = base_url, Control(base_url)


class _World(FanOutWorld):
    """With its look-alike in a process of its own."""

    look_alike = 0


@contextmanager
def _world(references: int, *, unlimited: bool, links: Sequence[str] = ("paris",)) -> Iterator[_World]:
    port = free_port(20000)
    command = [sys.executable, "-m", "sync_pipelines.cli", "sandbox", "serve", "--port", str(port), "--vendor", "grand_shooting"]
    with tempfile.TemporaryDirectory() as folder, ProcessGuard() as guard:
        server = TestServer(EmbeddedServer(Path(folder)), guard)
        server.start()
        process = subprocess.Popen(command)
        guard.watch(process.pid)
        try:
            url = server.url("bench")
            server_url = server.url("postgres")
            with Database(server_url) as admin, admin.connect() as connection:
                connection.execute("create database bench")
            migrate(url)
            _await(f"http://127.0.0.1:{port}")
            sandbox: Any = _Sandbox(f"http://127.0.0.1:{port}/grand_shooting")
            sandbox.control.post("populate", account="main", references=references)
            with Database(url, max_connections=20) as database:
                world = _World(sandbox, database, {link: {"webhooks": False} for link in links}, unlimited=unlimited)
                sandbox.control.post("account", account="main", unlimited=True)
                world.settings["grand_shooting/main"] = world.settings["grand_shooting/main"].model_copy(
                    update={"requests_per_second": 10_000.0}
                )
                world.look_alike = process.pid
                world.mirror()
                yield world
        finally:
            process.terminate()
            process.wait(10)
            server.stop()


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the sandbox did not answer")


def drain(references: int) -> None:
    """Drains one link's whole catalogue."""
    with _world(references, unlimited=True) as world:
        world.differences("paris")
        started, before = time.monotonic(), _processor_seconds(world)
        totals = world.drain(Limits(linger_s=0.05, max_runtime_s=3600))
        seconds = time.monotonic() - started
        done = totals.links["paris"].written
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"drain: {done} references in {seconds:.1f} s: {done / seconds:.0f}/s, peak {memory} MB")
        spent = {who: (after - before[who]) / done * 1e6 for who, after in _processor_seconds(world).items()}
        print("processor time of a reference: " + ", ".join(f"{who} {each:.0f} µs" for who, each in spent.items()))


def _processor_seconds(world: _World) -> dict[str, float]:
    """Of the drain, of every process of the database server, and of the look-alike."""
    server = [int(pid) for (pid,) in world.rows("select pid from pg_stat_activity")]
    return {
        "drain": processor_seconds(os.getpid()),
        "database": sum(map(processor_seconds, server)),
        "look-alike": processor_seconds(world.look_alike),
    }


def memory(tasks: int) -> None:
    """Memory of a drain with so many tasks waiting, after its first moments and at its end."""
    with _world(1_000, unlimited=True, links=(*HEALTHY, *SICK)) as world:
        with world.database.connect() as connection:
            connection.execute(_MULTIPLY, {"times": tasks // len(world.links) // 1_000})
            connection.execute('analyze grand_shooting."references"')
        waiting = sum(world.differences(link) for link in world.links)
        found: list[float] = []
        stop = threading.Event()
        watcher = threading.Thread(target=lambda: found.extend(_resident_megabytes(stop)))
        watcher.start()
        totals = world.drain(Limits(linger_s=0.05, max_runtime_s=60))
        stop.set()
        watcher.join()
        done = sum(link.written for link in totals.links.values())
        print(f"memory: {waiting} tasks waiting, {done} references written in {totals.duration_s:.0f} s:")
        print(f"{found[5]:.0f} MB after 5 s, {found[-1]:.0f} MB at the end, at most {max(found):.0f} MB")


_MULTIPLY = """
insert into grand_shooting."references" (account, ref, raw, version, content_hash, first_seen_at, synced_at, run_id)
select r.account, r.ref || '-' || n, jsonb_set(r.raw - 'ean', '{ref}', to_jsonb(r.ref || '-' || n)), r.version, r.content_hash,
       r.first_seen_at, r.synced_at, r.run_id
from grand_shooting."references" r cross join generate_series(2, %(times)s) n
"""


def _resident_megabytes(stop: threading.Event) -> Iterator[float]:
    while not stop.wait(1.0):
        yield int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def busy(references: int) -> None:
    """Changes come without pause for a minute, each reference once; by the database's clock, from its task to the replica."""
    with _world(references, unlimited=False) as world:
        world.configure("paris", webhooks=True)
        world.settings[MAIN] = world.settings["grand_shooting/paris"]
        world.differences("paris")
        world.drain(Limits(linger_s=0.5, max_runtime_s=3600))
        known = world.rows("select ref, reference_id from grand_shooting.references order by random()")
        drained = threading.Thread(target=lambda: world.drain(Limits(linger_s=5.0, max_runtime_s=3600)))
        announced: dict[str, Any] = {}
        drained.start()
        for start in range(0, min(len(known), 120 * 20), 20):
            part = known[start : start + 20]
            for ref, _ in part:
                world.edit("main", ref, {"smalltext": "busy"})
            with world.database.transaction() as connection:
                announce(connection, MAIN, [number for _, number in part], "references/update")
                announced |= dict.fromkeys((ref for ref, _ in part), clock(connection))
            time.sleep(0.5)
        drained.join()
        applied = dict(world.rows("select ref, applied_at from grand_shooting.replicas"))
        lags = sorted((applied[ref] - at).total_seconds() for ref, at in announced.items())
        world.expect("paris")
    median, p95 = lags[len(lags) // 2], lags[int(len(lags) * 0.95)]
    print(f"busy: {len(lags)} changes, 40 a second: median {median:.2f} s, p95 {p95:.2f} s, longest {lags[-1]:.2f} s")


def initialise(references: int) -> None:
    """Initialises an empty secondary within its quota, by drains of which two are killed on the way."""
    _initialise(references, shares=(0.3, 0.6, 1.0))


def undisturbed(references: int) -> None:
    """The same by one drain that lives to the end."""
    _initialise(references, shares=(1.0,))


def _initialise(references: int, shares: Sequence[float]) -> None:
    """One drain for each share of the references; once so many are written it is killed."""
    forkserver.ensure_running()
    with _world(references, unlimited=False) as world:
        with connect(world.context("grand_shooting/paris", Lane.BACKFILL)) as client:
            plan = make_plan(world.database, world.links["paris"], client)
        with world.database.transaction() as connection:
            start_plan(connection, plan, confirmed=None, run_id="bench")
        started, starting = time.monotonic(), 0.0
        for share in shares:
            begun, before = time.monotonic(), _written(world)
            with _drain_process(world) as process:
                while _written(world) == before:
                    process.join(0.05)
                starting += time.monotonic() - begun
                while _written(world) < references * share:
                    process.join(0.05)
                seconds = time.monotonic() - started
        floor = references / PER_CALL / CALLS_PER_SECOND
        refused = sum(entry["throttled"] for entry in world.control.log())
        world.expect("paris")
        print(
            f"initialise, {len(shares) - 1} kills: {references} in {seconds:.1f} s, floor {floor:.1f} s: {seconds / floor:.3f}; "
            f"{starting:.1f} s of it until a drain's first references were written; {refused} refused"
        )


def lag(references: int) -> None:
    """The lag of three healthy links beside two others, first healthy, then sick; ten bursts of changes each time."""
    lags = {}
    for sick in (False, True):
        with _world(references, unlimited=False, links=(*HEALTHY, *SICK)) as world:
            for link in world.links:
                world.configure(link, webhooks=True)
                world.differences(link)
            world.drain(Limits(linger_s=0.5, max_runtime_s=3600))
            if sick:
                world.control.post("account", account=SICK[0], down=True)
                world.control.post("account", account=SICK[1], revoked=True)
            found: list[float] = []
            for burst in range(10):
                known = world.rows("select ref, reference_id from grand_shooting.references order by random() limit 200")
                for ref, _ in known:
                    world.edit("main", ref, {"smalltext": f"burst {burst}"})
                with world.database.transaction() as connection:
                    announce(connection, MAIN, [number for _, number in known], "references/update")
                totals = world.drain(Limits(linger_s=0.5, max_runtime_s=600))
                found += [lag for link in HEALTHY for lag in totals.links[link].lags_s]
            lags[sick] = sorted(found)
    for name, share in (("median", 0.5), ("p95", 0.95)):
        well, ill = (found[int(len(found) * share)] for found in lags.values())
        print(f"lag of healthy links, {name}: {well:.2f} s beside well ones, {ill:.2f} s beside sick ones: {ill / well:.3f}")


@contextmanager
def _drain_process(world: FanOutWorld) -> Iterator[BaseProcess]:
    """A drain in a process of its own, forked as the code server forks its runs; killed at the end."""
    given = {"url": world.database.url, "base_url": world.base_url, "links": world.options, "seconds": 3600}
    process = _RUNS.Process(target=drain_process.main, args=(json.dumps(given),))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _written(world: FanOutWorld) -> int:
    ((count,),) = world.rows("select coalesce(sum(processed + dropped + failed), 0) from sync.hourly_volumes")
    return int(count)


if __name__ == "__main__":
    sizes = {drain: 50_000, memory: 1_000_000, initialise: 50_000, undisturbed: 50_000, busy: 2_400, lag: 2_000}
    chosen = {bench.__name__: bench for bench in sizes}[sys.argv[1]]
    chosen(int(sys.argv[2]) if len(sys.argv) > 2 else sizes[chosen])
