"""Cursor pages as SendCloud has them: a position in the sort order, base64 of ``o`` (offset), ``r`` (reverse), ``p`` (position).

The rules are those of Django REST framework's cursor paginator, which SendCloud's cursors look like (facts §3.3): records that
appear or vanish before the position do not shift later pages; records that share one sort value are told apart by an offset.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

Entry = tuple[int | str, int]
"""Sort value and record id."""


class InvalidCursorError(ValueError):
    """The cursor is not one of ours."""


@dataclass(frozen=True)
class Cursor:
    """Where a page begins. ``position`` is the sort value of the last record before it, as text."""

    offset: int = 0
    reverse: bool = False
    position: str | None = None

    def encode(self) -> str:
        """The text that travels."""
        parts: dict[str, str] = {}
        if self.offset:
            parts["o"] = str(self.offset)
        if self.reverse:
            parts["r"] = "1"
        if self.position is not None:
            parts["p"] = self.position
        return base64.b64encode(urlencode(parts or {"o": "0"}).encode()).decode()

    @staticmethod
    def decode(text: str) -> Cursor:
        """Reads a cursor.

        Raises:
            InvalidCursorError: for anything that is not base64 of known parts.
        """
        try:
            parts = dict(
                parse_qsl(base64.b64decode(text, validate=True).decode("ascii"), strict_parsing=True, keep_blank_values=True)
            )
            if not parts or not parts.keys() <= {"o", "r", "p"}:
                raise InvalidCursorError(text)
            return Cursor(int(parts.get("o", "0")), bool(int(parts.get("r", "0"))), parts.get("p"))
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise InvalidCursorError(text) from error


class Index:
    """Record ids in the order of one value; the id breaks ties."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = sorted(entries)
        self._number = not entries or isinstance(entries[0][0], int)

    def add(self, value: int | str, key: int) -> None:
        """Puts a record in."""
        entry = (value, key)
        self._entries.insert(bisect_left(self._entries, entry), entry)

    def remove(self, value: int | str, key: int) -> None:
        """Takes a record out."""
        place = bisect_left(self._entries, (value, key))
        if place < len(self._entries) and self._entries[place] == (value, key):
            del self._entries[place]

    def walk(self, *, descending: bool, after: str | None, between: tuple[int, int] | None = None) -> Iterator[Entry]:
        """Entries in order, those strictly beyond ``after`` in that direction, and with values in ``between`` (half open).

        Raises:
            InvalidCursorError: ``after`` is not a value of this index.
        """
        start, stop = 0, len(self._entries)
        if between is not None:
            start, stop = (bisect_left(self._entries, (bound, -1)) for bound in between)
        if after is not None:
            bound = self._value(after)
            if descending:
                stop = min(stop, bisect_left(self._entries, (bound,)))
            else:
                start = max(start, bisect_right(self._entries, (bound, 1 << 80)))
        places = range(stop - 1, start - 1, -1) if descending else range(start, stop)
        for place in places:
            yield self._entries[place]

    def _value(self, text: str) -> int | str:
        if not self._number:
            return text
        try:
            return int(text)
        except ValueError as error:
            raise InvalidCursorError(text) from error


@dataclass(frozen=True)
class PageOf:
    """One page of ids with the cursors around it."""

    keys: list[int]
    next: Cursor | None
    previous: Cursor | None


def page(
    index: Index,
    *,
    descending: bool,
    cursor: Cursor,
    size: int,
    wanted: Callable[[int], bool],
    between: tuple[int, int] | None = None,
) -> PageOf:
    """Cuts one page out of an index.

    Args:
        index: The order of the records.
        descending: Direction of the list as the caller asked for it.
        cursor: Where the page begins.
        size: Records on a page.
        wanted: The filter.
        between: Bounds of the sort value that the filter implies, so that a far page costs no more than a near one.
    """
    found: list[Entry] = []
    skip = cursor.offset
    for entry in index.walk(descending=descending != cursor.reverse, after=cursor.position, between=between):
        if not wanted(entry[1]):
            continue
        if skip:
            skip -= 1
            continue
        found.append(entry)
        if len(found) > size:
            break
    more, entries = found[size:], found[:size]
    came_from_somewhere = cursor.position is not None or cursor.offset > 0
    if cursor.reverse:
        entries.reverse()
        next_position, previous_position = cursor.position, str(more[0][0]) if more else None
        has_next, has_previous = came_from_somewhere, bool(more)
    else:
        next_position, previous_position = str(more[0][0]) if more else None, cursor.position
        has_next, has_previous = bool(more), came_from_somewhere
    values = [str(value) for value, _ in entries]
    following = _marker(values[::-1], next_position, size, cursor, forward=True, at_edge=not has_previous, back=previous_position)
    preceding = _marker(values, previous_position, size, cursor, forward=False, at_edge=not has_next, back=next_position)
    return PageOf([key for _, key in entries], following if has_next else None, preceding if has_previous else None)


def _marker(
    values: list[str], beyond: str | None, size: int, cursor: Cursor, *, forward: bool, at_edge: bool, back: str | None
) -> Cursor:
    """The cursor to the neighbouring page: the nearest value unlike its neighbour, plus how many share it."""
    compare = beyond
    for offset, value in enumerate(values):
        if value != compare:
            return Cursor(offset, not forward, value)
        compare = value
    if not values:
        return Cursor(0, not forward, beyond)
    if at_edge:
        return Cursor(size, not forward, None)
    if cursor.reverse == forward:
        return Cursor(0, not forward, back)
    return Cursor(cursor.offset + size, not forward, back)
