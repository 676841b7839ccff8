"""The embedded server's life: initialise, start or attach, stop, and come back after anything was killed.

Whether a server is alive is told by a lock, never by a process id: the server and all its children inherit an open file with an
exclusive `flock`, which the kernel drops when the last of them is gone. A zombie, a reused id or a stale ``postmaster.pid`` can
therefore not be mistaken for a server, and an orphaned backend can not be overlooked.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines.core.postgres.binaries import Binaries, find_binaries
from sync_pipelines.core.postgres.unprivileged import Unprivileged, unprivileged

USER = "sync_pipelines"
DATABASE = "sync_pipelines"

PORTS = range(15432, 16432)
"""Below 32768, where the kernel takes the ports of outgoing connections from."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",  # the connection budget stands in dagster.yaml
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",  # our statements are short; compiling them costs more than it gives
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}

STOP_STEPS = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 4.0), (signal.SIGKILL, 3.0))
"""Fast shutdown, then immediate, then by force; seconds to wait after each."""

ORPHANS_S = 5.0
"""How long children of a dead server may take to notice, before they are ended by force."""


@dataclass(frozen=True)
class Connection:
    """What is remembered of a server between starts."""

    port: int
    password: str

    def url(self, database: str = DATABASE) -> str:
        """A plain Postgres URL."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"


class EmbeddedServer:
    """The server whose data lives below one state folder.

    It runs until `stop` is called, however many programs use it and however they end.

    Args:
        state: The state folder, ``.sync_pipelines`` of a project.
        settings: Further server settings, e.g. ``{"fsync": "off"}`` for tests.
        binaries: The server's programs; found when needed if omitted.
    """

    def __init__(self, state: Path, *, settings: Mapping[str, str] | None = None, binaries: Binaries | None = None) -> None:
        self.state = state.absolute()
        self.data = self.state / "postgres"
        self.log = self.state / "postgres.log"
        self._settings = {**SETTINGS, **(settings or {})}
        self._binaries = binaries

    @property
    def url(self) -> str | None:
        """The URL if a server was ever started here, running or not."""
        connection = self._remembered()
        return connection.url() if connection else None

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._recorded_pid() if self.is_running() else None

    @property
    def has_data(self) -> bool:
        """Whether it was ever started here."""
        return (self.data / "PG_VERSION").exists()

    def is_running(self) -> bool:
        """Whether any process of this server is alive."""
        if not self.state.exists():
            return False
        with self._open(self._alive_path) as file:
            return not _try_lock(file, fcntl.LOCK_SH)

    def start(self) -> str:
        """Starts the server, or attaches to it, and returns its URL once it answers.

        However long recovery after a crash takes, it is waited for as long as the server lives.

        Raises:
            ConfigError: No binaries, data of another version or user, a damaged state folder.
            DatabaseUnavailable: The server ends right after its start; the message quotes its log.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._exclusive(), self._open(self._alive_path) as alive:
            if not _try_lock(alive):
                attached = self._attach(alive)
                if attached:
                    return attached.url()
            return self._launch(alive).url()

    def stop(self) -> bool:
        """Stops the server (fast shutdown, by force if it does not react); returns whether there was one."""
        if not self.state.exists():
            return False
        with self._exclusive(), self._open(self._alive_path) as alive:
            if _try_lock(alive):
                return False
            pid = self._recorded_pid()
            for number, seconds in STOP_STEPS:
                if pid is not None:
                    _signal(pid, number)
                if _lock_within(alive, seconds):
                    return True
            self._kill_orphans()
            if not _lock_within(alive, 5):
                raise DatabaseUnavailable(f"the embedded Postgres in {self.state} does not stop; see {self.log}")
            return True

    # -- starting ------------------------------------------------------------------------------------------------------

    def _attach(self, alive: IO[str]) -> Connection | None:
        """Waits for a living server to answer; ``None`` once it has turned out to be dying and is gone."""
        connection = self._remembered()
        while connection is not None:
            if _answers(connection):
                return connection
            if not _is_process(self._recorded_pid()):
                break
            if _try_lock(alive):
                return None
            time.sleep(0.05)
        # The postmaster is dead; its children notice soon, except one in the middle of a long statement.
        if not _lock_within(alive, ORPHANS_S):
            self._kill_orphans()
            if not _lock_within(alive, 10):
                raise DatabaseUnavailable(f"processes of a dead Postgres still hold {self.data}; see {self.log}")
        return None

    def _launch(self, alive: IO[str]) -> Connection:
        """Starts a server that inherits ``alive``, whose lock this process holds."""
        binaries = self._binaries or find_binaries()
        run_as = unprivileged(self.state, self.data, binaries.program("postgres"))
        connection = self._initialise(binaries, run_as, alive)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for attempt in range(5):
            if attempt or not _is_free(connection.port):
                connection = Connection(_free_port(avoid=connection.port), connection.password)
                self._remember(connection)
            process = self._spawn(binaries, run_as, connection, alive)
            while process.poll() is None:
                if _answers(connection):
                    self._create_database(connection)
                    return connection
                time.sleep(0.02)
            if "could not bind" not in self._log_tail():
                break
        raise DatabaseUnavailable(
            f"the embedded Postgres in {self.state} does not start. {self.log} ends with:\n{self._log_tail()}"
        )

    def _initialise(self, binaries: Binaries, run_as: Unprivileged, alive: IO[str]) -> Connection:
        if self.data.exists():
            return self._existing(binaries)
        connection = Connection(_free_port(seed=str(self.state)), secrets.token_urlsafe(18))
        staging = self.state / "postgres.new"
        shutil.rmtree(staging, ignore_errors=True)
        password_file = self.state / "initdb.password"
        password_file.unlink(missing_ok=True)
        staging.mkdir(mode=0o700)
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(connection.password + "\n")
        for path in (staging, password_file):
            os.chown(path, run_as.owner, -1)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"] if binaries.major >= 17 else ["--locale=C"]
        command = [*run_as.prefix, binaries.program("initdb"), f"--pgdata={staging}", f"--username={USER}"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--no-instructions", *locale]
        # The password is 144 random bits: iterations guard only what can be guessed, and would cost 10 ms of CPU a connection.
        command += ["--set=scram_iterations=1"] if binaries.major >= 16 else []
        command += ["--no-sync"] if self._settings.get("fsync") == "off" else []
        made = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_environment(), cwd="/", pass_fds=(alive.fileno(),)
        )
        password_file.unlink()
        if made.returncode != 0:
            raise ConfigError(f"initdb failed in {self.state}: {made.stderr.strip() or made.stdout.strip()}")
        self._remember(connection)
        staging.rename(self.data)
        return connection

    def _existing(self, binaries: Binaries) -> Connection:
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != str(binaries.major):
            raise ConfigError(
                f"{self.data} was made by PostgreSQL {version}, but the server found here is {binaries.major}. "
                f"Install that version, dump and restore, or remove {self.state} to begin anew (`make clean`)"
            )
        connection = self._remembered()
        if connection is None:
            raise ConfigError(
                f"{self._memory_path} is missing or damaged, and with it the password of {self.data}. "
                f"Restore it from a backup, or remove {self.state} to begin anew (`make clean`)"
            )
        return connection

    def _spawn(self, binaries: Binaries, run_as: Unprivileged, connection: Connection, alive: IO[str]) -> subprocess.Popen[bytes]:
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        command = [*run_as.prefix, binaries.program("postgres"), "-D", str(self.data), "-p", str(connection.port), *options]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                cwd="/",
                pass_fds=(alive.fileno(),),
                start_new_session=True,
            )

    def _create_database(self, connection: Connection) -> None:
        with psycopg.connect(connection.url("postgres"), autocommit=True) as admin:
            if admin.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone() is None:
                admin.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))

    # -- the state folder ----------------------------------------------------------------------------------------------

    @property
    def _memory_path(self) -> Path:
        return self.state / "postgres.json"

    @property
    def _alive_path(self) -> Path:
        return self.state / "postgres.alive"

    def _remembered(self) -> Connection | None:
        try:
            memory = json.loads(self._memory_path.read_text())
            return Connection(int(memory["port"]), str(memory["password"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, connection: Connection) -> None:
        temporary = self._memory_path.with_suffix(".json.new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"port": connection.port, "password": connection.password}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._memory_path)

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One start or stop at a time in this state folder."""
        with self._open(self.state / "postgres.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _open(self, path: Path) -> Iterator[IO[str]]:
        try:
            file = path.open("a")
        except PermissionError as error:
            raise ConfigError(
                f"{self.state} belongs to another user. Run as that user, or keep an own state folder: "
                "export SYNC_PIPELINES_STATE=$HOME/.sync_pipelines"
            ) from error
        with file:
            yield file

    def _kill_orphans(self) -> None:
        """Ends backends that outlived their postmaster; they are the processes whose working directory is the data folder."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink() == self.data:
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGDATA, PGPORT or a locale that is not installed would change the server."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _try_lock(file: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_within(file: IO[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _answers(connection: Connection) -> bool:
    """Whether the server takes statements; starting up, recovering and refusing connections mean not yet."""
    try:
        psycopg.connect(connection.url("postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _is_process(pid: int | None) -> bool:
    """Whether the process exists and is no zombie."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(*, seed: str = "", avoid: int | None = None) -> int:
    """A free port; projects begin to look at different places, so that they rarely meet."""
    offset = zlib.crc32(seed.encode()) if seed else secrets.randbelow(len(PORTS))
    for step in range(len(PORTS)):
        port = PORTS[(offset + step) % len(PORTS)]
        if port != avoid and _is_free(port):
            return port
    raise ConfigError(f"no free port between {PORTS[0]} and {PORTS[-1]} for the embedded Postgres; set DATABASE_URL instead")
