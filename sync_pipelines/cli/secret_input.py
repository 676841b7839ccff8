"""Reads a secret from a person or a pipe; never from an argument, which other users of the machine could see."""

from __future__ import annotations

import sys

import typer

from sync_pipelines.core.errors import ConfigError


def read_secret(what: str = "Value", *, confirm: bool = False) -> bytes:
    """The value without the line end that ``echo`` adds.

    Args:
        what: What a person is asked for.
        confirm: Ask twice.

    Raises:
        ConfigError: Standard input is empty.
    """
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, confirmation_prompt=confirm)).encode()
    value = sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise ConfigError("standard input holds no value; pipe it in, or run the command in a terminal to be asked")
    return value
