"""``sync``: one run of one stream and account, here and now, recorded by the instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sync_pipelines.cli import output
from sync_pipelines.cli.session import configuration, dagster_session, instant, one_of
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import ConfigError, SyncError
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.windows import Window


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("sync")(sync)


def sync(
    stream: Annotated[str, typer.Argument(help="vendor/table, such as sendcloud/orders")],
    account: Annotated[str, typer.Option("--account", "-a", help="vendor/name, such as sendcloud/main")],
    start: Annotated[str | None, typer.Option("--from", help="Re-read from this instant (ISO 8601)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="… to this one, exclusive; default: now")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read all history the vendor still has")] = False,
    lane: Annotated[str | None, typer.Option(help="live, webhook, retry, replay or backfill")] = None,
) -> None:
    """Runs one sync, follows it, and prints its totals. Without dates it reads what is new."""
    from sync_pipelines.registry import find_stream

    vendor, found = find_stream(stream)
    known = configuration().account(account)
    if known.vendor not in vendor.account_vendors:
        raise ConfigError(
            f"{stream} is not read from {account}; its accounts are {' or '.join(vendor.account_vendors)}/…", account=account
        )
    window = _window(instant("--from", start), instant("--to", end))
    if window and not found.is_windowed:
        raise ConfigError(f"{stream} is read whole each time; leave out --from and --to")
    if window and full:
        raise ConfigError("--full reads everything; leave out --from and --to")
    chosen = one_of("--lane", lane, Lane)
    with dagster_session(vendor=vendor.name) as session, _display(f"{stream} of {account}") as show:
        from sync_pipelines.orchestration.launch import run_stream_here

        ended = run_stream_here(
            session.definitions,
            session.instance,
            vendor,
            found,
            account,
            window=window,
            is_full=full,
            lane=chosen,
            on_progress=show,
        )
    totals = ended.totals or SyncTotals(stream, account, ended.run_id)
    if not ended.is_success:
        output.result({**totals.as_json(), "status": "failed", "error": ended.error})
        raise _failed(ended.error or "the run failed", account)
    output.result(totals.as_json(), _text(totals))


def _failed(message: str, account: str) -> SyncError:
    error = SyncError(message, account=account)
    if output.is_json:
        output.note(f"error: {message}")
        raise typer.Exit(1)
    return error


def _window(start: datetime | None, end: datetime | None) -> Window | None:
    if start is None:
        if end is not None:
            raise ConfigError("--to needs --from")
        return None
    until = end or datetime.now(UTC)
    if start >= until:
        raise ConfigError(f"--from {start.isoformat()} is not before --to {until.isoformat()}")
    return Window(start, until)


def _text(totals: SyncTotals) -> str:
    kept = f"unchanged {totals.unchanged}, stale {totals.stale}, deleted {totals.deleted}, dead-lettered {totals.dead_lettered}"
    calls = f"{totals.api_calls} calls, {totals.throttled} throttled, {totals.waited_s:.1f} s waited"
    lines = [
        f"{totals.stream} of {totals.account}: {totals.status}",
        f"  fetched {totals.fetched}, inserted {totals.inserted}, updated {totals.updated}, {kept}",
        f"  {calls}, {totals.duration_s:.1f} s in all",
        f"  run {totals.run_id}",
    ]
    if totals.stopped_because:
        lines.append(f"  stopped: {totals.stopped_because}")
    return "\n".join(lines)


@contextmanager
def _display(what: str) -> Iterator[Callable[[SyncTotals], None]]:
    """A line that moves on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if output.is_json or not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what)

        def show(totals: SyncTotals) -> None:
            waited = f", {totals.waited_s:.0f} s waited for quota" if totals.waited_s >= 1 else ""
            bar.update(task, description=f"{what}: {totals.fetched} fetched, {totals.written} written{waited}")

        yield show
