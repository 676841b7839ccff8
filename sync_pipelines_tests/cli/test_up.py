"""``up``: all processes start, a killed one comes back, and a signal ends all of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from sync_pipelines_tests.sandboxes import free_port
from sync_pipelines_tests.waiting import eventually

ACCOUNTS = "accounts:\n  - id: sendcloud/main\n    credentials: {public_key: sandbox-public, secret_key: sandbox-secret}\n"


class Up:
    """A running ``sync-pipelines up``."""

    def __init__(self, project: Path, **environ: str) -> None:
        self.ports = {name: free_port() for name in ("WEB", "CODE", "SERVICE", "SANDBOX")}
        variables = {f"SYNC_PIPELINES_{name}_PORT": str(port) for name, port in self.ports.items()}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sync_pipelines.cli", "up"],
            cwd=project,
            env={**os.environ, **variables, **environ, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads on until a line matches."""
        for line in self.process.stdout or ():
            self.lines.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"no line matches {pattern}:\n{''.join(self.lines)}")


pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def up(tmp_path: Path, database_url: str) -> Iterator[Up]:
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    environ = {"DATABASE_URL": database_url, "SYNC_PIPELINES_CONFIG": "accounts.yaml", "SYNC_PIPELINES_STATE": ".sync_pipelines"}
    started = Up(tmp_path, **environ)
    yield started
    started.process.kill()
    started.process.wait()


@pytest.mark.slow
def test_everything_starts_comes_back_and_ends_together(up: Up, tmp_path: Path) -> None:
    up.wait_for("everything runs")
    assert httpx.get(f"http://127.0.0.1:{up.ports['SERVICE']}/readyz").json() == {"ready": True}
    assert "dagster_version" in httpx.get(f"http://127.0.0.1:{up.ports['WEB']}/server_info").json()

    again = [sys.executable, "-m", "sync_pipelines.cli", "up"]
    second = subprocess.run(again, cwd=tmp_path, env=_same(tmp_path), capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert f"already runs here (process {up.process.pid}" in second.stderr

    os.kill(_listener(up.ports["SERVICE"]), signal.SIGKILL)
    up.wait_for(r"service ended \(killed by SIGKILL\); starting it again")

    up.process.send_signal(signal.SIGTERM)
    up.wait_for("up .* stopped")
    assert up.process.wait(timeout=15) == 0
    assert all(_listener(port) == 0 for port in up.ports.values())


@pytest.mark.slow
def test_it_goes_on_and_ends_cleanly_when_nobody_reads_its_lines_any_more(up: Up) -> None:
    up.wait_for("everything runs")
    assert up.process.stdout
    up.process.stdout.close()
    os.kill(_listener(up.ports["SERVICE"]), signal.SIGKILL)
    eventually(lambda: _listener(up.ports["SERVICE"]) == 0)
    eventually(lambda: _listener(up.ports["SERVICE"]) > 0, seconds=60)
    children = psutil.Process(up.process.pid).children(recursive=True)

    up.process.send_signal(signal.SIGHUP)
    up.process.wait(timeout=20)
    eventually(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))


def _same(project: Path) -> dict[str, str]:
    return {**os.environ, "SYNC_PIPELINES_CONFIG": "accounts.yaml", "SYNC_PIPELINES_STATE": str(project / ".sync_pipelines")}


def _listener(port: int) -> int:
    """The process that listens on a port of 127.0.0.1; 0 if there is none."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            inodes.add(f"socket:[{fields[9]}]")
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in inodes:
                return int(descriptor.parts[2])
        except OSError:
            continue
    return 0
