"""``queue``: work that waits, is being done, or is finished."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import database, instant, one_of
from sync_pipelines.core import queue
from sync_pipelines.core.errors import ConfigError

Name = Annotated[str, typer.Argument(help="The queue's name", metavar="QUEUE")]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account's (or link's)")]
Key = Annotated[str | None, typer.Option("--key", help="Only this key's")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many")]

_TASK = {"id": "id", "account": "account", "key": "key", "state": "state", "lane": "lane", "attempts": "tries"}
_TIMES = {"due_at": "due", "created_at": "since", "error": "last error"}


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Work that waits, is being done, or is finished.", no_args_is_help=True)
    group.command("list")(list_tasks)
    group.command("show")(show)
    group.command("counts")(counts)
    group.command("done")(done)
    group.command("purge")(purge)
    app.add_typer(group, name="queue")


def list_tasks(
    name: Name,
    account: Account = None,
    key: Key = None,
    state: Annotated[str | None, typer.Option("--state", help="new, behind, ready, leased or retrying")] = None,
    after: Annotated[int, typer.Option("--after", help="Only ids above: goes on after a page")] = 0,
    limit: Limit = 50,
) -> None:
    """Lists unfinished tasks, oldest first."""
    wanted = one_of("--state", state, queue.State)
    with database() as opened, opened.connect() as connection:
        tasks = queue.find(connection, name, account=account, key=key, state=wanted, after=after, limit=limit)
    output.rows([asdict(task) for task in tasks], {**_TASK, **_TIMES}, empty="no task waits")


def show(task: Annotated[int, typer.Argument(help="Its id")]) -> None:
    """Shows one unfinished task with its payload."""
    with database() as opened, opened.connect() as connection:
        found = queue.show(connection, task)
    if found is None:
        raise ConfigError(f"there is no unfinished task {task}; `sync-pipelines queue done QUEUE` lists finished ones")
    output.result(asdict(found), "\n".join(f"{name}: {_shown(value)}" for name, value in asdict(found).items()))


def counts(
    name: Annotated[str | None, typer.Argument(help="Only this queue", metavar="QUEUE")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Count long lines to their end")] = False,
) -> None:
    """Shows how much waits for each account, and how old it is."""
    with database() as opened, opened.connect() as connection:
        lines = queue.counts(connection, name, most=None if exact else queue.COUNTED_UP_TO)
    rows = [asdict(line) | {"oldest_s": round(line.oldest_s, 1)} for line in lines]
    shown = {"queue": "queue", "account": "account", "waiting": "waiting", "leased": "leased", "retrying": "retrying"}
    output.rows(rows, {**shown, "oldest_s": "oldest, s", "is_bounded": "or more"}, empty="no task waits")


def done(
    name: Name,
    account: Account = None,
    key: Key = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="done, dead or purged")] = None,
    error: Annotated[str | None, typer.Option("--error", help="Occurs in the error text")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Finished since (ISO 8601)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Finished before")] = None,
    limit: Limit = 50,
) -> None:
    """Lists finished tasks, newest first."""
    wanted = one_of("--outcome", outcome, queue.Outcome)
    since, until = instant("--from", start), instant("--to", end)
    with database() as opened, opened.connect() as connection:
        tasks = queue.find_done(
            connection, name, account=account, key=key, outcome=wanted, text=error, since=since, until=until, limit=limit
        )
    shown = {"id": "id", "account": "account", "key": "key", "outcome": "outcome", "attempts": "tries", "finished_at": "finished"}
    output.rows([asdict(task) for task in tasks], {**shown, "error": "error"}, empty="no finished task")


def purge(
    name: Name,
    account: Account = None,
    key: Key = None,
    state: Annotated[str | None, typer.Option("--state", help="new, behind, ready or retrying")] = None,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Throws waiting tasks away; leased ones stay, and all can be looked up with `queue done`."""
    wanted = one_of("--state", state, queue.State)
    if not is_sure:
        typer.confirm(f"Throw away waiting tasks of {name}?", abort=True, err=True)
    purged = 0
    with database() as opened:
        while True:
            with opened.transaction() as connection:
                some = queue.purge(connection, name, by=getpass.getuser(), account=account, key=key, state=wanted)
            purged += some
            if not some:
                break
    output.result({"purged": purged}, f"{purged} tasks thrown away")


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
