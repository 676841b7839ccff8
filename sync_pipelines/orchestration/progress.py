"""Long work says how far it is: a line in the run's log every few seconds, and every page to whoever listens in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sync_pipelines.core.totals import SyncTotals

_EVERY_S = 10.0

Listener = Callable[[SyncTotals], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tells ``listener`` of every stored page and of the end of each sync that this process runs meanwhile."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def reporter(log: Callable[[str], None]) -> Listener:
    """A progress callback that tells the listeners, and logs at most every `_EVERY_S` seconds."""
    last = time.monotonic()

    def report(totals: SyncTotals) -> None:
        nonlocal last
        for listener in _listeners:
            listener(totals)
        if time.monotonic() - last < _EVERY_S:
            return
        last = time.monotonic()
        log(totals.in_words())

    return report


def finished(totals: SyncTotals) -> None:
    """Tells the listeners the final totals of a sync."""
    for listener in _listeners:
        listener(totals)
