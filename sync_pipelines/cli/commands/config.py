"""``config``: the configuration file checked and shown, and the versions of it that were applied."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import database, shown_configuration
from sync_pipelines.config import Config, Environment, load_config, parse_config, read_file, sealed
from sync_pipelines.core import config_store
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.references import Reference
from sync_pipelines.opening import secrets_of


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The configuration.", no_args_is_help=True)
    group.command("validate")(validate)
    group.command("show")(show)
    for command in (plan, apply, history, rollback, export):
        group.command(command.__name__)(command)
    app.add_typer(group, name="config")


def validate() -> None:
    """Checks the configuration file; names file, line, account, field and fix of every problem."""
    config = load_config(Environment.read().config_path)
    counts = {"accounts": len(config.accounts), "links": len(config.links)}
    output.result(
        {"valid": True, "source": config.source, **counts},
        f"{config.source} is valid: {counts['accounts']} accounts, {counts['links']} links",
    )


def show() -> None:
    """Prints the configuration in force with every default filled in; credentials appear as references."""
    import yaml

    shown = _shown(shown_configuration())
    output.result(shown, yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))


def plan() -> None:
    """Shows what applying the file would change against the configuration in force; changes nothing."""
    environment = Environment.read()
    document, config = read_file(environment.config_path)
    with database() as opened, opened.connect() as connection:
        active = config_store.active(connection)
        document = sealed(document, config, connection, secrets_of(opened, environment)).document
    before = active.document if active else config_store.ABSENT
    changes = [change.as_json() for change in config_store.differences(before, document)]
    _print_changes(changes, active.id if active else 0)


def apply(
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why")] = "",
    planned_on: Annotated[int | None, typer.Option(help="Refuse if another version than this one is in force (0: none)")] = None,
) -> None:
    """Makes the file the configuration in force: validated, versioned, with who and when; schedules and sensors follow it.

    Literal credentials are kept as encrypted secrets; the version refers to them.
    """
    environment = Environment.read()
    document, config = read_file(environment.config_path)
    with database() as opened, opened.transaction() as connection:
        secrets = secrets_of(opened, environment)
        safe = sealed(document, config, connection, secrets)
        safe.store(connection, secrets)
        version = config_store.apply(connection, safe.document, by=getpass.getuser(), comment=comment, planned_on=planned_on)
    _print_changes(version.changes, version.id)


def history(limit: Annotated[int, typer.Option(help="How many")] = 20) -> None:
    """Lists the applied versions, newest first: who, when, why, how much changed."""
    with database() as opened, opened.connect() as connection:
        versions = config_store.history(connection, limit=limit)
    items = [
        {
            "version": version.id,
            "at": version.applied_at,
            "by": version.applied_by,
            "comment": version.comment,
            "changes": len(version.changes),
            "changed": version.changes,
        }
        for version in versions
    ]
    columns = {"version": "version", "at": "at", "by": "by", "comment": "comment", "changes": "changes"}
    output.rows(items, columns, empty="nothing was applied yet; the file is the configuration")


def rollback(
    version: Annotated[int, typer.Argument(help="The version to go back to")],
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why")] = "",
) -> None:
    """Applies an old version again, as a new one, after validating it with today's code."""
    with database() as opened, opened.transaction() as connection:
        old = config_store.version(connection, version)
        parse_config(encode_json(old.document).decode(), source=f"configuration version {version}")
        done = config_store.rollback(connection, version, by=getpass.getuser(), comment=comment)
    _print_changes(done.changes, done.id)


def export(version: Annotated[int | None, typer.Option(help="Another version than the one in force")] = None) -> None:
    """Prints a version as YAML, as it was written."""
    import yaml

    with database() as opened, opened.connect() as connection:
        found = config_store.version(connection, version) if version else config_store.active(connection)
    if found is None:
        raise ConfigError("nothing was applied yet; the file is the configuration")
    output.result(found.document, yaml.safe_dump(found.document, sort_keys=False, allow_unicode=True))


def _print_changes(changes: list[dict[str, Any]], version: int) -> None:
    if output.is_json:
        output.result({"version": version, "changes": _hidden_changes(changes)})
        return
    output.rows(_hidden_changes(changes), {"path": "what", "before": "before", "after": "after"}, empty="no change")


def _hidden_changes(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: _hidden(value, str(change["path"]).rsplit(".", 1)[-1]) if key != "path" else value for key, value in change.items()}
        for change in changes
    ]


def _shown(config: Config) -> dict[str, Any]:
    return {
        "accounts": [
            {
                "id": account.id,
                "base_url": account.base_url,
                **({"auth_url": account.auth_url} if account.auth_url else {}),
                "credentials": {name: reference.described for name, reference in account.credentials.items()},
                "settings": _hidden(account.settings.model_dump(mode="json")),
            }
            for account in config.accounts
        ],
        "links": [link.model_dump(mode="json", by_alias=True) for link in config.links],
        "alerts": _hidden(config.alerts.model_dump(mode="json")),
        "retention": config.retention.model_dump(mode="json"),
    }


_SECRET_WORDS = ("key", "secret", "password", "token", "webhook_url")


def _hidden(value: Any, name: str = "") -> Any:
    """Settings without the values of keys and passwords; references are shown."""
    if isinstance(value, dict):
        return {key: _hidden(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, name) for item in value]
    is_secret = isinstance(value, str) and any(word in name for word in _SECRET_WORDS) and Reference(value).is_literal
    return "(set)" if is_secret and value else value
