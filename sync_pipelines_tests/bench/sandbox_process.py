"""A look-alike in a process of its own, so that time and memory measured here are the client's alone."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines_tests.sandboxes import Control, RunningSandbox

STARTS_WITHIN_S = 300


@dataclass(frozen=True)
class ServedSandbox:
    """A look-alike elsewhere.

    Attributes:
        base_url: Of the vendor.
        control: Its control routes.
        pid: Its process.
        told: What ``tell`` made of its application.
    """

    base_url: str
    control: Control
    pid: int
    told: Any


@contextmanager
def sandbox_process(
    vendor: str, *, size: str, clock_at: float | None = None, tell: Callable[[Any], Any] | None = None
) -> Iterator[ServedSandbox]:
    """Serves a look-alike.

    Args:
        vendor: Its name.
        size: Of its world.
        clock_at: Freezes its clock there; by default it runs.
        tell: A function of a module, called with the application over there.
    """
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there, vendor, size, clock_at, tell), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(STARTS_WITHIN_S):
            raise TimeoutError(f"the look-alike of {vendor} did not start")
        base_url, told = here.recv()
        yield ServedSandbox(base_url, Control(base_url), process.pid or 0, told)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, vendor: str, size: str, clock_at: float | None, tell: Callable[[Any], Any] | None) -> None:
    clock = None if clock_at is None else Clock(clock_at)
    app = import_module(f"sync_pipelines.sandbox.{vendor}.app").create_app(size=size, clock=clock)
    running = RunningSandbox(vendor, app)
    pipe.send((running.base_url, tell(app) if tell else None))
    threading.Event().wait()
