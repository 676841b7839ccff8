"""Keeps children running until told to stop: waits for readiness, restarts what dies with back-off, ends all of them together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sync_pipelines.core.errors import TransientError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.supervision.child import Child, LineSink, RunningChild

POLL_S = 0.2
STARTUP_S = 180.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
STEADY_S = 60.0
"""A child that ran this long is restarted at once again."""

STARTS_BEFORE_GIVING_UP = 3
"""A child that ends so often before it was ever ready is not going to be."""

GRACE_S = 10.0
"""Between SIGTERM and SIGKILL; with the database's own stop everything has ended within 15 s."""

WORKERS_GRACE_S = 3.0
"""After this a child's workers are ended by force: under load one that has just started takes longer to notice the signal."""


@dataclass
class _Watched:
    """A child over all of its lives."""

    child: Child
    running: RunningChild | None = None
    started_at: float = 0.0
    starts: int = 0
    was_ready: bool = False
    backoff: float = field(default_factory=lambda: FIRST_BACKOFF_S)
    due_at: float = 0.0
    last_lines: list[str] = field(default_factory=list)


@dataclass
class Supervisor:
    """Runs children.

    Args:
        guard: Ends the children should this process be killed.
        sink: Takes every line of every child.
        report: Takes what happened to a child, for a person.
    """

    guard: ProcessGuard
    sink: LineSink
    report: Callable[[str], None]
    _watched: list[_Watched] = field(default_factory=list)
    _stop_reason: str | None = None

    def start(self, children: Sequence[Child]) -> None:
        """Starts these children together and waits until all of them are ready; returns early if a stop is asked for.

        Raises:
            TransientError: One can not be started; the message ends with its last lines.
        """
        new = [_Watched(child) for child in children]
        self._watched += new
        for watched in new:
            self._launch(watched)
        deadline = time.monotonic() + STARTUP_S
        while not self.is_stopping:
            self._revive()
            waiting = [watched for watched in new if not self._has_become_ready(watched)]
            if not waiting:
                return
            for watched in waiting:
                if watched.starts >= STARTS_BEFORE_GIVING_UP and watched.running is None:
                    raise TransientError(self._complaint(watched, "does not start"))
            if time.monotonic() > deadline:
                raise TransientError(self._complaint(waiting[0], f"is not ready after {STARTUP_S:.0f} s"))
            time.sleep(POLL_S)

    def watch(self, each_round: Callable[[], None] = lambda: None) -> None:
        """Restarts what dies until a stop is asked for; calls ``each_round`` about five times a second."""
        while not self.is_stopping:
            self._revive()
            for watched in self._watched:
                self._has_become_ready(watched)
            each_round()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Ends all children and everything they started: asked first, forced after a grace, workers after a shorter one."""
        running = [watched.running for watched in self._watched if watched.running]
        for child in running:
            child.signal(signal.SIGTERM)
        if self._stop_reason:
            self.report(f"{self._stop_reason}: stopping")
        left = _still_there(running, within_s=WORKERS_GRACE_S)
        for child in left:
            if count := child.kill_workers():
                self.report(
                    f"{child.child.name}: {count} still at work after {WORKERS_GRACE_S:.0f} s and cut off; the next start goes on"
                )
        deaf = _still_there(left, within_s=GRACE_S - WORKERS_GRACE_S)
        for child in deaf:
            self.report(f"{child.child.name} did not stop in {GRACE_S:.0f} s and is killed")
            child.signal(signal.SIGKILL)
        _still_there(deaf, within_s=2)
        for child in running:
            child.wait_for_lines()
            self.guard.forget(child.group)

    @contextmanager
    def stopping_on_signals(self) -> Iterator[None]:
        """Within it, SIGINT, SIGTERM and SIGHUP end `start` and `watch`; the caller then calls `stop`."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop_reason is not None

    def request_stop(self, reason: str) -> None:
        """Ends `start` and `watch` soon. Takes no lock and prints nothing, so that a signal handler may call it at any point."""
        self._stop_reason = self._stop_reason or reason

    def _on_signal(self, number: int, _frame: object) -> None:
        self.request_stop(signal.Signals(number).name)

    def _launch(self, watched: _Watched) -> None:
        watched.running = RunningChild(watched.child, self.sink)
        self.guard.watch(watched.running.group)
        watched.started_at = time.monotonic()
        watched.starts += 1

    def _revive(self) -> None:
        now = time.monotonic()
        for watched in self._watched:
            if watched.running is None:
                is_hopeless = not watched.was_ready and watched.starts >= STARTS_BEFORE_GIVING_UP
                if now >= watched.due_at and not is_hopeless and self._clear(watched):
                    self._launch(watched)
                continue
            code = watched.running.exit_code
            if code is None:
                continue
            if now - watched.started_at > STEADY_S:
                watched.backoff = FIRST_BACKOFF_S
            self.report(f"{watched.child.name} ended ({_ending(code)}); starting it again in {watched.backoff:.0f} s")
            watched.running.signal(signal.SIGKILL)
            watched.running.wait_for_lines()
            self.guard.forget(watched.running.group)
            watched.last_lines = list(watched.running.last_lines)
            watched.running = None
            self._postpone(watched)

    def _clear(self, watched: _Watched) -> bool:
        """Clears what its last life has left behind; where that is not possible now it answers false, and tries again later."""
        try:
            watched.child.clear()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other children are still to be watched
            self.report(f"{watched.child.name}: what it has left behind is not cleared yet: {describe(error).text}")
            self._postpone(watched)
            return False
        return True

    def _postpone(self, watched: _Watched) -> None:
        watched.due_at = time.monotonic() + watched.backoff
        watched.backoff = min(watched.backoff * 2, LONGEST_BACKOFF_S)

    def _has_become_ready(self, watched: _Watched) -> bool:
        """Whether it was ready at least once since its last start was reported."""
        if watched.running is None or (not watched.was_ready and not watched.running.is_ready()):
            return False
        if not watched.was_ready:
            watched.was_ready = True
            self.report(f"{watched.child.name} is ready after {time.monotonic() - watched.started_at:.1f} s")
        return True

    def _complaint(self, watched: _Watched, what: str) -> str:
        lines = list(watched.running.last_lines) if watched.running else watched.last_lines
        return f"{watched.child.name} {what}. Its last lines:\n" + "\n".join(f"  {line}" for line in lines)


def _still_there(children: list[RunningChild], *, within_s: float) -> list[RunningChild]:
    """Those that have not ended within the time."""
    deadline = time.monotonic() + within_s
    while children and time.monotonic() < deadline:
        children = [child for child in children if child.has_processes()]
        time.sleep(0.05)
    return children


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
