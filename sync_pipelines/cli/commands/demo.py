"""``demo``: one pass of every stream against the sandbox, through a real Dagster instance."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sync_pipelines.cli import output
from sync_pipelines.cli.sandboxed import with_sandbox_accounts
from sync_pipelines.cli.session import configuration, dagster_session
from sync_pipelines.config import Environment, embedded_server
from sync_pipelines.core.errors import ConfigError, SyncError
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.supervision.ports import free_port


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the embedded database running, to look at the tables")] = False,
) -> None:
    """Fills the tables from the vendors' look-alikes by real Dagster runs, and prints what each stream stored."""
    environment = Environment.read()
    started = time.monotonic()
    server = None if environment.database_url else embedded_server(environment)
    was_running = server is not None and server.is_running()
    try:
        with ProcessGuard() as guard, _sandbox(guard) as url:
            passes = list(_passes(with_sandbox_accounts(environment, url), url))
    finally:
        if server is not None and not keep and not was_running:
            server.stop()
    _print(passes, time.monotonic() - started)
    if any(item["status"] == "failed" for item in passes):
        raise SyncError(
            "the demo did not succeed: " + "; ".join(f"{one['stream']}: {one['error']}" for one in passes if one["error"])
        )


def _passes(environment: Environment, url: str) -> Iterator[dict[str, Any]]:
    from sync_pipelines.orchestration.launch import run_stream_here
    from sync_pipelines.registry import all_vendors, modules

    config = configuration(environment)
    if elsewhere := [account.id for account in config.accounts if not account.base_url.startswith(url)]:
        raise ConfigError(
            f"this database follows {config.source}, whose accounts are not the sandbox's ({', '.join(elsewhere)}); "
            "run the demo on a database of its own: SYNC_PIPELINES_STATE=/tmp/demo sync-pipelines demo, with DATABASE_URL unset"
        )
    streams = [
        (vendor, stream, account)
        for vendor in all_vendors()
        for account in config.account_ids(vendor.account_vendors)
        for stream in vendor.streams
        if stream.reads_from(account)
    ]
    with dagster_session(environment) as session, _progress(len(streams)) as show:
        for vendor, stream, account in streams:
            show(f"{stream.key} of {account}")
            ended = run_stream_here(session.definitions, session.instance, vendor, stream, account)
            yield _row(stream.key, account, ended)
        show("the fan-out")
        for module in modules("demo"):
            yield from module.rounds(session.definitions, session.instance, config)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Shows what runs now; a terminal's line moves, elsewhere each step is a line."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if output.is_json:
        yield lambda _: None
    elif not console.is_terminal:
        yield output.note
    else:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total, completed=-1)
            yield lambda what: bar.update(task, description=what, advance=1)


def _row(stream: str, account: str, ended: Any) -> dict[str, Any]:
    numbers = ended.totals.as_json() if ended.totals else {}
    status = numbers.get("status", "complete") if ended.is_success else "failed"
    return {**numbers, "stream": stream, "account": account, "run_id": ended.run_id, "status": status, "error": ended.error}


def _print(passes: list[dict[str, Any]], seconds: float) -> None:
    columns = {
        "stream": "stream",
        "account": "account",
        "status": "status",
        "fetched": "fetched",
        "inserted": "inserted",
        "updated": "updated",
        "dead_lettered": "dead",
        "api_calls": "calls",
        "duration_s": "seconds",
    }
    output.rows(passes, columns, title="What each stream stored")
    if not output.is_json:
        output.note(f"{len(passes)} Dagster runs in {seconds:.1f} s; `make up` shows them, and keeps the tables in step")


@contextmanager
def _sandbox(guard: ProcessGuard) -> Iterator[str]:
    """The look-alikes in a process of their own, on a free port; ends with this one, however that ends."""
    port = free_port(20000)
    command = [sys.executable, "-m", "sync_pipelines.cli", "sandbox", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    guard.watch(process.pid)
    url = f"http://127.0.0.1:{port}"
    try:
        _await_answer(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await_answer(url: str, process: subprocess.Popen[bytes], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            raise SyncError(f"the sandbox did not start: {words}")
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SyncError(f"the sandbox did not answer within {seconds:.0f} s")
