"""``status``: how every stream of every account is doing, the quota left, the tokens' ages; the status page's own picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import runtime
from sync_pipelines.config import Environment, active_config

if TYPE_CHECKING:
    from sync_pipelines.overview.models import Status


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status")(status)


def status() -> None:
    """Shows runs, rows, confirmed time, holes, dead letters, quota and token ages. Exit code 1 if a person is needed."""
    from sync_pipelines.overview.models import as_json
    from sync_pipelines.overview.reading import read_status
    from sync_pipelines.overview.watched import watched

    with runtime() as opened:
        config = active_config(opened.database, Environment.read().config_path)
        found = read_status(opened.database, watched(config), count_exactly=True)
    if output.is_json:
        output.result(as_json(found))
    else:
        _show(found)
    if any(item.open_letters or item.holds for item in found.streams):
        raise typer.Exit(1)


def _show(found: Status) -> None:
    columns = {
        "stream": "stream",
        "account": "account",
        "health": "health",
        "rows": "rows",
        "last_success_at": "last success",
        "lag_s": "lag s",
        "next_beat_at": "next beat",
        "holes": "holes",
        "open_letters": "dead letters",
        "retrying_letters": "retrying",
        "holds": "held",
    }
    output.rows([item.model_dump() for item in found.streams], columns, title="Streams", empty="no accounts are configured")
    if found.budgets:
        heads = {
            "account": "account",
            "bucket": "quota",
            "calls_left": "left",
            "used": "used",
            "limit": "of",
            "period_s": "per s",
            "full_at": "all back at",
        }
        output.rows([item.model_dump() for item in found.budgets], heads, title="Quota")
    if found.tenants:
        heads = {
            "tenant": "tenant",
            "last_updated_after": "read up to",
            "last_polled_at": "last poll",
            "last_success_at": "last success",
            "orders": "orders",
            "order_items": "lines",
            "ends": "ends",
            "last_error": "last error",
        }
        ends = (", ".join(f"{one.what} in {one.days_left} days" for one in item.credentials) for item in found.tenants)
        tenants = [item.model_dump() | {"ends": text or None} for item, text in zip(found.tenants, ends, strict=True)]
        output.rows(tenants, heads, title="Tenants")
    if found.authorizations:
        heads = {
            "account": "account",
            "refreshed_at": "access token of",
            "access_expires_at": "ends",
            "refresh_set_at": "refresh token of",
            "refresh_expires_at": "ends",
            "refusal": "refused",
        }
        output.rows([item.model_dump() for item in found.authorizations], heads, title="Tokens")
