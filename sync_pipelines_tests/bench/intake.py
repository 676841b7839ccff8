"""Webhooks a second, verified and durable, over 128 connections against the real service, beside what the same server commits.

There are two yardsticks: pgbench with one small row a commit, sixteen clients: what the disk allows without group commit by
batching; and uvicorn with an application that only answers: what this machine allows a general server that stores nothing.
Processor time is told beside the rate, because load generator, service and server share the cores with whatever else runs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import psycopg

from sync_pipelines.core.postgres.binaries import find_binaries
from sync_pipelines_tests.bench.measures import Measure, processor_seconds
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.service.load import send
from sync_pipelines_tests.service.process import running_bare, running_service

CONNECTIONS = 128
_COMMIT = "insert into public.commits (body) values (repeat('x', 500));\n"


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Warms up, measures the commits, then the webhooks."""
    warm_up, number, seconds = (200, 500, 1) if quick else (5_000, 60_000, 8)
    idle_load = os.getloadavg()[0]
    commits = _commit_rate(server.url(), seconds)
    with running_bare() as bare:
        send(bare.url, warm_up, connections=CONNECTIONS)
        answered = send(bare.url, number, connections=CONNECTIONS)
    bare_rate = len(answered.accepted) / answered.seconds
    with running_service(server.url()) as service:
        send(service.url, warm_up, connections=CONNECTIONS)
        backends = _backends(server.url())
        before = _processor(service.process.pid, backends)
        load = send(service.url, number, connections=CONNECTIONS, first=warm_up)
        spent = [after - ago for after, ago in zip(_processor(service.process.pid, backends), before, strict=True)]
        idle = send(service.url, 200, connections=1, first=warm_up + number)
    rate = len(load.accepted) / load.seconds
    measures = [
        Measure("intake", f"webhooks stored, {CONNECTIONS} connections", rate, "1/s", at_least=5_000),
        Measure("intake", "answer, median", load.percentile(0.5) * 1000, "ms"),
        Measure("intake", "answer, 99th percentile", load.percentile(0.99) * 1000, "ms", at_most=50),
        Measure("intake", "answer on an idle service, median", idle.percentile(0.5) * 1000, "ms"),
        *(
            Measure("intake", f"processor time of a webhook: {who}", seconds / max(1, len(load.accepted)) * 1e6, "µs")
            for who, seconds in zip(("service", "load generator", "database connections"), spent, strict=True)
        ),
        Measure("intake", "other load of the machine before (1 min)", idle_load, "processes"),
        Measure("intake", "answered by uvicorn without verifying and storing", bare_rate, "1/s"),
        Measure("intake", "webhooks stored / only answered", rate / bare_rate, "×"),
        Measure("intake", "not answered with 200", load.other + load.lost, "answers", at_most=0),
    ]
    if commits:
        measures += [
            Measure("intake", "pgbench, one small row a commit, 16 clients", commits, "1/s"),
            Measure("intake", "webhooks / commits of pgbench", rate / commits, "×"),
        ]
    return measures


def _backends(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select pid from pg_stat_activity where application_name = 'toy service'").fetchall()
    return [pid for (pid,) in rows]


def _processor(service: int, backends: list[int]) -> tuple[float, float, float]:
    """Seconds of service, this process and the service's connections at the server."""
    return processor_seconds(service), processor_seconds(os.getpid()), sum(map(processor_seconds, backends))


def _commit_rate(url: str, seconds: int) -> float | None:
    """Commits a second by pgbench; ``None`` where the server's binaries come without it."""
    pgbench = find_binaries().folder / "pgbench"
    if not pgbench.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "commit.sql"
        script.write_text(_COMMIT)
        psql = [str(find_binaries().folder / "psql"), url, "-qc", "create table if not exists public.commits (body text)"]
        subprocess.run(psql, check=True)
        command = [str(pgbench), "-n", "-c", "16", "-j", "1", "-M", "prepared", "-T", str(seconds), "-f", str(script), url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.rpartition("tps = ")[2].split()[0])
