"""``check``: whether every account can be reached and may do what is needed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import runtime
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.runtime import Runtime


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("check")(check)


def check(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this one")] = None,
) -> None:
    """Tests every account's connection and permissions; changes nothing. Exit code 1 if anything does not work."""
    from sync_pipelines.registry import all_vendors

    with runtime() as opened:
        read = opened.account_ids(tuple(name for one in all_vendors() for name in one.account_vendors))
        accounts = [account] if account else list(dict.fromkeys([*read, *(link.secondary for link in opened.links)]))
        rows = [row for each in accounts for row in _rows(opened, each)]
    columns = {"account": "account", "what": "what", "is_ok": "works", "detail": "detail"}
    output.rows(rows, columns, empty="no accounts are configured")
    if not all(row["is_ok"] for row in rows):
        raise typer.Exit(1)


def _rows(opened: Runtime, account: str) -> list[dict[str, Any]]:
    from sync_pipelines.registry import vendor_of_account

    try:
        vendor = vendor_of_account(account)
        resolved = opened.account(account, Lane.LIVE)
        with vendor.connect(resolved) as client:
            items = vendor.check(client)
        if vendor.prerequisites is not None:
            items = [*items, *vendor.prerequisites(account, resolved.settings)]
    except SyncError as error:
        return [{"account": account, "what": "connection", "is_ok": False, "detail": str(error)}]
    return [{"account": account, "what": item.what, "is_ok": item.is_ok, "detail": item.detail} for item in items]
