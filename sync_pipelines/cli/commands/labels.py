"""``labels``: make SendCloud labels, list them, print many at once, take them back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import dagster_session, runtime
from sync_pipelines.core.errors import ConfigError, SyncError

Account = Annotated[str, typer.Option("--account", "-a", help="vendor/name, such as sendcloud/main")]
Requests = Annotated[list[int], typer.Argument(help="Ids of label requests, from `labels list`")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="SendCloud labels.", no_args_is_help=True)
    for command in (create, list_requests, retry, merge, cancel):
        group.command(command.__name__.removesuffix("_requests"))(command)
    app.add_typer(group, name="labels")


def create(
    account: Account,
    orders: Annotated[list[str] | None, typer.Argument(help="Order numbers; none: whatever waits")] = None,
    option: Annotated[str | None, typer.Option(help="Shipping option code; default: by settings.labels.rules")] = None,
) -> None:
    """Makes labels now, in a run of the job create_labels."""
    config: dict[str, Any] = {"account": account, "orders": list(orders or [])}
    if option:
        config["shipping_option"] = option
    numbers = _run("create_labels", config)
    output.result(numbers, _words(numbers))
    if numbers.get("failed"):
        raise typer.Exit(1)


def list_requests(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this account")] = None,
    state: Annotated[str | None, typer.Option(help="waiting, sending, announcing, done, failed, cancelling or cancelled")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """Lists label requests, newest first."""
    columns = {
        "id": "id",
        "account": "account",
        "order_number": "order",
        "state": "state",
        "chosen_option": "option",
        "tracking_number": "tracking",
        "error": "why",
        "requested_at": "requested",
    }
    with runtime() as opened, opened.database.connect() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(columns)} FROM sendcloud.label_requests"  # noqa: S608 - the names above
            " WHERE (%s::text IS NULL OR account = %s) AND (%s::text IS NULL OR state = %s) ORDER BY id DESC LIMIT %s",
            [account, account, state, state, limit],
        ).fetchall()
    output.rows([dict(zip(columns, row, strict=True)) for row in rows], columns, empty="no label was asked for")


def retry(account: Account, requests: Requests) -> None:
    """Lets failed requests wait once more; the next run sends them under a new reference."""
    from sync_pipelines.vendors.sendcloud import label_requests

    with runtime() as opened, opened.database.transaction() as connection:
        count = label_requests.try_again(connection, account, requests)
    output.result({"waiting": count}, f"{count} wait again")


def merge(
    account: Account,
    requests: Requests,
    to: Annotated[Path, typer.Option("--to", help="The print file to write")],
    kind: Annotated[str, typer.Option(help="label or customs-declaration")] = "label",
) -> None:
    """Writes the PDF documents of requests into one print file, in the order given."""
    from sync_pipelines.vendors.sendcloud import documents

    with runtime() as opened, opened.database.connect() as connection:
        found = documents.read(connection, account, requests, kind=kind)
    to.write_bytes(documents.merge(found))
    output.result({"documents": len(found), "file": to}, f"{len(found)} documents in {to}")


def cancel(account: Account, requests: Requests) -> None:
    """Takes labels back, in a run of the job cancel_labels."""
    if not requests:
        raise ConfigError("name the requests whose labels shall be taken back", account=account)
    numbers = _run("cancel_labels", {"account": account, "requests": list(requests)})
    output.result(numbers, _words(numbers))


def _run(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Runs one of our jobs on the instance; answers its run id and numbers."""
    with dagster_session(vendor="sendcloud") as session:
        from sync_pipelines.orchestration import tags
        from sync_pipelines.orchestration.launch import QUIET, process_identity, reason

        result = session.definitions.resolve_job_def(name).execute_in_process(
            instance=session.instance,
            run_config={"ops": {f"{name}_op": {"config": config}}, **QUIET},
            tags={tags.ACCOUNT: config["account"], tags.PROCESS: process_identity()},
            raise_on_error=False,
        )
        if not result.success:
            raise SyncError(reason(result), account=config["account"])
        numbers: dict[str, Any] = {"run_id": result.run_id}
        for event in result.all_events:
            if event.is_successful_output:
                numbers |= {key: value.value for key, value in event.step_output_data.metadata.items()}
        return numbers


def _words(numbers: dict[str, Any]) -> str:
    told = [f"{value} {key}" for key, value in numbers.items() if isinstance(value, int) and value]
    return f"{', '.join(told) or 'nothing to do'} (run {numbers['run_id']})"
