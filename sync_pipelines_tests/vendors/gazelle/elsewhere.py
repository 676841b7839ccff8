"""Syncs in a process of its own, to measure its memory or to kill it."""

from __future__ import annotations

import multiprocessing
import resource
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sync_pipelines.core.db import Database
from sync_pipelines_tests.sandboxes import Control
from sync_pipelines_tests.vendors.gazelle.studio import Studio


class Elsewhere:
    """A child process that syncs every stream of an account once.

    Args:
        base_url: Of the look-alike.
        database_url: Migrated.
        **settings: Of the account.
    """

    def __init__(self, base_url: str, database_url: str, **settings: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiving, sending = context.Pipe(duplex=False)
        self.process = context.Process(target=_sync, args=(sending, base_url, database_url, settings), daemon=True)
        self.process.start()
        sending.close()

    def result(self) -> tuple[dict[str, dict[str, Any]], int]:
        """Totals by stream, and the most memory the process held at once, in bytes."""
        totals, memory = self._receiving.recv()
        self.process.join()
        return totals, memory


def _sync(sending: Connection, base_url: str, database_url: str, settings: dict[str, Any]) -> None:
    with Database(database_url, application_name="gazelle elsewhere") as database:
        running: Any = SimpleNamespace(base_url=base_url, control=Control(base_url))
        totals = Studio(running, database, **settings).sync_all()
    sending.send(({name: total.as_json() for name, total in totals.items()}, _most_memory()))


def _most_memory() -> int:
    """Bytes; from the kernel's own record, because ``getrusage`` also counts what the parent held when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
