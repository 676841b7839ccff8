"""``holds``: implausible changes that wait for a person."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import database
from sync_pipelines.core import holds as core_holds
from sync_pipelines.core.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Implausible changes that the brake holds.", no_args_is_help=True)
    group.command("list")(list_holds)
    group.command("confirm")(confirm)
    app.add_typer(group, name="holds")


def list_holds() -> None:
    """Lists what is held."""
    with database() as opened, opened.connect() as connection:
        rows = [asdict(hold) for hold in core_holds.holds(connection)]
    columns = {"id": "id", "account": "account", "subject": "of", "kind": "kind", "detail": "detail", "opened_at": "since"}
    output.rows(rows, columns, empty="nothing is held")


def confirm(hold: Annotated[int, typer.Argument(help="Its id, from `holds list`")]) -> None:
    """Says: go ahead. The next run carries it out."""
    with database() as opened, opened.transaction() as connection:
        if not core_holds.confirm_hold(connection, hold, by=getpass.getuser()):
            raise ConfigError(f"there is no open hold {hold}; `sync-pipelines holds list` shows those there are")
    output.result({"confirmed": hold}, f"hold {hold} is confirmed; the next run carries it out")
