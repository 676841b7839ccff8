"""``up``: everything, in one terminal."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sync_pipelines.cli import output
from sync_pipelines.cli.sandboxed import with_sandbox_accounts
from sync_pipelines.cli.session import configuration
from sync_pipelines.config import Config, Environment, embedded_server
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.preparation import prepare
from sync_pipelines.supervision import Child, Supervisor
from sync_pipelines.supervision.ports import accepts, answers_ok, require_free

LOOPBACK = "127.0.0.1"
COLOURS = {"up": "bold white", "web": "cyan", "daemon": "magenta", "code": "blue", "service": "green", "sandbox": "yellow"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("up")(up)


def up(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Also serve the vendors' look-alikes, and sync from them")] = False,
    web_port: Annotated[int | None, typer.Option(help="Dagster UI; default SYNC_PIPELINES_WEB_PORT or 3000")] = None,
    service_port: Annotated[int | None, typer.Option(help="Webhooks and status page; default 8787")] = None,
    code_port: Annotated[int | None, typer.Option(help="Code server; default 4000")] = None,
    sandbox_port: Annotated[int | None, typer.Option(help="Sandbox; default 8790")] = None,
) -> None:
    """Starts everything and keeps it running: Postgres if embedded, Dagster's UI, daemon and code server, the service."""
    environment = Environment.read()
    environment = replace(
        environment,
        web_port=web_port or environment.web_port,
        service_port=service_port or environment.service_port,
        code_port=code_port or environment.code_port,
        sandbox_port=sandbox_port or environment.sandbox_port,
    )
    if sandbox and not environment.config_path.exists():
        environment = with_sandbox_accounts(environment, f"http://{LOOPBACK}:{environment.sandbox_port}")
    with _alone(environment), ProcessGuard() as guard:
        _require_ports(environment, sandbox)
        log = _Log()
        supervisor = Supervisor(guard, log.line, lambda text: log.line("up", text))
        with supervisor.stopping_on_signals():
            _run(environment, supervisor, guard, log, with_sandbox=sandbox)


def _run(environment: Environment, supervisor: Supervisor, guard: ProcessGuard, log: _Log, *, with_sandbox: bool) -> None:
    started_at = time.monotonic()
    server = None if environment.database_url else _WatchedServer(embedded_server(environment), guard, log)
    try:
        if server:
            server.start()
        config = configuration(environment)
        prepared = prepare(environment)
        if prepared.revisions:
            log.line("up", f"database migrated: {', '.join(prepared.revisions)}")
        variables = environment.child_environment(prepared.database_url)
        _ready_instance(environment, prepared.database_url, config, log)
        code = _code(environment, variables, clear=lambda: _fail_orphans(environment, prepared.database_url, log))
        first = [code, _service(environment, variables)]
        supervisor.start([*first, *([_sandbox(environment, variables)] if with_sandbox else [])])
        if not supervisor.is_stopping:  # both ask the code server as soon as they start
            supervisor.start([_web(environment, variables), _daemon(environment, variables)])
        if not supervisor.is_stopping:
            log.line("up", f"everything runs after {time.monotonic() - started_at:.1f} s; Ctrl-C stops it")
            for what, url in _addresses(environment, with_sandbox=with_sandbox).items():
                log.line("up", f"{what:<13} {url}")
        supervisor.watch(server.look_after if server else lambda: None)
    finally:
        supervisor.stop()
        if server:
            server.stop()
        log.line("up", "stopped")


def _ready_instance(environment: Environment, database_url: str, config: Config, log: _Log) -> None:
    """Fails the runs that an earlier, killed ``up`` has left behind, and makes the accounts known as partitions."""
    _fail_orphans(environment, database_url, log)
    from dagster import DagsterInstance

    from sync_pipelines.orchestration.partitions import register_accounts
    from sync_pipelines.registry import all_vendors

    with DagsterInstance.get() as instance:
        for vendor in all_vendors():
            register_accounts(instance, vendor, config.account_ids(vendor.account_vendors))


def _fail_orphans(environment: Environment, database_url: str, log: _Log) -> None:
    """Fails the runs of a code server that is no more."""
    environment.enter(database_url)
    from dagster import DagsterInstance

    from sync_pipelines.orchestration.orphans import fail_orphans

    with DagsterInstance.get() as instance:
        for run_id in fail_orphans(instance, is_code_server_down=True):
            log.line("up", f"run {run_id} had lost its process; marked as failed")


def _web(environment: Environment, variables: Mapping[str, str]) -> Child:
    command = _dagster_command("dagster_webserver", environment)
    options = ("--host", environment.web_host, "--port", str(environment.web_port), "--db-pool-max-overflow", "10")
    return Child("web", (*command, *options), variables, lambda: answers_ok(f"{environment.web_url}/server_info"))


def _daemon(environment: Environment, variables: Mapping[str, str]) -> Child:
    command = _dagster_command("dagster._daemon", environment, "run")
    return Child("daemon", command, variables, ready_line="Instance is configured with the following daemons")


def _code(environment: Environment, variables: Mapping[str, str], *, clear: Callable[[], None]) -> Child:
    port = environment.code_port
    workspace = environment.dagster_home / "workspace.yaml"
    workspace.write_text(
        "# Written by `sync-pipelines up`: web server and daemon share one code server.\n"
        f"load_from:\n  - grpc_server: {{host: {LOOPBACK}, port: {port}, location_name: sync_pipelines}}\n"
    )
    # Not `dagster code-server start`: that stays alive when the server below it has died, and nobody would start another one.
    command = (sys.executable, "-m", "dagster", "api", "grpc", "--host", LOOPBACK, "--port", str(port))
    options = ("-m", "sync_pipelines.code_location", "--location-name", "sync_pipelines")
    # A run that is killed loses nothing, and the code server marks it as failed; it would wait for a run until that has ended, and
    # for calls under way a minute and more.
    variables = {**variables, "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "3"}
    return Child(
        "code", (*command, *options), variables, lambda: accepts(LOOPBACK, port), workers="from multiprocessing", clear=clear
    )


def _service(environment: Environment, variables: Mapping[str, str]) -> Child:
    command = (sys.executable, "-m", "sync_pipelines.service")
    return Child("service", command, variables, lambda: answers_ok(f"{environment.service_url}/readyz"))


def _sandbox(environment: Environment, variables: Mapping[str, str]) -> Child:
    port = environment.sandbox_port
    command = (sys.executable, "-m", "sync_pipelines.cli", "sandbox", "serve", "--port", str(port))
    return Child("sandbox", command, variables, lambda: answers_ok(f"http://{LOOPBACK}:{port}/"))


def _dagster_command(module: str, environment: Environment, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *words, "-w", str(environment.dagster_home / "workspace.yaml"))


def _addresses(environment: Environment, *, with_sandbox: bool) -> dict[str, str]:
    found = {"Dagster": environment.web_url, "status page": environment.service_url}
    return found | ({"sandbox": f"http://{LOOPBACK}:{environment.sandbox_port}"} if with_sandbox else {})


def _require_ports(environment: Environment, with_sandbox: bool) -> None:
    require_free(environment.web_host, environment.web_port, "Dagster UI", "--web-port or SYNC_PIPELINES_WEB_PORT")
    require_free(environment.host, environment.service_port, "service", "--service-port or SYNC_PIPELINES_SERVICE_PORT")
    require_free(LOOPBACK, environment.code_port, "code server", "--code-port or SYNC_PIPELINES_CODE_PORT")
    if with_sandbox:
        require_free(LOOPBACK, environment.sandbox_port, "sandbox", "--sandbox-port or SYNC_PIPELINES_SANDBOX_PORT")


@contextmanager
def _alone(environment: Environment) -> Iterator[None]:
    """Keeps a second ``up`` away from the same state folder."""
    environment.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (environment.state / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ConfigError(
                f"`sync-pipelines up` already runs here (process {file.read().strip() or 'unknown'}, state in {environment.state})"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class _WatchedServer:
    """The embedded server for the time of ``up``: started again if it dies, stopped at the end if it was started here."""

    def __init__(self, server: EmbeddedServer, guard: ProcessGuard, log: _Log) -> None:
        self._server, self._guard, self._log = server, guard, log
        self._is_ours = not server.is_running()
        self._looked_at = 0.0

    def start(self) -> None:
        self._server.start()
        pid = self._server.pid
        if self._is_ours and pid:
            self._guard.watch(pid, signal.SIGINT)

    def look_after(self) -> None:
        """Once a second: whether it lives."""
        if time.monotonic() - self._looked_at < 1:
            return
        self._looked_at = time.monotonic()
        if not self._server.is_running():
            self._log.line("up", "the embedded Postgres has ended; starting it again")
            self.start()
            self._log.line("up", "the embedded Postgres runs again")

    def stop(self) -> None:
        if self._is_ours:
            self._server.stop()


class _Log:
    """One stream of lines, each with its process's name in front."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True, file=sys.stderr if output.is_json else sys.stdout)
        self._lock = threading.Lock()
        self._has_reader = True

    def line(self, name: str, text: str) -> None:
        with self._lock:
            if not self._has_reader:
                return
            try:
                self._console.print(Text(f"{name:<8}│ ", style=COLOURS.get(name, "")).append_text(Text.from_ansi(text)))
            except (OSError, SystemExit):  # a closed terminal; over a broken pipe Rich would end the process
                self._has_reader = False
