"""``dead-letters``: what could not be stored or done, and how to mend it."""

from __future__ import annotations

import getpass
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import click
import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import database, one_of, runtime
from sync_pipelines.core import dead_letters
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import Letter
from sync_pipelines.core.errors import ConfigError

UNRESOLVED = ("open", "retrying")


class LetterState(StrEnum):
    """What ``--state`` takes."""

    OPEN = "open"
    RETRYING = "retrying"
    RESOLVED = "resolved"


Ids = Annotated[list[int] | None, typer.Argument(help="Ids; or use the options", metavar="[ID]...", show_default=False)]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account's")]
Subject = Annotated[str | None, typer.Option("--subject", "-s", help="Only of this stream or queue")]
Cause = Annotated[str | None, typer.Option("--cause", help="Only of this class of error")]
State = Annotated[str | None, typer.Option("--state", help="open, retrying or resolved; default open and retrying")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="What could not be stored or done.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("edit")(edit)
    group.command("resend")(resend)
    group.command("resolve")(resolve)
    app.add_typer(group, name="dead-letters")


def list_letters(
    account: Account = None, subject: Subject = None, cause: Cause = None, state: State = None, limit: Limit = 100
) -> None:
    """Lists letters, newest first, without their payloads."""
    with database() as opened:
        letters = _find(opened, None, account, subject, cause, state, limit)
    shown = {"id": "id", "account": "account", "subject": "of", "key": "key", "state": "state", "cause": "cause"}
    more = {"error": "error", "attempts": "tries", "seen": "seen", "last_seen_at": "last seen"}
    output.rows([_summary(letter) for letter in letters], {**shown, **more}, empty="no dead letters")


def show(letter: Annotated[int, typer.Argument(help="Its id")]) -> None:
    """Shows one letter with its payload, which may hold personal data."""
    with database() as opened:
        found = _one(opened, letter)
    whole = _summary(found) | {
        "payload": _text(found.payload),
        "original": _text(found.original),
        "request": found.request,
        "response": _text(found.response),
    }
    output.result(whole, "\n".join(f"{name}: {'-' if value is None else value}" for name, value in whole.items()))


def edit(
    letter: Annotated[int, typer.Argument(help="Its id")],
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="The new payload; - reads standard input; default: your editor")
    ] = None,
) -> None:
    """Replaces a letter's payload by other JSON; the original stays beside it. `resend` sends it."""
    with database() as opened:
        found = _one(opened, letter)
        with opened.connect() as connection:
            dead_letters.check_unresolved(connection, letter)  # before a person has typed anything
        payload = _edited(found, file)
        with opened.transaction() as connection:
            dead_letters.edit(connection, letter, payload)
    output.result({"edited": letter}, f"letter {letter} is edited; `sync-pipelines dead-letters resend {letter}` sends it")


def resend(
    ids: Ids = None,
    account: Account = None,
    subject: Subject = None,
    cause: Cause = None,
    state: State = None,
    is_anew: Annotated[bool, typer.Option("--anew", help="Read the record anew from the vendor")] = False,
    limit: Limit = 1000,
) -> None:
    """Sends letters once more: by id, or all that the options choose. Exit code 1 if any fails."""
    from sync_pipelines import resending

    _demand_choice(ids, account, subject, cause, state)
    results: list[dict[str, Any]] = []
    with runtime() as opened:
        letters = _find(opened.database, ids, account, subject, cause, state, limit)
        run_id = f"resend-{uuid4()}"
        for letter in reversed(letters):
            reason = resending.resend(opened, letter, by=getpass.getuser(), run_id=run_id, is_anew=is_anew)
            outcome = "failed" if reason else "resolved"
            results.append({"id": letter.id, "subject": letter.subject, "key": letter.key, "outcome": outcome, "reason": reason})
    shown = {"id": "id", "subject": "of", "key": "key", "outcome": "outcome", "reason": "reason"}
    output.rows(results, shown, empty="no letter fits")
    if Counter(result["outcome"] for result in results)["failed"]:
        raise typer.Exit(1)


def resolve(ids: Ids = None, account: Account = None, subject: Subject = None, cause: Cause = None, limit: Limit = 1000) -> None:
    """Closes letters without doing anything more: by id, or all that the options choose."""
    _demand_choice(ids, account, subject, cause, None)
    with database() as opened:
        chosen = [letter.id for letter in _find(opened, ids, account, subject, cause, None, limit)]
        with opened.transaction() as connection:
            closed = dead_letters.resolve(connection, chosen, by=getpass.getuser())
    output.result({"resolved": closed}, f"{closed} letters closed")


def _find(
    opened: Database,
    ids: Sequence[int] | None,
    account: str | None,
    subject: str | None,
    cause: str | None,
    state: str | None,
    limit: int,
) -> list[Letter]:
    wanted = one_of("--state", state, LetterState)
    with opened.connect() as connection:
        letters = dead_letters.find(
            connection,
            ids=ids or None,
            states=[wanted] if wanted else UNRESOLVED,
            account=account,
            subject=subject,
            cause=cause,
            limit=limit,
        )
    if missing := set(ids or ()) - {letter.id for letter in letters}:
        raise ConfigError(f"no such dead letter: {', '.join(map(str, sorted(missing)))}")
    return letters


def _one(opened: Database, letter_id: int) -> Letter:
    return _find(opened, [letter_id], None, None, None, None, 1)[0]


def _demand_choice(ids: Sequence[int] | None, *filters: str | None) -> None:
    if not ids and not any(filters):
        raise ConfigError("which letters? Name ids, or choose by --account, --subject, --cause or --state")


def _summary(letter: Letter) -> dict[str, Any]:
    return {name: value for name, value in asdict(letter).items() if name not in {"payload", "original", "response", "request"}} | {
        "is_edited": letter.original is not None
    }


def _edited(letter: Letter, file: Path | None) -> bytes:
    if file is None:
        edited = click.edit(_text(letter.payload) or "", extension=".json")
        if edited is None:
            raise ConfigError(f"letter {letter.id}: the editor was closed without saving; nothing was changed")
        return str(edited).encode()
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigError(f"--file {file} cannot be read: {error.strerror}") from error


def _text(payload: bytes | None) -> str | None:
    return None if payload is None else payload.decode(errors="replace")
