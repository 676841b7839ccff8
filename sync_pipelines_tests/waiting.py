"""Waiting for what another thread or process is about to do."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from time import monotonic


def eventually(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Returns as soon as the condition holds; fails if it does not within the time."""
    end, pause = monotonic() + seconds, Event()
    while not condition():
        assert monotonic() < end, "it did not happen in time"
        pause.wait(0.02)
