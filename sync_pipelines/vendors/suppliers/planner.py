"""The order of scarce calls: which part of a list is read in which window, so that nothing gets too old and stock is freshest.

Pure. A list has ``limit`` calls in each window; its parts (taxonomies) take a known number of calls each. Reading them one after
the other renews everything every ``cycle`` windows, and no plan can be faster. Within that bound the plan is
earliest-deadline-first, and calls that the bound leaves over go to the parts where most stock would otherwise grow old.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

STEADY_CYCLES = 4
"""How many cycles are played through to find the steady worst case."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a list.

    Attributes:
        scope: Its name.
        pages: Calls it takes.
        age_windows: Age of what we know, in windows; ``None`` if it was never read.
        weight: What a window of age costs: SKUs in stock.
    """

    scope: str
    pages: int = 1
    age_windows: float | None = None
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Which parts are read in which window.

    Attributes:
        windows: Scopes by window, in reading order; a scope may come twice.
        cycle: Windows in which everything can be read once: the floor.
        spare: Calls of a cycle that the floor leaves over.
    """

    windows: tuple[tuple[str, ...], ...]
    cycle: int
    spare: int

    @property
    def order(self) -> list[str]:
        """All reads in order."""
        return [scope for window in self.windows for scope in window]


@dataclass(slots=True)
class _Part:
    part: Part
    deadline: int
    value_age: float
    is_read: bool = False
    left: int = field(default=0)


def cycle_windows(pages: int, limit: int) -> int:
    """Windows that reading ``pages`` pages takes.

    >>> cycle_windows(27, 10)
    3
    """
    return max(1, math.ceil(pages / limit))


def floor_s(pages: int, limit: int, window_s: float) -> float:
    """Least seconds between the first and the last call of a full read: all windows but the last must pass.

    >>> floor_s(27, 10, 3600) / 3600
    2.0
    """
    return (cycle_windows(pages, limit) - 1) * window_s


def plan(parts: Sequence[Part], limit: int) -> Plan:
    """Plans one cycle: every part at least once, none later than it must, spare calls where most stock grows old.

    Nobody knows how many calls a part takes that was never read, so as long as there is one, no call counts as spare.
    """
    total = sum(part.pages for part in parts)
    cycle = cycle_windows(total, limit)
    state = [_Part(part, _deadline(part, cycle), cycle if part.age_windows is None else part.age_windows) for part in parts]
    may_repeat = all(part.age_windows is not None for part in parts)
    windows = tuple(tuple(_fill(state, window, limit, may_repeat=may_repeat)) for window in range(cycle))
    late = tuple(item.part.scope for item in state if not item.is_read)
    return Plan((*windows, late) if late else windows, cycle, cycle * limit - total)


def worst_age_windows(parts: Sequence[Part], limit: int) -> int:
    """The greatest age in windows that any part reaches when such plans follow each other for ever, counted at its next read.

    A part of several pages may begin in one window and end in the next; what it says counts from its beginning.
    """
    known = {part.scope: part for part in parts}
    last = dict.fromkeys(known, 0)
    worst, now = 0, 0
    current = [Part(part.scope, part.pages, 0.0, part.weight) for part in parts]
    for _ in range(STEADY_CYCLES):
        made = plan(current, limit)
        for window in made.windows:
            for scope in window:
                worst = max(worst, now - last[scope])
                last[scope] = now
            now += 1
        current = [Part(part.scope, part.pages, float(now - last[part.scope]), part.weight) for part in parts]
    return worst + any(part.pages > 1 for part in parts)


def _deadline(part: Part, cycle: int) -> int:
    if part.age_windows is None:
        return 0
    return min(cycle - 1, max(0, cycle - math.ceil(part.age_windows)))


def _fill(state: list[_Part], window: int, limit: int, *, may_repeat: bool) -> Iterator[str]:
    left = limit
    for item in state:
        item.value_age += 1
    while left > 0:
        useful = state if may_repeat else [item for item in state if not item.is_read]
        choice = _most_urgent(state, window, left, limit) or _most_valuable(useful, left)
        if choice is None:
            return
        left -= min(choice.part.pages, left)
        choice.is_read, choice.value_age = True, 0.0
        yield choice.part.scope


def _most_urgent(state: list[_Part], window: int, left: int, limit: int) -> _Part | None:
    """The next part by deadline, if waiting would make some deadline impossible."""
    unread = sorted(
        (item for item in state if not item.is_read), key=lambda item: (item.deadline, -item.value_age, -item.part.weight)
    )
    pages = 0
    for item in unread:
        pages += item.part.pages
        if pages > max(0, item.deadline - window) * limit:
            fitting = (candidate for candidate in unread if candidate.part.pages <= left)
            return next(fitting, unread[0])
    return None


def _most_valuable(state: list[_Part], left: int) -> _Part | None:
    """What saves the most age of stock per call."""
    fitting = [item for item in state if item.part.pages <= left and item.value_age > 0]
    if not fitting:
        return None
    return max(fitting, key=lambda item: (item.part.weight + 1e-6) * item.value_age / item.part.pages)
