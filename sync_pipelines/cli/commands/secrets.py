"""``secrets``: credentials kept encrypted in the database. Values come by standard input or a prompt, never as arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.secret_input import read_secret
from sync_pipelines.config import Environment, available_database
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.secrets import SHARED, MasterKeys, SecretInfo, Secrets
from sync_pipelines.migrations import migrate

Name = Annotated[str, typer.Argument(help="Its name: what secret:NAME refers to.")]
AccountOption = Annotated[str, typer.Option("--account", help="vendor/name; without it the secret is shared by all accounts.")]
Expiry = Annotated[
    datetime | None, typer.Option("--expires-at", help="UTC date after which the vendor refuses it; alerts warn ahead.")
]

_DAY_S = 86_400


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Credentials, encrypted in the database.", no_args_is_help=True)
    group.command("set")(set_secret)
    group.command("list")(list_secrets)
    group.command("delete")(delete)
    group.command("rotate-key")(rotate_key)
    group.command("new-key")(new_key)
    app.add_typer(group, name="secrets")


def set_secret(name: Name, account: AccountOption = SHARED, expires_at: Expiry = None) -> None:
    """Stores a secret: asks for the value, or reads it from standard input."""
    value = read_secret(confirm=True)
    with _secrets() as secrets:
        secrets.set(name, account, value, expires_at=expires_at and expires_at.replace(tzinfo=UTC))
    output.result({"name": name, "account": account or None, "set": True}, f"stored {name} of {account or 'all accounts'}")


def list_secrets() -> None:
    """Lists names, ages and master keys; never a value."""
    with _secrets() as secrets:
        found = secrets.list()
    output.rows(
        [_row(info) for info in found],
        {
            "account": "account",
            "name": "name",
            "age_days": "age in days",
            "set_at": "set",
            "expires_at": "expires",
            "key_id": "master key",
            "is_current": "current key",
        },
        empty="no secrets",
    )


def delete(name: Name, account: AccountOption = SHARED) -> None:
    """Removes a secret."""
    with _secrets() as secrets:
        if not secrets.delete(name, account):
            raise ConfigError(f"there is no secret {name} of {account or 'all accounts'}; `sync-pipelines secrets list` shows them")
    output.result({"name": name, "account": account or None, "deleted": True}, f"deleted {name} of {account or 'all accounts'}")


def rotate_key() -> None:
    """Wraps every secret with the first key of SYNC_PIPELINES_MASTER_KEY, while everything runs."""
    with _secrets() as secrets:
        count = secrets.rotate_key()
    output.result({"rewrapped": count}, f"{count} secrets re-wrapped; the older master keys are no longer needed")


def new_key() -> None:
    """Prints a fresh master key for SYNC_PIPELINES_MASTER_KEY."""
    key = MasterKeys.new()
    output.result({"key": key}, key)


@contextmanager
def _secrets() -> Iterator[Secrets]:
    environment = Environment.read()
    keys = MasterKeys.parse(environment.master_key)
    url = available_database(environment)
    migrate(url)
    with Database(url, application_name="sync-pipelines secrets", max_connections=1) as database:
        yield Secrets(database, keys)


def _row(info: SecretInfo) -> dict[str, object]:
    return asdict(info) | {"account": info.account or None, "age_days": round(info.age_s / _DAY_S, 1)}
