"""The command line, ``sync-pipelines``.

A file of ``commands/`` holds one command or one group of commands and registers it with ``register(app)``. Commands print through
`output`, so that every one of them speaks JSON under ``--json``; they raise the errors of `core.errors`, which end the program with
one clear message, and ``typer.Exit(1)`` where the printed result itself is a failure.
"""

from sync_pipelines.cli.app import invoke, main

__all__ = ["invoke", "main"]
