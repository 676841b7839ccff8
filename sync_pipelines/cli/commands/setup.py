"""``setup``: the first filling of an account's tables, step by step."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import configuration, dagster_session
from sync_pipelines.core.errors import ConfigError, SyncError
from sync_pipelines.registry import module

_NOT_TOLD = {"duration_s", "all_history"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("setup")(setup)


def setup(account: Annotated[str, typer.Argument(help="vendor/name, such as sendcloud/main")]) -> None:
    """Tests the connection, then reads reference data, products and the last orders; safe to run again."""
    vendor = configuration().account(account).vendor
    name = f"{vendor}_initial_setup"
    with dagster_session(vendor=vendor if module(vendor, "defs") else None) as session:
        from sync_pipelines.orchestration import tags
        from sync_pipelines.orchestration.launch import QUIET, process_identity, reason

        if name not in {job.name for job in session.definitions.resolve_all_job_defs()}:
            raise ConfigError(f"{vendor} has no initial setup; its streams fill their tables by themselves", account=account)
        job = session.definitions.resolve_job_def(name)
        steps = [node.name for node in job.nodes_in_topological_order]
        run_id = str(uuid4())
        if not output.is_json:
            session.instance.add_event_listener(run_id, _tell)
        result = job.execute_in_process(
            instance=session.instance,
            run_config={"ops": {step: {"config": {"account": account}} for step in steps}, **QUIET},
            tags={tags.ACCOUNT: account, tags.PROCESS: process_identity()},
            raise_on_error=False,
            run_id=run_id,
        )
    rows = [_row(event) for event in result.all_events if event.is_successful_output]
    if not result.success:
        raise SyncError(f"{reason(result)} (done: {', '.join(row['step'] for row in rows) or 'nothing'})", account=account)
    output.rows(rows, {"step": "step", "duration_s": "seconds", "found": "found"}, title=f"Setup of {account}")
    for history in (row["all_history"] for row in rows if "all_history" in row):
        output.note(f"All history: {history}")


def _tell(entry: Any) -> None:
    """Says on standard error when a step begins and ends."""
    event = entry.dagster_event
    if event is not None and event.is_step_start:
        output.note(f"{event.step_key} …")
    elif event is not None and event.is_successful_output:
        row = _row(event)
        output.note(f"{event.step_key}: {row['found']} ({row['duration_s']} s)")


def _row(event: Any) -> dict[str, Any]:
    numbers = {name: value.value for name, value in event.step_output_data.metadata.items()}
    told = {name: value for name, value in numbers.items() if name not in _NOT_TOLD and not name.endswith("_written") and value}
    found = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())
    return {"step": event.step_key, **numbers, "found": found}
