"""``amazon``: takes over the refresh token that Seller Central shows when a seller authorizes the application."""

from __future__ import annotations

from typing import Annotated

import typer

from sync_pipelines.cli.authorizing import account_of, keep, opened_secrets
from sync_pipelines.cli.secret_input import read_secret
from sync_pipelines.core.errors import ConfigError

ACCESS_TOKEN_PREFIX = "Atza|"  # noqa: S105 - how one begins (apis/amazon/facts.md §2.1)

AccountOption = Annotated[str, typer.Option("--account", "-a", help="vendor/name, such as amazon/tenant-1")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Amazon accounts.", no_args_is_help=True)
    group.command("authorize")(authorize)
    app.add_typer(group, name="amazon")


def authorize(account: AccountOption) -> None:
    """Takes the refresh token of Seller Central's "Authorize", tries it once and keeps it encrypted.

    Asks for the token, or reads it from standard input. A seller authorizes once for each region.
    """
    from sync_pipelines.vendors.amazon.auth import try_refresh_token
    from sync_pipelines.vendors.amazon.settings import AUTH_URL

    found = account_of(account, "amazon", "an Amazon")
    with opened_secrets() as secrets:
        client_id, client_secret = (found.credential(name, secrets.lookup) for name in ("client_id", "client_secret"))
        token = read_secret("Refresh token").decode().strip()
        if token.startswith(ACCESS_TOKEN_PREFIX):
            raise ConfigError(
                f"{account}: this is an access token, which ends in an hour; the refresh token begins with Atzr|",
                account=account,
            )
        try_refresh_token(
            account=account,
            auth_url=found.auth_url or AUTH_URL,
            client_id=client_id,
            client_secret=client_secret,
            refresh_token=token,
        )
        keep(secrets, found, {"refresh_token": token})
