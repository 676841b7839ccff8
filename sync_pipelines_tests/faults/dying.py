"""Processes that end at a chosen moment of their work.

A moment is just before or just after the process waits for Postgres or for the vendor: before a statement leaves, after a commit
came back, between a page and its transaction. Moments are counted, so a seed names the same one again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

import httpx
import psycopg

Work = Callable[..., None]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["sync_pipelines_tests.faults.label_worker", "sync_pipelines_tests.faults.shop_sync"])


class Elsewhere:
    """Work in a process of its own, which stops at a moment and does there what it was told.

    Args:
        work: A function of a module, called with ``arguments``.
        moment: Its number; ``None`` for never.
        is_killed: At its moment the process kills itself. Otherwise it waits until `go_on`.
    """

    def __init__(self, work: Work, *arguments: Any, moment: int | None = None, is_killed: bool = True) -> None:
        self._ours, theirs = _SERVER.Pipe()
        self.process: ForkServerProcess = _SERVER.Process(
            target=_run, args=(work, arguments, moment, is_killed, theirs), daemon=True
        )
        self.process.start()
        theirs.close()

    def moments(self) -> int:
        """Waits for the end; how many moments there were, 0 if the process died or failed."""
        self.process.join()
        return int(self._ours.recv()) if self._answers() else 0

    def is_at_its_moment(self) -> bool:
        """Waits for the moment; False if the work ended before it."""
        return self._answers() and self._ours.recv() == "here"

    def go_on(self) -> None:
        """Lets it go on."""
        self._ours.send("go on")

    @property
    def was_killed(self) -> bool:
        """Whether it was ended by ``kill -9``."""
        return self.process.exitcode == -signal.SIGKILL

    def _answers(self) -> bool:
        try:
            return self._ours.poll(None)
        except (EOFError, ConnectionResetError):
            return False


def _run(work: Work, arguments: tuple[Any, ...], moment: int | None, is_killed: bool, pipe: Connection) -> None:
    passed = 0

    def moment_passes() -> None:
        nonlocal passed
        passed += 1
        if passed != moment:
            return
        if is_killed:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send("here")
        pipe.recv()

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            moment_passes()
            answer = original(*args, **options)
            moment_passes()
            return answer

        return wrapped

    psycopg.Connection.wait = counted(psycopg.Connection.wait)  # type: ignore[method-assign]
    httpx.Client.send = counted(httpx.Client.send)  # type: ignore[method-assign]
    work(*arguments)
    pipe.send(passed)
