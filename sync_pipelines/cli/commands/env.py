"""``env``: the variables that plain Dagster commands need."""

from __future__ import annotations

import shlex

import typer

from sync_pipelines.cli import output
from sync_pipelines.config import Environment


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("env")(env)


def env() -> None:
    """Prints export lines for plain Dagster commands: eval "$(sync-pipelines env)"; dagster dev."""
    from sync_pipelines.preparation import prepare

    environment = Environment.read()
    variables = environment.variables(prepare(environment).database_url)
    output.result(variables, "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
