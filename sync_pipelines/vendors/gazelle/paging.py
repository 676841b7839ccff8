"""Walking a list that shifts underfoot.

Cursors are probably offsets (apis/gazelle/facts.md §3), so a record deleted or created behind us moves the rest. Therefore every
page begins with the last element of the page before: if it is not there, or if ``totalCount`` moved, the walk steps back and reads
the tail again. What comes twice is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from sync_pipelines.core.errors import ContractError
from sync_pipelines.vendors.gazelle.client import Edge, ListPage

KEPT_STEPS = 4
"""Places behind us that are remembered to step back to; farther back means from the beginning."""

_MOST_STEPS_BACK = 50
"""A list that moves more often in one walk is read on as it is; the next run and the look-up of missing records repair it."""

Fetch = Callable[[str | None, int], ListPage]
"""Reads a page behind a cursor with so many extra elements."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins: behind which cursor, and which element must come first there."""

    after: str | None = None
    anchor: str | None = None


class Position(msgspec.Struct, frozen=True):
    """Where a walk stands; goes into resume tokens.

    Attributes:
        place: Where the next page begins.
        trail: Places before it, latest last.
        total: ``totalCount`` when last seen.
        steps_back: How often the walk stepped back so far.
    """

    place: Place = Place()
    trail: tuple[Place, ...] = ()
    total: int | None = None
    steps_back: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One page of a walk: the elements not seen before in this process, and where to go on (``None``: the list has ended)."""

    edges: tuple[Edge, ...]
    position: Position | None


@dataclass(slots=True)
class Walk:
    """Walks one list.

    Args:
        fetch: Reads a page.
    """

    fetch: Fetch
    _seen: dict[str, int] = field(default_factory=dict)

    def steps(self, position: Position) -> Iterator[Step]:
        """The pages from a position on."""
        current: Position | None = position
        while current is not None:
            step = self._step(current)
            current = step.position
            yield step

    def _step(self, position: Position) -> Step:
        while True:
            place = position.place
            page = self.fetch(place.after, 1 if place.anchor else 0)
            has_shifted = place.anchor is not None and (not page.edges or page.edges[0].id != place.anchor)
            has_moved = position.total is not None and page.total != position.total
            if (has_shifted or has_moved) and position.place != Place() and position.steps_back < _MOST_STEPS_BACK:
                position = _back(position, page.total)
                continue
            break
        fresh = page.edges if has_shifted or place.anchor is None else page.edges[1:]
        return Step(tuple(self._new(fresh)), _onward(position, page))

    def _new(self, edges: tuple[Edge, ...]) -> Iterator[Edge]:
        for edge in edges:
            digest = hash(edge.nodes)
            if self._seen.get(edge.id) != digest:
                self._seen[edge.id] = digest
                yield edge


def _back(position: Position, total: int) -> Position:
    """One remembered place back, or to the beginning."""
    if not position.trail:
        return Position(total=total, steps_back=position.steps_back + 1)
    return Position(position.trail[-1], position.trail[:-1], total, position.steps_back + 1)


def _onward(position: Position, page: ListPage) -> Position | None:
    edges = page.edges
    if not page.has_more:
        return None
    place = Place(edges[-2].cursor, edges[-1].id) if len(edges) > 1 else Place(edges[-1].cursor if edges else page.end)
    if place.after is None or place == position.place:
        raise ContractError("the server says that a list goes on, but not where")
    return Position(place, (*position.trail, position.place)[-KEPT_STEPS:], page.total, position.steps_back)
