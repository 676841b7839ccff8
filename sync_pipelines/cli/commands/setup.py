"""``setup``: the first filling of an account's tables, step by step."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import dagster_session
from sync_pipelines.config import Environment, load_config
from sync_pipelines.core.errors import ConfigError, SyncError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("setup")(setup)


def setup(account: Annotated[str, typer.Argument(help="vendor/name, such as sendcloud/main")]) -> None:
    """Tests the connection, then reads reference data, recent orders and products; safe to run again."""
    vendor = load_config(Environment.read().config_path).account(account).vendor
    name = f"{vendor}_initial_setup"
    with dagster_session() as session:
        from sync_pipelines.orchestration import tags
        from sync_pipelines.orchestration.launch import QUIET, process_identity, reason

        if not session.definitions.resolve_all_job_defs() or name not in {
            found.name for found in session.definitions.resolve_all_job_defs()
        }:
            raise ConfigError(f"{vendor} has no initial setup; its streams fill their tables by themselves", account=account)
        job = session.definitions.resolve_job_def(name)
        steps = [node.name for node in job.nodes_in_topological_order]
        result = job.execute_in_process(
            instance=session.instance,
            run_config={"ops": {step: {"config": {"account": account}} for step in steps}, **QUIET},
            tags={tags.ACCOUNT: account, tags.PROCESS: process_identity()},
            raise_on_error=False,
        )
    rows: list[dict[str, Any]] = []
    for event in result.all_events:
        if event.is_successful_output:
            numbers = {key: value.value for key, value in event.step_output_data.metadata.items()}
            told = ", ".join(f"{key} {value}" for key, value in numbers.items() if key != "duration_s")
            rows.append({**numbers, "step": event.step_key, "told": told})
    output.rows(rows, {"step": "step", "duration_s": "seconds", "told": "found"}, title=f"Setup of {account}")
    if not result.success:
        raise SyncError(reason(result), account=account)
    output.note(f"all history: backfill sendcloud/orders in the UI, or `sync-pipelines sync {vendor}/orders -a {account} --full`")
