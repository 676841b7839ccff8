"""``status``: how every stream of every account is doing, and the quota left."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import runtime
from sync_pipelines.core import status as core_status
from sync_pipelines.core.budget import read_budgets


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status")(status)


def status() -> None:
    """Shows rows, confirmed time, holes, dead letters and quota. Exit code 1 if something waits for a person."""
    from sync_pipelines.registry import all_vendors, modules

    with runtime() as opened, opened.database.connect() as connection:
        streams = [
            core_status.stream_status(connection, stream, account).as_json()
            for vendor in all_vendors()
            for account in opened.account_ids(vendor.account_vendors)
            for stream in vendor.streams
            if stream.reads_from(account)
        ]
        budgets = [asdict(report) for report in read_budgets(opened.database)]
        extra: dict[str, Any] = {}
        for module in modules("status"):
            extra |= module.status(connection)
    if output.is_json:
        output.result({"streams": streams, "budgets": budgets, **extra})
    else:
        _show(streams, budgets)
    if any(item["open_letters"] or item["holds"] for item in streams):
        raise typer.Exit(1)


def _show(streams: list[dict[str, Any]], budgets: list[dict[str, Any]]) -> None:
    columns = {
        "stream": "stream",
        "account": "account",
        "rows": "rows",
        "confirmed_until": "confirmed until",
        "lag_s": "lag s",
        "holes": "holes",
        "open_letters": "dead letters",
        "retrying_letters": "retrying",
        "holds": "held",
    }
    output.rows(streams, columns, title="Streams", empty="no accounts are configured")
    if budgets:
        heads = {"account": "account", "bucket": "quota", "calls_left": "left", "capacity": "of", "full_at": "full at"}
        output.rows(budgets, heads, title="Quota")
