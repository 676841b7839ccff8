"""``reconcile``: compares one stream of one account with the vendor's own list, here and now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import configuration, dagster_session, instant
from sync_pipelines.core.errors import ConfigError, SyncError
from sync_pipelines.core.reconciliation import Reconciliation


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("reconcile")(reconcile)


def reconcile(
    stream: Annotated[str, typer.Argument(help="vendor/table, such as sendcloud/orders")],
    account: Annotated[str, typer.Option("--account", "-a", help="vendor/name, such as sendcloud/main")],
    start: Annotated[str | None, typer.Option("--from", help="Compare from this instant (ISO 8601); default: as declared")] = None,
    end: Annotated[str | None, typer.Option("--to", help="… to this one, exclusive")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find everything, change and publish nothing")] = False,
) -> None:
    """Compares our rows with what the vendor lists: mends missing and altered ones, reports those the vendor does not know.

    Exit code 1 if differences are left.
    """
    from sync_pipelines.registry import find_stream

    vendor, found_stream = find_stream(stream)
    known = configuration().account(account)
    if known.vendor not in vendor.account_vendors:
        raise ConfigError(f"{stream} is not read from {account}", account=account)
    if found_stream.reconciling is None:
        raise ConfigError(f"{stream}: the vendor has no list to compare with", account=account)
    config: dict[str, Any] = {"streams": [stream], "is_dry_run": dry_run}
    since, until = instant("--from", start), instant("--to", end)
    if (since is None) != (until is None):
        raise ConfigError("--from and --to go together")
    if since and until:
        if since >= until or not found_stream.is_windowed:
            raise ConfigError(f"{stream} cannot be compared from {since.isoformat()} to {until.isoformat()}", account=account)
        config |= {"start": since.isoformat(), "end": until.isoformat()}
    with dagster_session() as session:
        from sync_pipelines.orchestration.reconciling import reconcile_here

        ended, found = reconcile_here(session.definitions, session.instance, vendor, account, config)
    if not ended.is_success:
        raise SyncError(ended.error or "the run failed", account=account)
    if found is None:
        output.result(
            {"stream": stream, "account": account, "status": "nothing"}, "nothing has been read yet that could be compared"
        )
        return
    output.result(found.as_json(), _text(found))
    if found.different:
        raise typer.Exit(1)


def _text(found: Reconciliation) -> str:
    mended = "would be repaired or looked at" if found.is_dry_run else "still different"
    lines = [
        f"{found.stream} of {found.account}, {found.scope}: {found.status}",
        f"  {found.equal} equal, {found.newer} newer, {found.repaired} repaired, {found.different} {mended}",
        f"  {found.api_calls} calls, {found.throttled} throttled, {found.waited_s:.1f} s waited, {found.duration_s:.1f} s in all",
        *(f"  {kind}: {', '.join(keys)}" for kind, keys in found.samples.items()),
    ]
    if found.stopped_because:
        lines.append(f"  stopped: {found.stopped_because}; the next comparison goes on there")
    return "\n".join(lines)
