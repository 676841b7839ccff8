"""The toy service in a process of its own, and any application with its intake in a thread."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from sync_pipelines.service.intake import Intake
from sync_pipelines.service.wire import direct_deliveries
from sync_pipelines_tests.sandboxes import free_port


@dataclass(frozen=True)
class RunningService:
    """Where it answers."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def running_service(database_url: str) -> Iterator[RunningService]:
    """Starts the toy service and waits until it is ready; stops it at the end."""
    with running("sync_pipelines_tests.service.toy_service", database_url) as service:
        yield service


@contextmanager
def running_bare() -> Iterator[RunningService]:
    """The same for an application that only answers."""
    with running("sync_pipelines_tests.service.bare") as service:
        yield service


@contextmanager
def running(module: str, *arguments: str) -> Iterator[RunningService]:
    """The same for any module that serves on the port that is its last argument."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", module, *arguments, str(port)])
    pause = threading.Event()
    try:
        while not _is_ready(url):
            assert process.poll() is None, "the service ended at its start"
            pause.wait(0.05)
        yield RunningService(url, process)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def serving(app: ASGIApp, intake: Intake, **options: Any) -> Iterator[str]:
    """Serves an application and its intake in a thread; the address. At the end it stops as the service does after a signal."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, http=direct_deliveries(intake), port=port, log_config=None, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    pause = threading.Event()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended at its start"
            pause.wait(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
