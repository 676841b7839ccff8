"""The sandbox's time: the wall clock plus an offset that tests move."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, moved forward on demand (``POST /_control/clock``).

    Args:
        start: Epoch seconds at which a frozen clock stands; ``None`` follows the wall clock.
    """

    def __init__(self, start: float | None = None) -> None:
        self._frozen_at = start
        self._offset = 0.0

    def now(self) -> float:
        """Epoch seconds."""
        base = time.time() if self._frozen_at is None else self._frozen_at
        return base + self._offset

    def utc(self) -> datetime:
        """The same instant as aware UTC."""
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        """Moves the clock; a negative number is refused."""
        if seconds < 0:
            raise ValueError("the sandbox clock only moves forward")
        self._offset += seconds
