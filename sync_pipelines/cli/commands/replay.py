"""``replay``: archived pages once more through today's mapping, without a call to the vendor."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any
from uuid import uuid4

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import instant, runtime
from sync_pipelines.core import replay as core_replay
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.upsert import Change

_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("replay")(replay)


def replay(
    stream: Annotated[str, typer.Argument(help="vendor/table")],
    account: Annotated[str, typer.Option("--account", "-a", help="vendor/name")],
    start: Annotated[str | None, typer.Option("--from", help="Pages received since (ISO 8601); default: all there are")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Pages received before")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which rows would change")] = False,
) -> None:
    """Stores archived pages again: newer rows stay, rows whose mapping changed are rewritten."""
    from sync_pipelines.registry import find_stream

    _, found = find_stream(stream)
    since, until = instant("--from", start), instant("--to", end)
    with runtime() as opened:
        settings = opened.account(account, Lane.REPLAY).settings
        if dry_run:
            changes = list(
                core_replay.rehearse(found, database=opened.database, account=account, settings=settings, since=since, until=until)
            )
            _show(changes)
            return
        totals = core_replay.replay(
            found,
            database=opened.database,
            account=account,
            run_id=f"replay-{uuid4()}",
            settings=settings,
            since=since,
            until=until,
        )
    output.result(
        totals.as_json(),
        f"{totals.fetched} archived records: {totals.inserted} inserted, {totals.updated} rewritten, {totals.unchanged} unchanged, "
        f"{totals.stale} older than what is stored, {totals.dead_lettered} dead-lettered",
    )


def _show(changes: list[Change]) -> None:
    if output.is_json:
        output.result([_as_json(change) for change in changes])
        return
    rows = [
        {"key": "/".join(map(str, change.key)), "column": column, "old": old, "new": new}
        for change in changes
        for column, (old, new) in ({"(new row)": (None, "")} if change.is_new else change.columns).items()
    ]
    output.rows(
        list(islice(rows, _SHOWN)),
        {"key": "key", "column": "column", "old": "now", "new": "would be"},
        empty="nothing would change",
    )
    if len(rows) > _SHOWN:
        output.note(f"… and {len(rows) - _SHOWN} more values in {len(changes)} rows; --json shows all")


def _as_json(change: Change) -> dict[str, Any]:
    columns = {name: [_plain(old), _plain(new)] for name, (old, new) in change.columns.items()}
    return {"key": list(change.key), "is_new": change.is_new, "columns": columns}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | bool | type(None) | list | dict) else str(value)
