"""``accounts``: what is configured."""

from __future__ import annotations

from typing import Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import configuration, shown_configuration
from sync_pipelines.config import Account, Environment
from sync_pipelines.config.document import dotted
from sync_pipelines.config.references import look_up_at, references_in
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.references import Reference


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The configured accounts.", no_args_is_help=True)
    group.command("list")(list_accounts)
    group.command("register")(register_accounts)
    app.add_typer(group, name="accounts")


def list_accounts() -> None:
    """Lists the accounts and whether their credentials are there; never shows one."""
    config = shown_configuration()
    output.rows(
        [_row(account) for account in config.accounts],
        {"id": "account", "base_url": "address", "credentials": "credentials", "missing": "missing"},
        empty=f"no accounts in {config.source}",
    )


def register_accounts() -> None:
    """Tells Dagster of the accounts, so that each has its partitions; runs and schedules do it themselves."""
    from sync_pipelines.cli.session import dagster_session
    from sync_pipelines.orchestration import partitions
    from sync_pipelines.registry import all_vendors

    environment = Environment.read()
    config = configuration(environment)
    registered: dict[str, list[str]] = {}
    with dagster_session(environment) as session:
        for vendor in all_vendors():
            registered[vendor.name] = config.account_ids(vendor.account_vendors)
            partitions.register_accounts(session.instance, vendor, registered[vendor.name])
    lines = [f"{vendor}: {', '.join(ids) or 'none'}" for vendor, ids in registered.items()]
    output.result({"registered": registered}, "\n".join(lines))


def _row(account: Account) -> dict[str, Any]:
    settings = [(dotted(("settings", *path)), reference) for path, reference in references_in(account.settings)]
    missing = [name for name, reference in [*account.credentials.items(), *settings] if not _is_there(account, reference)]
    return {
        "id": account.id,
        "vendor": account.vendor,
        "base_url": account.base_url,
        "credentials": [f"{name}: {reference.described}" for name, reference in account.credentials.items()],
        "missing": missing or None,
        "place": account.place,
    }


def _is_there(account: Account, reference: Reference) -> bool:
    """Whether the environment holds it; secrets are looked up when they are used."""
    try:
        reference.bound(look_up_at(account.place, account.id, lambda _name, _account: b"")).value()
    except ConfigError:
        return False
    return True
