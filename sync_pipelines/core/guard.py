"""Ends what a process has started when that process dies, even by ``kill -9``.

A small companion process holds the reading end of a pipe. As long as its owner lives nothing happens; when the pipe closes
without a word, the companion ends every registered process group: first with the group's own signal, after a grace by force.
The companion runs this very file without importing the package, so it costs a few megabytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

GRACE_S = 10.0


class ProcessGuard:
    """Watches over process groups started by this process.

    Every watched process must lead its own group (``start_new_session=True``).
    """

    def __init__(self) -> None:
        reading, self._pipe = os.pipe()
        self._companion = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__))],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reading)

    def watch(self, group: int, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends this group with ``number`` if we die."""
        self._tell(f"+ {group} {int(number)}")

    def forget(self, group: int) -> None:
        """The group has ended by itself; its number may be used again by others."""
        self._tell(f"- {group} 0")

    def close(self) -> None:
        """A clean end: nothing is left to watch."""
        self._tell("done 0 0")
        os.close(self._pipe)
        self._companion.wait()

    def __enter__(self) -> ProcessGuard:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        """After an error something may be left, which then ends as if we had died."""
        if error is None:
            self.close()
        else:
            os.close(self._pipe)
            self._companion.wait()

    def _tell(self, line: str) -> None:
        os.write(self._pipe, f"{line}\n".encode())


def _companion() -> None:
    groups: dict[int, int] = {}
    for line in sys.stdin:
        word, group, number = line.split()
        if word == "done":
            return
        if word == "+":
            groups[int(group)] = int(number)
        else:
            groups.pop(int(group), None)
    for group, own_signal in groups.items():
        _signal_group(group, own_signal)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(_signal_group(group, 0) for group in groups):
        time.sleep(0.05)
    for group in groups:
        _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    _companion()
