"""Quotas enforced exactly as documented, so that one call too many is always seen."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Protocol

from sync_pipelines.sandbox.common.clock import Clock


class Quota(Protocol):
    """One limit for one key (account, operation)."""

    def take(self) -> float:
        """Takes one call; returns 0 if allowed, else the seconds until the next call would be."""


class TokenBucket:
    """Refills at ``rate`` per second up to ``burst``; starts full."""

    def __init__(self, clock: Clock, *, rate: float, burst: int) -> None:
        self._clock, self.rate, self.burst = clock, rate, burst
        self._tokens = float(burst)
        self._at = clock.now()
        self._lock = threading.Lock()

    def take(self) -> float:
        """See `Quota.take`."""
        with self._lock:
            now = self._clock.now()
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
            if self._tokens >= 1 - 1e-9:
                self._tokens -= 1
                return 0.0
            return (1 - self._tokens) / self.rate


class SlidingWindow:
    """At most ``limit`` calls in any ``seconds``: the strictest reading of "n per minute"."""

    def __init__(self, clock: Clock, *, limit: int, seconds: float) -> None:
        self._clock, self.limit, self.seconds = clock, limit, seconds
        self._calls: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> float:
        """See `Quota.take`."""
        with self._lock:
            now = self._clock.now()
            while self._calls and self._calls[0] <= now - self.seconds:
                self._calls.popleft()
            if len(self._calls) < self.limit:
                self._calls.append(now)
                return 0.0
            return self._calls[0] + self.seconds - now


class FixedWindow:
    """At most ``limit`` calls in a window of ``seconds`` that opens with the first call after the last window closed."""

    def __init__(self, clock: Clock, *, limit: int, seconds: float) -> None:
        self._clock, self.limit, self.seconds = clock, limit, seconds
        self._opened, self._used = -math.inf, 0
        self._lock = threading.Lock()

    def take(self) -> float:
        """See `Quota.take`."""
        with self._lock:
            now = self._clock.now()
            if now >= self._opened + self.seconds:
                self._opened, self._used = now, 0
            if self._used < self.limit:
                self._used += 1
                return 0.0
            return self.resets_at - now

    @property
    def resets_at(self) -> float:
        """Epoch seconds at which the open window closes."""
        return self._opened + self.seconds

    @property
    def remaining(self) -> int:
        """Calls left in the open window."""
        return self.limit if self._clock.now() >= self.resets_at else self.limit - self._used


class AllOf:
    """Several quotas on one call; a call refused by any of them counts in those that were asked before it."""

    def __init__(self, *quotas: Quota) -> None:
        self._quotas = quotas

    def take(self) -> float:
        """See `Quota.take`."""
        for quota in self._quotas:
            wait = quota.take()
            if wait > 0:
                return wait
        return 0.0
