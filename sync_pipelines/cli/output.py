"""What commands print: JSON for programs on standard output, tables for people, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sync_pipelines.core.errors import SyncError

is_json = False
"""Set by `app.invoke`: the command was called with ``--json``."""

noted: set[str] = set()
"""What `note_once` has told during this command."""


def console() -> Console:
    """Standard output for people."""
    return Console(highlight=False, soft_wrap=True)


def result(value: Any, text: str | None = None) -> None:
    """A command's result: as JSON, or as ``text`` for a person."""
    if is_json:
        sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    elif text is not None:
        console().print(text, markup=False)


def rows(
    items: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, title: str | None = None, empty: str = "nothing"
) -> None:
    """A list of objects: as a JSON list, or as a table.

    Args:
        items: The objects; JSON shows all of their keys.
        columns: Key to heading of the table's columns.
        title: Above the table.
        empty: What a person reads if there is no item.
    """
    if is_json:
        result([dict(item) for item in items])
        return
    if not items:
        console().print(empty, markup=False)
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for item in items:
        table.add_row(*(_cell(item.get(key)) for key in columns))
    console().print(table)


def note(text: str) -> None:
    """A line for a person, on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def note_once(text: str) -> None:
    """A line for a person, however often a command comes upon it."""
    if text not in noted:
        noted.add(text)
        note(text)


def failure(error: SyncError) -> None:
    """The one message that ends a failed command."""
    Console(stderr=True, highlight=False, soft_wrap=True).print("error:", str(error), style="red", markup=False)
    if is_json:
        result({"error": str(error), "kind": type(error).__name__, "account": error.account})


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value.isoformat(timespec="seconds", sep=" ") if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no JSON form")
