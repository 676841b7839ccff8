"""``gazelle``: authorize an account in the browser, import its token file, run all of its streams in turn."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.authorizing import account_of, keep, opened_secrets
from sync_pipelines.cli.session import dagster_session
from sync_pipelines.core.consent import DEFAULT_PORT
from sync_pipelines.core.errors import ConfigError

AccountOption = Annotated[str, typer.Option("--account", "-a", help="vendor/name, such as gazelle/studio")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Gazelle accounts.", no_args_is_help=True)
    group.command("authorize")(authorize)
    group.command("import-token")(import_token)
    group.command("sync")(sync)
    app.add_typer(group, name="gazelle")


def authorize(
    account: AccountOption,
    port: Annotated[int, typer.Option(help="Port of http://127.0.0.1:PORT/callback, listed at Gazelle")] = DEFAULT_PORT,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the person")] = 300,
    browser: Annotated[bool, typer.Option(help="Open the page here; otherwise only its address is printed")] = True,
) -> None:
    """Opens Gazelle's consent page and keeps the refresh token it grants, encrypted."""
    from sync_pipelines.vendors.gazelle import authorize as flow
    from sync_pipelines.vendors.gazelle.settings import TOKEN_PATH

    found = account_of(account, "gazelle", "a Gazelle")
    with opened_secrets() as secrets:
        application = flow.Application(
            account=found.id,
            base_url=found.base_url,
            token_url=found.auth_url or found.base_url.rstrip("/") + TOKEN_PATH,
            client_id=found.credential("client_id", secrets.lookup),
            client_secret=found.credential("client_secret", secrets.lookup),
        )

        def show(address: str) -> None:
            output.note(f"agree in the browser: {address}")
            if browser:
                webbrowser.open(address)

        granted = flow.authorize(application, open_browser=show, port=port, timeout_s=timeout)
        if granted.refresh_token is None:
            raise ConfigError(
                f"{account}: Gazelle granted no refresh token; check the application's settings there", account=account
            )
        keep(secrets, found, {"refresh_token": granted.refresh_token})


def import_token(
    path: Annotated[Path, typer.Argument(help="token.json of an older program", exists=True, dir_okay=False)],
    account: AccountOption,
) -> None:
    """Takes the refresh token out of a token.json and keeps it encrypted; the old program must no longer use it."""
    found = account_of(account, "gazelle", "a Gazelle")
    try:
        token = json.loads(path.read_text(encoding="utf-8"))["refresh_token"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a token file: it needs an object with refresh_token") from error
    if not isinstance(token, str) or not token:
        raise ConfigError(f"{path}: refresh_token is empty")
    with opened_secrets() as secrets:
        keep(secrets, found, {"refresh_token": token})


def sync(
    account: AccountOption,
    thorough: Annotated[bool, typer.Option(help="Read every field of every record, trusting no change time")] = False,
) -> None:
    """Runs all streams of an account in turn and prints what became of each; exit code 1 if one failed."""
    from sync_pipelines.core.budget import Lane
    from sync_pipelines.vendors.gazelle.vendor import VENDOR

    account_of(account, "gazelle", "a Gazelle")
    summary: list[dict[str, Any]] = []
    with dagster_session(vendor="gazelle") as session:
        from sync_pipelines.orchestration.launch import run_stream_here

        for stream in VENDOR.streams:
            ended = run_stream_here(
                session.definitions,
                session.instance,
                VENDOR,
                stream,
                account,
                is_full=thorough,
                lane=Lane.BACKFILL if thorough else None,
            )
            numbers = ended.totals.as_json() if ended.totals else {}
            summary.append(
                {"table": stream.name, **numbers, "run_id": ended.run_id, "error": ended.error}
                | ({} if ended.is_success else {"status": "failed"})
            )
    output.rows(
        summary,
        {
            "table": "table",
            "status": "status",
            "fetched": "synced",
            "inserted": "new",
            "updated": "changed",
            "deleted": "deleted",
            "dead_lettered": "errors",
            "api_calls": "calls",
            "duration_s": "seconds",
            "error": "problem",
        },
        title=f"{account}",
    )
    for row in summary:
        if row.get("unknown_words"):
            output.note(f"{row['table']}: not as we know it, stored as it is: {', '.join(row['unknown_words'])}")
    if any(row["error"] for row in summary):
        raise typer.Exit(1)
