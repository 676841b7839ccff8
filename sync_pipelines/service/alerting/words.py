"""Numbers, times and texts as messages say them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_HIDDEN = (
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "(address)"),
    (re.compile(r"https://hooks\.slack\.com/\S+"), "(webhook)"),
    (re.compile(r"\b(xox[a-z]|xapp|sk|re|SG)[-_.][\w.-]{8,}"), "(token)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=-]{8,}"), r"\1 (token)"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api[_-]?key|key|signature)(\s*[=:]\s*)[^\s,;&]+"), r"\1\2(hidden)"),
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), "://"),
)


def plural(count: int, what: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def moment(at: datetime | float) -> str:
    """``2026-01-31 08:00 UTC``; floats are epoch seconds."""
    aware = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return f"{aware.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(length: timedelta) -> str:
    """``45 min``, ``3 h``, ``2 d 4 h``; two figures at most."""
    minutes = int(length.total_seconds()) // 60
    if minutes < 1:
        return f"{int(length.total_seconds())} s"
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{minutes} min"


def clean(text: str, *known: str) -> str:
    """A text with everything taken out that looks like a secret or an e-mail address; the last net under careful sources.

    Args:
        text: To be shown or stored.
        known: Secrets that are known here; taken out wherever they stand.
    """
    for secret in known:
        if len(secret) > 3:
            text = text.replace(secret, "(hidden)")
    for pattern, replacement in _HIDDEN:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def cut(text: str, most: int) -> str:
    """At most so many characters, with a sign where something is missing."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
