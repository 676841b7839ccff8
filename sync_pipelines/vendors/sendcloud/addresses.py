"""What goes into an address of SendCloud's, and the cursor that comes out of one."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

_LINK = re.compile(r"<([^>]*)>\s*;\s*rel=\"?(\w+)\"?")


def next_cursor(link: str) -> str | None:
    """The cursor of ``rel="next"``. Only the cursor is taken: the documentation's links lack ``/api`` (facts §3.3)."""
    for url, rel in _LINK.findall(link):
        if rel == "next":
            return cursor_of(url)
    return None


def cursor_of(url: str) -> str | None:
    """The ``cursor`` of a page's address."""
    values = parse_qs(urlsplit(url).query).get("cursor")
    return values[0] if values else None


def given(**params: Any) -> list[tuple[str, str]]:
    """The parameters that have a value, as query text."""
    return [(name, _query_value(value)) for name, value in params.items() if value not in (None, "")]


def _query_value(value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("times must be aware")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def segment(value: str) -> str:
    """A path segment that cannot leave its place."""
    return quote(value, safe="")
