"""``aliexpress``: authorizes an account in the browser."""

from __future__ import annotations

import secrets as randomness
import sys
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.authorizing import account_of, keep, opened_secrets
from sync_pipelines.core.consent import DEFAULT_PORT, Callback, pasted_code
from sync_pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from sync_pipelines.vendors.suppliers.aliexpress.authorize import Application

AccountOption = Annotated[str, typer.Option("--account", "-a", help="vendor/name, such as aliexpress/main")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="AliExpress accounts.", no_args_is_help=True)
    group.command("authorize")(authorize)
    app.add_typer(group, name="aliexpress")


def authorize(
    account: AccountOption,
    redirect_uri: Annotated[
        str | None,
        typer.Option(help="The app's callback where it is not this machine; then paste the address you were led to"),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of http://127.0.0.1:PORT/callback, the app's callback")] = DEFAULT_PORT,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the person")] = 300,
    browser: Annotated[bool, typer.Option(help="Open the page here; otherwise only its address is printed")] = True,
) -> None:
    """Opens AliExpress' consent page and keeps the tokens it grants, encrypted."""
    from sync_pipelines.vendors.suppliers.aliexpress.authorize import Application

    found = account_of(account, "aliexpress", "an AliExpress")
    with opened_secrets() as secrets:
        key, secret = (found.credential(name, secrets.lookup) for name in ("app_key", "app_secret"))
        application = Application(account, found.base_url, key, secret)
        if redirect_uri:
            code = _pasted(application, redirect_uri, browser=browser)
        else:
            with Callback(account, port) as callback:
                _show(application.consent_address(callback.address, callback.state), browser=browser)
                code = callback.wait(timeout)
        granted = application.exchange(code)
        if granted.refresh_token is None:
            raise ConfigError(f"{account}: AliExpress granted no refresh token; launch the app in its console", account=account)
        keep(secrets, found, {"access_token": granted.access_token, "refresh_token": granted.refresh_token})


def _pasted(application: Application, redirect_uri: str, *, browser: bool) -> str:
    state = randomness.token_urlsafe(24)
    _show(application.consent_address(redirect_uri, state), browser=browser)
    question = "The address you were led to (within three minutes)"
    answer = str(typer.prompt(question)) if sys.stdin.isatty() else sys.stdin.readline()
    return pasted_code(application.account, answer, state)


def _show(address: str, *, browser: bool) -> None:
    output.note(f"agree in the browser: {address}")
    if browser:
        webbrowser.open(address)
