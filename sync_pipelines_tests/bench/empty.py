"""An incremental run with nothing to do: CPU seconds over all processes, and what they are made of.

First the command itself, ``sync-pipelines sync sendcloud/orders``, with all its children and the database server's processes; then
the same steps one after the other in a process that reads its CPU clock between them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import psutil
import psycopg

from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.sandboxes import run_sandbox
from sync_pipelines_tests.servers import TestServer

ACCOUNT = "sendcloud/main"
ACCOUNTS = """\
accounts:
  - id: sendcloud/main
    base_url: {url}/api
    credentials: {{public_key: sandbox-public, secret_key: sandbox-secret}}
"""


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Syncs once for good, then measures runs that find nothing."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE bench_empty")
    sandbox = run_sandbox("sendcloud", orders=5 if quick else None)
    try:
        with tempfile.TemporaryDirectory(prefix="sync-bench-") as state:
            accounts = Path(state) / "accounts.yaml"
            accounts.write_text(ACCOUNTS.format(url=sandbox.base_url))
            variables = {
                **os.environ,
                "DATABASE_URL": server.url("bench_empty"),
                "SYNC_PIPELINES_CONFIG": str(accounts),
                "SYNC_PIPELINES_STATE": state,
            }
            variables.pop("PYTHONDONTWRITEBYTECODE", None)
            _command(server, variables)
            runs = [_command(server, variables) for _ in range(1 if quick else 3)]
            steps = _steps(variables)
    finally:
        sandbox.stop()
    client, database = (median(one[which] for one in runs) for which in (0, 1))
    return [
        Measure("empty", "CPU of an empty run, all processes", client + database, "s", at_most=4),
        Measure("empty", "… the command and its children", client, "s"),
        Measure("empty", "… the database server", database, "s"),
        *(Measure("empty", f"of which {name}", seconds, "s") for name, seconds in steps.items()),
    ]


def _command(server: TestServer, variables: dict[str, str]) -> tuple[float, float]:
    """CPU seconds of the command with all its children, and of the database server meanwhile."""
    before = _server_cpu(server)
    command = [sys.executable, "-m", "sync_pipelines.cli", "sync", "sendcloud/orders", "--account", ACCOUNT, "--json"]
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime, _server_cpu(server) - before


def _server_cpu(server: TestServer) -> float:
    """CPU seconds of the server and all its processes so far, ended ones included."""
    postmaster = psutil.Process(server.server.pid)
    times = postmaster.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in postmaster.children():
        try:
            own = child.cpu_times()
        except psutil.NoSuchProcess:  # its time is its parent's by now, or will be in the next reading
            continue
        total += own.user + own.system
    return total


def _steps(variables: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "sync_pipelines_tests.bench.empty_child", "sendcloud/orders", ACCOUNT]
    answer = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout
    steps: dict[str, float] = json.loads(answer.splitlines()[-1])
    return steps
