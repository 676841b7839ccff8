"""Starts a command and turns its end into an exit code: 0 success, 1 failure, 2 wrong usage or configuration."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import TracebackType

import typer

from sync_pipelines.cli import commands, output
from sync_pipelines.core.errors import ConfigError, SyncError

SUCCESS, FAILURE, USAGE = 0, 1, 2

_EVERYWHERE = """Every command also takes --json (one JSON value on standard output) and --debug (tracebacks).
Exit codes: 0 success, 1 failure, 2 wrong usage or configuration."""


def main() -> None:
    """The program's entry."""
    gc.set_threshold(50_000)  # imports make no garbage worth looking for; looking after every 700 objects is a tenth of a command
    arguments = sys.argv[1:]
    if "--debug" not in arguments:
        sys.excepthook = _one_line
    code = invoke(arguments)
    gc.freeze()  # the ending interpreter looks through all objects again: a sixth of a short command
    raise SystemExit(code)


def invoke(arguments: Sequence[str]) -> int:
    """Runs one command in this process; returns its exit code.

    ``--json`` and ``--debug`` are taken wherever they stand before a ``--``. A bug of ours is not caught: it ends the program with
    one line, or with its traceback under ``--debug``.
    """
    words = list(arguments)
    flags = words[: words.index("--")] if "--" in words else words
    output.is_json, is_debug = "--json" in flags, "--debug" in flags
    output.noted.clear()
    words = [word for word in flags if word not in {"--json", "--debug"}] + words[len(flags) :]
    try:
        typer.main.get_command(build(words)).main(args=words, prog_name="sync-pipelines")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else SUCCESS
    except SyncError as error:
        if is_debug:
            raise
        output.failure(error)
        return USAGE if isinstance(error, ConfigError) else FAILURE
    return SUCCESS


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The application with the command that ``words`` begin with, or, if that is none, with every command of ``commands/``.

    A file of ``commands/`` is named after its command, so one command never waits for the imports of the others.
    """
    app = typer.Typer(
        name="sync-pipelines",
        help="Keeps a shop's systems and one Postgres database in step.",
        epilog=_EVERYWHERE,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_root)
    names = sorted(module.name for module in iter_modules(commands.__path__))
    wanted = words[0].replace("-", "_") if words else None
    for name in [wanted] if wanted in names else names:
        import_module(f"{commands.__name__}.{name}").register(app)
    return app


def _root() -> None:
    """Keeps a shop's systems and one Postgres database in step."""


def _one_line(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    output.note(f"unexpected {kind.__name__}: {error}. Run the command with --debug for the traceback")
