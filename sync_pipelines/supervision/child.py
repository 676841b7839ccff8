"""One supervised process: how it is started, when it is ready, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

LineSink = Callable[[str, str], None]
"""Takes a child's name and one line of its output."""


@dataclass(frozen=True)
class Child:
    """What to run.

    Attributes:
        name: Prefix of its lines.
        command: Program and arguments.
        environment: All of its variables.
        is_ready: Asked until true; ``None`` with ``ready_line``.
        ready_line: Text of an output line after which it is ready.
        workers: Text in the command lines of those of its processes that may be ended by force, because killing them loses nothing;
            it waits for them when it is told to stop.
        clear: Called after it has ended by itself with everything it started, before it is started again.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] | None = None
    ready_line: str | None = None
    workers: str | None = None
    clear: Callable[[], None] = lambda: None


class RunningChild:
    """A started child; leads a process group of its own, so that it ends with everything it started.

    Args:
        child: What to run.
        sink: Takes its lines.
    """

    def __init__(self, child: Child, sink: LineSink) -> None:
        self.child = child
        self.last_lines: deque[str] = deque(maxlen=15)
        self._sink = sink
        self._has_said_ready = threading.Event()
        self._process = subprocess.Popen(
            child.command,
            env=dict(child.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=f"lines of {child.name}", daemon=True)
        self._reader.start()

    @property
    def group(self) -> int:
        """Its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs."""
        return self._process.poll()

    def is_ready(self) -> bool:
        """Whether it does its work."""
        if self.exit_code is not None:
            return False
        if self.child.ready_line is not None:
            return self._has_said_ready.is_set()
        return self.child.is_ready is None or self.child.is_ready()

    def has_processes(self) -> bool:
        """Whether anything of its group is left alive."""
        self._process.poll()
        return _signal_group(self.group, 0) and bool(_living_members(self.group))

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the whole group."""
        _signal_group(self.group, number)

    def kill_workers(self) -> int:
        """Ends what the child's ``workers`` name, by force; returns how many there were."""
        wanted, killed = self.child.workers, 0
        if wanted is None:
            return 0
        for process in _living_members(self.group):
            with suppress(psutil.Error):
                if process.pid != self.group and wanted in " ".join(process.cmdline()):
                    process.kill()
                    killed += 1
        return killed

    def wait_for_lines(self) -> None:
        """After its end: until its last line has been passed on."""
        self._reader.join(timeout=2)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            text = line.rstrip()
            self.last_lines.append(text)
            if self.child.ready_line and self.child.ready_line in text:
                self._has_said_ready.set()
            self._sink(self.child.name, text)


def _living_members(group: int) -> list[psutil.Process]:
    """Processes of the group; no zombies, which stay where nobody reaps them (containers without an init)."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
