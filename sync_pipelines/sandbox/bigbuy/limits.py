"""BigBuy's published limits, enforced as its fixed windows: per endpoint and key, opened by the first call, in whole seconds.

A window that opens at 07:52:08.4 closes at 08:52:08 exactly, because the vendor counts in integer epoch seconds; that is also what
``X-RateLimit-Reset`` says. Calls answered with 400 or 401 are not counted (observed once, ``facts.md`` 3).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from sync_pipelines.sandbox.common.clock import Clock

HOUR = 3600

BULK_PER_HOUR = {
    "products": 10,
    "productsinformation": 24,
    "productsvariations": 10,
    "variations": 10,
    "productprices": 10,
    "productvariationprices": 10,
    "productsstockbyhandlingdays": 10,
    "productsvariationsstockbyhandlingdays": 10,
    "productsimages": 10,
    "taxonomies": 24,
    "productstaxonomies": 5,
    "manufacturers": 5,
    "attributes": 24,
    "attributegroups": 24,
    "tags": 24,
    "productstags": 24,
    "languages": 10,
    "new-products": 2,
}
"""Calls in an hour of each list below ``/rest/catalog/`` (``facts.md`` 2.1)."""

ITEM_SECONDS = 5
"""Single items below ``/rest/catalog/``: one call in this many seconds."""

ACCOUNT_SECONDS = 1
"""Orders, shipping, tracking and user calls: one a second."""


@dataclass
class _Open:
    opened: int
    used: int


class FixedWindows:
    """All windows of one key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()
        self.over: dict[str, int] = {}
        """How many calls came over each endpoint's window: what a well-behaved client keeps at nothing."""

    def take(self, endpoint: str, limit: int, seconds: int) -> tuple[bool, dict[str, str]]:
        """Counts one call; returns whether it is allowed, and the three headers."""
        with self._lock:
            now = self._clock.now()
            window = self._open.get(endpoint)
            if window is None or now >= window.opened + seconds:
                window = self._open[endpoint] = _Open(math.floor(now), 0)
            is_allowed = window.used < limit
            if is_allowed:
                window.used += 1
            else:
                self.over[endpoint] = self.over.get(endpoint, 0) + 1
            return is_allowed, {
                "X-RateLimit-Limit": str(limit),
                "X-RateLimit-Remaining": str(limit - window.used),
                "X-RateLimit-Reset": str(window.opened + seconds),
            }
