"""``db``: the database, its shape, and the embedded server."""

from __future__ import annotations

import typer

from sync_pipelines.cli import output
from sync_pipelines.config import Environment, available_database, embedded_server
from sync_pipelines.core.db import check_server, safe_url
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The database: migrate it, show it, start and stop the embedded server.", no_args_is_help=True)
    group.command("migrate")(migrate)
    group.command("url")(url)
    group.command("start")(start)
    group.command("stop")(stop)
    group.command("status")(status)
    app.add_typer(group, name="db")


def migrate() -> None:
    """Prepares an empty or older database; changes nothing on a current one."""
    from sync_pipelines.preparation import prepare

    prepared = prepare(Environment.read())
    applied = [*prepared.revisions, *(["dagster"] if prepared.is_dagster_migrated else [])]
    text = f"applied: {', '.join(applied)}" if applied else "the database is current; nothing to do"
    output.result({"database": safe_url(prepared.database_url), "applied": applied}, text)


def url() -> None:
    """Prints the database's URL with its password, for psql; starts the embedded server if it is the one."""
    found = available_database(Environment.read())
    output.result({"url": found}, found)


def start() -> None:
    """Starts the embedded server; it runs until `db stop`."""
    environment = _embedded()
    found = embedded_server(environment).start()
    output.result({"url": found, "state": environment.state}, f"running: {found}")


def stop() -> None:
    """Stops the embedded server."""
    environment = _embedded()
    is_stopped = embedded_server(environment).stop()
    output.result({"stopped": is_stopped}, "stopped" if is_stopped else "it was not running")


def status() -> None:
    """Says which database is used and whether it answers; exit code 1 if it does not."""
    from psycopg import OperationalError

    environment = Environment.read()
    server = None if environment.database_url else embedded_server(environment)
    target = environment.database_url or (server.url if server and server.is_running() else None)
    found: dict[str, object] = {
        "kind": "DATABASE_URL" if environment.database_url else "embedded",
        "database": safe_url(target) if target else None,
        "is_running": False,
        "version": None,
        "is_current": None,
        "state": environment.state,
        "log": server.log if server else None,
    }
    if target:
        from sync_pipelines.migrations import is_current

        try:
            found["version"] = check_server(target) // 10000
            found["is_running"], found["is_current"] = True, is_current(target)
        except (OperationalError, DatabaseUnavailable) as error:
            output.note(f"{safe_url(target)} does not answer: {' '.join(str(error).split())}")
    output.rows(
        [found], {"kind": "server", "database": "database", "version": "PostgreSQL", "is_running": "runs", "is_current": "current"}
    )
    if not found["is_running"]:
        raise typer.Exit(1)


def _embedded() -> Environment:
    environment = Environment.read()
    if environment.database_url:
        raise ConfigError(
            f"DATABASE_URL is set, so {safe_url(environment.database_url)} is used and is not ours to start or stop. "
            "To use the embedded server: unset DATABASE_URL"
        )
    return environment
