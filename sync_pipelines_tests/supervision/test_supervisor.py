"""The supervisor: waits for readiness, restarts what dies, ends everything together, leaves nothing when killed itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from sync_pipelines.core.errors import ConfigError, TransientError
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.supervision import Child, Supervisor, supervisor
from sync_pipelines.supervision.ports import accepts, answers_ok, require_free

READY = "print('ready to work', flush=True)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "POLL_S", 0.01)
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(supervisor, "GRACE_S", 1.0)
    monkeypatch.setattr(supervisor, "WORKERS_GRACE_S", 0.1)


class Watched:
    """A supervisor with what it said."""

    def __init__(self, guard: ProcessGuard) -> None:
        self.lines: list[str] = []
        self.reports: list[str] = []
        self.supervisor = Supervisor(guard, lambda name, line: self.lines.append(f"{name}: {line}"), self.reports.append)

    def watch_until(self, condition: Callable[[], bool]) -> None:
        """Watches until the condition holds."""
        deadline = time.monotonic() + 30

        def look() -> None:
            if condition() or time.monotonic() > deadline:
                self.supervisor.request_stop("seen")

        self.supervisor.watch(look)
        assert condition()

    def pids(self, name: str) -> list[int]:
        """Process ids that children of this name have printed."""
        return [int(line.split()[-1]) for line in list(self.lines) if line.startswith(f"{name}: pid ")]


@pytest.fixture
def watched() -> Iterator[Watched]:
    with ProcessGuard() as guard:
        one = Watched(guard)
        yield one
        one.supervisor.stop()


def program(text: str, name: str = "child") -> Child:
    """A child that runs some Python and is ready when it says so."""
    command = (sys.executable, "-c", f"import os, signal, sys, time\nprint('pid', os.getpid(), flush=True)\n{text}")
    return Child(name, command, os.environ, ready_line="ready to work")


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  # read in one go, whatever happens to the process
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_start_returns_when_all_are_ready_and_passes_their_lines_on(watched: Watched) -> None:
    watched.supervisor.start([program(f"{READY}; time.sleep(60)", "a"), program(f"print('hello'); {READY}; time.sleep(60)", "b")])
    assert "b: hello" in watched.lines
    assert sorted(report.split()[0] for report in watched.reports) == ["a", "b"]


def test_a_child_that_dies_is_reported_and_started_again(watched: Watched) -> None:
    watched.supervisor.start([program(f"{READY}; time.sleep(60)")])
    os.kill(watched.pids("child")[0], signal.SIGKILL)
    watched.watch_until(lambda: len(watched.pids("child")) == 2)
    assert any("child ended (killed by SIGKILL); starting it again" in report for report in watched.reports)


def test_what_a_child_has_left_behind_is_cleared_before_it_starts_again(watched: Watched) -> None:
    failures = [TransientError("the database is away")] * 2
    running_while_cleared: list[bool] = []

    def clear() -> None:
        running_while_cleared.append(any(map(is_alive, watched.pids("child"))))
        if failures:
            raise failures.pop()

    watched.supervisor.start([replace(program(f"{READY}; time.sleep(60)"), clear=clear)])
    os.kill(watched.pids("child")[0], signal.SIGKILL)
    watched.watch_until(lambda: len(watched.pids("child")) == 2)
    assert running_while_cleared == [False, False, False]
    assert watched.reports.count("child: what it has left behind is not cleared yet: the database is away") == 2


def test_children_end_even_if_nobody_can_be_told(watched: Watched) -> None:
    def broken(_: str) -> None:
        raise BrokenPipeError

    watched.supervisor.start([program(f"{READY}; time.sleep(60)")])
    watched.supervisor.request_stop("SIGHUP")
    watched.supervisor.report = broken
    with pytest.raises(BrokenPipeError):
        watched.supervisor.stop()
    watched.supervisor.report = watched.reports.append
    deadline = time.monotonic() + 5
    while is_alive(watched.pids("child")[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(watched.pids("child")[0])


def test_what_is_left_after_an_error_is_ended_by_the_guard() -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    left = subprocess.Popen(sleeping, start_new_session=True)

    def fail() -> None:
        with ProcessGuard() as guard:
            guard.watch(left.pid)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert left.wait(timeout=5) == -signal.SIGTERM


def test_the_pause_before_a_restart_grows(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.02)
    watched.supervisor.start([program(f"{READY}; time.sleep(0.05); sys.exit(3)")])
    watched.watch_until(lambda: len(watched.pids("child")) >= 3)
    assert [one.backoff >= 0.02 * 4 for one in watched.supervisor._watched] == [True]


def test_a_child_that_can_not_start_ends_the_start_with_its_last_words(watched: Watched) -> None:
    with pytest.raises(TransientError, match=r"child does not start. Its last lines:\n.*\n?.*out of luck"):
        watched.supervisor.start([program("sys.exit('out of luck')")])


def test_a_child_that_never_gets_ready_ends_the_start(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STARTUP_S", 0.2)
    with pytest.raises(TransientError, match="child is not ready after"):
        watched.supervisor.start([program("time.sleep(60)")])


def test_stop_ends_children_with_everything_they_started_even_the_deaf(watched: Watched) -> None:
    deaf = "import subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); grandchild = subprocess.Popen(['sleep', '60'])"
    watched.supervisor.start([program(f"{deaf}; print('pid', grandchild.pid); {READY}; time.sleep(60)")])
    pids = watched.pids("child")
    watched.supervisor.stop()
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)
    assert any("is killed" in report for report in watched.reports)


def test_a_child_that_waits_for_its_worker_is_freed_of_it_and_ends_by_itself(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_S", 30.0)
    busy = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('pid', __import__('os').getpid(), flush=True)"
    waiting = (
        f"import subprocess; worker = subprocess.Popen([sys.executable, '-c', {busy + '; time.sleep(60)  # a worker'!r}])\n"
        "signal.signal(signal.SIGTERM, lambda *_: (worker.wait(), print('ended by itself', flush=True), sys.exit(0)))\n"
        f"{READY}; time.sleep(60)"
    )
    child = replace(program(waiting), workers="a worker")
    watched.supervisor.start([child])
    watched.watch_until(lambda: len(watched.pids("child")) == 2)
    watched.supervisor.stop()
    assert "child: ended by itself" in watched.lines
    assert not any(is_alive(pid) for pid in watched.pids("child"))
    assert [report for report in watched.reports if "is killed" in report] == []
    assert any("child: 1 still at work" in report for report in watched.reports)


def test_a_signal_ends_the_start_and_the_watch(watched: Watched) -> None:
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with watched.supervisor.stopping_on_signals():
        timer.start()
        watched.supervisor.start([program("time.sleep(60)")])
        watched.supervisor.watch()
    watched.supervisor.stop()
    assert watched.reports == ["SIGTERM: stopping"]


def test_children_end_when_the_supervisor_is_killed() -> None:
    text = (
        "import os, sys\n"
        "from sync_pipelines.core.guard import ProcessGuard\n"
        "from sync_pipelines.supervision import Child, Supervisor\n"
        "one = Supervisor(ProcessGuard(), lambda name, line: print(line, flush=True), lambda text: None)\n"
        "code = 'import os, time; print(os.getpid(), flush=True); print(\"ready\", flush=True); time.sleep(60)'\n"
        "one.start([Child('c', (sys.executable, '-c', code), os.environ, ready_line='ready')])\n"
        "print('started', flush=True); one.watch()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    pid = int(owner.stdout.readline())
    assert is_alive(pid)
    while owner.stdout.readline() != "started\n":
        pass
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 15
    while is_alive(pid) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert not is_alive(pid)


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"can not listen on 127.0.0.1:{port}: .* another port: --service-port"):
            require_free("127.0.0.1", port, "service", "--service-port")
        assert accepts("127.0.0.1", port)
    assert not accepts("127.0.0.1", port)
    assert not answers_ok(f"http://127.0.0.1:{port}/")
    require_free("127.0.0.1", port, "service", "--service-port")
