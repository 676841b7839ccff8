"""What a person writes into the launchpad, read before anything else is done.

What is wrong ends the run for good, with one message: the field, what was given, what is possible.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from dagster import Failure

from sync_pipelines.core.windows import Window

INSTANT = "an ISO 8601 instant such as 2026-01-31T00:00:00Z"

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def refusal(message: str) -> Failure:
    """The end of a run whose configuration is wrong: only a person can mend it, so it is not tried again."""
    return Failure(message, allow_retries=False)


def one_of(field: str, text: str | None, choices: type[ChoiceT]) -> ChoiceT | None:
    """The choice that a field names; ``None`` if it is empty.

    Raises:
        Failure: There is no such choice.
    """
    if not text:
        return None
    try:
        return choices(text)
    except ValueError as error:
        raise refusal(f"{field}: {text!r} is none of {', '.join(choices)}") from error


def window(start: str | None, end: str | None) -> Window | None:
    """The window from the field ``start`` to the field ``end``; ``None`` if both are empty.

    Raises:
        Failure: One of them is empty, is no instant, or they are in the wrong order.
    """
    if not start and not end:
        return None
    if not start:
        raise refusal(f"start: empty, although end is {end!r}; give both or neither, start as {INSTANT}")
    if not end:
        raise refusal(f"end: empty, although start is {start!r}; give both or neither, end as {INSTANT}")
    first, last = _instant("start", start), _instant("end", end)
    if first >= last:
        raise refusal(f"start: {start!r} is not before end, {end!r}; end is exclusive and must be later")
    return Window(first, last)


def required_window(start: str | None, end: str | None) -> Window:
    """The same for a run that is nothing without one.

    Raises:
        Failure: There is none, or it is wrong.
    """
    found = window(start, end)
    if found is None:
        raise refusal(f"start and end: empty; give each as {INSTANT}")
    return found


def _instant(field: str, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise refusal(f"{field}: {text!r} is not {INSTANT}") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)
