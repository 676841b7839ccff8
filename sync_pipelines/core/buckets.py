"""How a vendor counts calls, as pure arithmetic: three kinds of bucket that never grant a call the vendor would refuse.

A call is counted by the vendor somewhere between our grant and its answer. A *held* bucket therefore counts it at the worst of both
ends: it is spent from the grant on, and its quota starts to come back only when the answer is there. Whatever the latency, the
vendor's own bucket is never emptier than ours; only clocks that tick at different speeds are left, and `BucketSpec.safety` covers
them. `sync_pipelines.core.budget` keeps one `BucketState` per account and bucket in Postgres. All times here are epoch seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

SHORTEST_WAIT_S = 0.02
"""The least wait where only an answer still under way can free quota."""

SLOTS = 120
"""Into how many slots a sliding window is cut: one slot's length is lost to rounding."""

RESERVED_SHARE = 0.05
"""Share of a bucket's capacity kept for each lane, unless the bucket says otherwise."""

BUNDLE_S = 0.01
"""Calls a bucket refills in so short a time may be granted together: nobody waits noticeably longer for it."""

_EPSILON = 1e-9


class Lane(StrEnum):
    """Who asks for quota, in order of right."""

    LIVE = "live"
    WEBHOOK = "webhook"
    RETRY = "retry"
    REPLAY = "replay"
    BACKFILL = "backfill"

    @property
    def rank(self) -> int:
        """0 for the lane with the most right."""
        return _RANKS[self]


_RANKS = {lane: rank for rank, lane in enumerate(Lane)}


@dataclass(frozen=True)
class BucketSpec:
    """One quota as its vendor documents it. Use the constructors: `token`, `paced`, `fixed_window`, `per_window`, `per_minute`.

    Attributes:
        name: The bucket's name within its account.
        rate: Calls per second at which it refills; ``None`` for a fixed window.
        burst: Calls possible at once; calls per window for a fixed window. A fraction is head-room for late wake-ups.
        window_s: Length of the fixed or sliding window.
        limit: With ``rate`` and ``window_s``: at most so many calls in *any* ``window_s`` (a sliding window).
        reserve: Calls kept for a lane against all lower lanes. Default: 5 % of the capacity for each lane. ``{}`` for none.
        safety: Share of the rate that is used.
        held: Whether a call counts until it is answered (see the module); moot where a pace of our own is below the vendor's limit.
    """

    name: str
    rate: float | None
    burst: float
    window_s: float | None = None
    limit: int | None = None
    reserve: Mapping[Lane, float] | None = None
    safety: float = 0.99
    held: bool = True

    def __post_init__(self) -> None:
        if self.burst < 1 or (self.rate is None and self.window_s is None) or (self.rate is not None and self.rate <= 0):
            raise ValueError(f"bucket {self.name}: needs a burst of at least 1 and a positive rate or a window")
        if self.limit is not None and (self.rate is None or self.window_s is None):
            raise ValueError(f"bucket {self.name}: a sliding window needs rate and window_s")

    @classmethod
    def token(cls, name: str, *, rate: float, burst: float, reserve: Mapping[Lane, float] | None = None) -> BucketSpec:
        """A token bucket the vendor keeps too (Amazon): same rate, same burst, starts full."""
        return cls(name, rate, burst, reserve=reserve)

    @classmethod
    def paced(cls, name: str, *, per_second: float) -> BucketSpec:
        """Evenly spaced calls, for a pace of our own below the vendor's limit (Grand Shooting, Gazelle, AliExpress)."""
        return cls(name, per_second, 1.2, reserve={}, safety=1.0, held=False)

    @classmethod
    def fixed_window(cls, name: str, *, limit: int, seconds: float, reserve: Mapping[Lane, float] | None = None) -> BucketSpec:
        """``limit`` calls in a window that opens with the first call (BigBuy)."""
        return cls(name, None, limit, window_s=seconds, reserve=reserve, safety=0.9995)

    @classmethod
    def per_window(cls, name: str, limit: int, seconds: float, *, burst: float | None = None) -> BucketSpec:
        """``limit`` calls in *any* ``seconds``, the strictest reading of "n per minute" (SendCloud).

        Calls are paced at 99 % of the limit after a burst (default: 5 % of the limit), so that quota comes back evenly
        and a live call finds some soon.
        """
        return cls(name, limit / seconds, burst or max(1.0, limit * 0.05), window_s=seconds, limit=limit, safety=0.99)

    @classmethod
    def per_minute(cls, name: str, limit: int) -> BucketSpec:
        """`per_window` of 60 seconds."""
        return cls.per_window(name, limit, 60.0)

    @property
    def is_pace(self) -> bool:
        """Whether this only spaces calls evenly, see `paced`."""
        return not self.held and self.window_s is None

    @property
    def is_token(self) -> bool:
        """Whether this is a plain token bucket."""
        return self.window_s is None

    @property
    def is_fixed(self) -> bool:
        """Whether this is a fixed window."""
        return self.rate is None

    def floor(self, lane: Lane) -> float:
        """What calls of this lane must leave for the lanes above it."""
        above = [other for other in Lane if other.rank < lane.rank]
        if self.reserve is None:
            kept: float = int(RESERVED_SHARE * self.burst * len(above))
        else:
            kept = sum(self.reserve.get(other, 0) for other in above)
        return min(kept, math.floor(self.burst) - 1)

    def window_floor(self, lane: Lane) -> int:
        """What lower lanes leave of a sliding window: a call or two, so that a live call never meets a window spent to the last."""
        if self.limit is None or lane is Lane.LIVE or self.reserve == {} or self.limit < 20:
            return 0
        return max(1, self.limit // 200)


class Ticket(msgspec.Struct, array_like=True):
    """A waiting call. Its place is (rank, since, id); it is void after ``until`` unless renewed."""

    id: str
    rank: int
    since: float
    until: float

    @property
    def place(self) -> tuple[int, float, str]:
        """Sorts tickets into the order in which they are served."""
        return self.rank, self.since, self.id


class Flight(msgspec.Struct, array_like=True):
    """Calls granted together and not yet answered; taken as answered at ``until`` if their process died."""

    granted: float
    until: float
    calls: int = 1


class BucketState(msgspec.Struct, omit_defaults=True):
    """What is known of one bucket. Every method but `advance` expects `advance` to have been called with the same ``now``.

    Attributes:
        level: Tokens by answered calls; ``None`` until first used, which means full.
        at: When ``level`` was true.
        used: Answered calls of the open fixed window.
        closes_at: When the open fixed window closes; ``None`` while none is open.
        closed_at: When the last fixed window closed.
        slots: Answered calls of a sliding window: (end of slot, calls).
        in_flight: Calls without an answer, by id.
        waiting: Tickets.
        blocked_until: No call before this time (after a 429).
        rate: The vendor's own word on the rate, from a header.
        limit: The vendor's own word on calls per window, from a header.
    """

    level: float | None = None
    at: float = 0.0
    used: int = 0
    closes_at: float | None = None
    closed_at: float = 0.0
    slots: list[tuple[float, int]] = msgspec.field(default_factory=list)
    in_flight: dict[str, Flight] = msgspec.field(default_factory=dict)
    waiting: list[Ticket] = msgspec.field(default_factory=list)
    blocked_until: float = 0.0
    rate: float | None = None
    limit: int | None = None

    # -- time ---------------------------------------------------------------------------------------------------------------

    def advance(self, spec: BucketSpec, now: float) -> None:
        """Brings the bucket to ``now``: refills, rolls windows, forgets dead tickets, books calls whose process died."""
        if self.level is None:
            self.level = float(spec.burst)
        elif spec.rate is not None:
            self.level = min(spec.burst, self.level + max(0.0, now - self.at) * self.refill_rate(spec))
        self.at = max(self.at, now)
        if self.closes_at is not None and now >= self.closes_at:
            self.used, self.closed_at, self.closes_at = 0, self.closes_at, None
        if spec.window_s is not None:
            self.slots = [slot for slot in self.slots if slot[0] + spec.window_s > now]
        self.waiting = [ticket for ticket in self.waiting if ticket.until > now]
        for call in [call for call, flight in self.in_flight.items() if flight.until <= now]:
            self.settle(spec, call, now)

    # -- questions ----------------------------------------------------------------------------------------------------------

    @property
    def flying(self) -> int:
        """Calls without an answer."""
        return sum(flight.calls for flight in self.in_flight.values())

    def refill_rate(self, spec: BucketSpec) -> float:
        """Tokens per second that are really used; 0 for a fixed window."""
        return (self.rate or spec.rate or 0.0) * spec.safety

    def calls_per_window(self, spec: BucketSpec) -> int:
        """The limit of a fixed or sliding window."""
        return self.limit or spec.limit or int(spec.burst)

    def free(self, spec: BucketSpec) -> float:
        """Calls the bucket has for the highest lane, blocks aside."""
        parts: list[float] = []
        if spec.rate is not None:
            parts.append((spec.burst if self.level is None else self.level) - (self.flying if spec.is_token else 0))
        if spec.is_fixed:
            parts.append(self.calls_per_window(spec) - self.used - self.flying)
        if spec.limit is not None:
            parts.append(self._window_free(spec))
        return min(parts)

    def used_of(self, spec: BucketSpec) -> tuple[float, float | None, float]:
        """What a person wants to know: calls used, of how many (``None`` for a mere pace), in how many seconds.

        A token bucket's calls are those of a whole refill, a window's those of the window.
        """
        if spec.limit is not None and spec.window_s is not None:
            limit = self.calls_per_window(spec)
            return limit - self._window_free(spec), limit, spec.window_s
        if spec.is_fixed and spec.window_s is not None:
            return self.used + self.flying, self.calls_per_window(spec), spec.window_s
        if spec.is_pace:
            return 0, None, 1 / self.refill_rate(spec)
        return max(0.0, spec.burst - self.free(spec)), spec.burst, spec.burst / self.refill_rate(spec)

    def ahead(self, place: tuple[int, float, str]) -> int:
        """Waiting calls that are served before the one at ``place``."""
        return sum(ticket.place < place for ticket in self.waiting)

    def wait_s(self, spec: BucketSpec, lane: Lane, ahead: int, now: float) -> float:
        """Seconds until a call of this lane may go with ``ahead`` others before it; 0 means now.

        An estimate where more than one call must go first, never later than true for the first in line.
        """
        need = 1 + ahead
        waits = [self.blocked_until - now]
        if spec.rate is not None:
            level = (self.level or 0.0) - (self.flying if spec.is_token else 0)
            missing = need + spec.floor(lane) - level
            if missing > _EPSILON:
                waits.append(missing / self.refill_rate(spec))
        if spec.is_fixed and self.calls_per_window(spec) - self.used - self.flying < need + spec.floor(lane):
            waits.append(self._answer_wait(now) if self.closes_at is None else self.closes_at - now)
        if spec.limit is not None:
            waits.append(self._window_wait(spec, need + spec.window_floor(lane), now))
        return max(0.0, *waits)

    def bundle(self, spec: BucketSpec, lane: Lane) -> int:
        """How many calls may be granted together once one may: more than one only far from every limit."""
        if spec.rate is None or self.waiting:
            return 1
        calls = int(self.refill_rate(spec) * BUNDLE_S)
        if spec.limit is not None:
            calls = min(calls, (self._window_free(spec) - spec.window_floor(lane)) // 10)
        else:
            calls = min(calls, int(self.free(spec) - spec.floor(lane)))
        return max(1, calls)

    def full_at(self, spec: BucketSpec, now: float) -> float:
        """When the bucket is full again if nobody calls."""
        times = [now, self.blocked_until]
        if spec.rate is not None and self.level is not None:
            times.append(now + (spec.burst - self.level) / self.refill_rate(spec))
        if self.closes_at is not None:
            times.append(self.closes_at)
        if self.slots and spec.window_s is not None:
            times.append(self.slots[-1][0] + spec.window_s)
        return max(times)

    # -- changes ------------------------------------------------------------------------------------------------------------

    def take(self, spec: BucketSpec, call: str, now: float, hold_s: float, calls: int = 1) -> None:
        """Grants calls; `settle` must follow within ``hold_s`` or is assumed then."""
        if spec.held:
            self.in_flight[call] = Flight(now, now + hold_s, calls)
        else:
            self._book(spec, now, now, calls)
        if spec.limit is not None:
            self.level = (self.level or 0.0) - calls

    def settle(self, spec: BucketSpec, call: str, now: float, used: int | None = None) -> None:
        """The calls were answered (or are lost): from now on their quota comes back; at once for what was not ``used``."""
        flight = self.in_flight.pop(call, None)
        if flight is not None and (booked := flight.calls if used is None else used):
            self._book(spec, flight.granted, now, booked)

    def block(self, spec: BucketSpec, now: float, seconds: float) -> None:
        """The vendor refused a call: nobody calls for so long, and the bucket is as empty as the vendor's."""
        self.blocked_until = max(self.blocked_until, now + seconds)
        if spec.is_token:
            self.level = min(self.level or 0.0, float(self.flying))

    def observe(
        self,
        spec: BucketSpec,
        now: float,
        *,
        rate: float | None = None,
        limit: int | None = None,
        remaining: int | None = None,
        reset_s: float | None = None,
    ) -> None:
        """Corrects the bucket by what the vendor's headers say; implausible values are ignored."""
        if rate is not None and math.isfinite(rate) and rate > 0 and spec.rate is not None:
            self.rate = rate
        if limit is not None and limit > 0 and not spec.is_token:
            self.limit = limit
        if spec.is_fixed and spec.window_s is not None and reset_s is not None and 0 < reset_s <= spec.window_s + 2:
            self.closes_at = now + reset_s + min(1.0, spec.window_s * 0.02)
        if remaining is None or remaining < 0:
            return
        flights = self.flying
        if spec.is_fixed:
            used = max(0, self.calls_per_window(spec) - remaining)
            self.used = max(self.used, used - flights) if flights else used
        elif spec.is_token:
            self.level = min(spec.burst, remaining) if not flights else min(self.level or 0.0, remaining + flights)

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _book(self, spec: BucketSpec, granted: float, now: float, calls: int) -> None:
        if spec.is_token:
            self.level = (self.level or 0.0) - calls
        elif spec.is_fixed and spec.window_s is not None:
            self.used += calls
            # A call granted before the last window closed may belong to it, so it cannot open the next one.
            if self.closes_at is None and granted >= self.closed_at:
                self.closes_at = now + spec.window_s / spec.safety
        elif spec.window_s is not None:
            slot = spec.window_s / SLOTS
            end = math.ceil(now / slot) * slot
            if self.slots and self.slots[-1][0] >= end:
                self.slots[-1] = (self.slots[-1][0], self.slots[-1][1] + calls)
            else:
                self.slots.append((end, calls))

    def _window_free(self, spec: BucketSpec) -> int:
        return self.calls_per_window(spec) - sum(calls for _, calls in self.slots) - self.flying

    def _window_wait(self, spec: BucketSpec, need: int, now: float) -> float:
        free = self._window_free(spec)
        if free >= need or spec.window_s is None:
            return 0.0
        for end, calls in self.slots:
            free += calls
            if free >= need:
                return end + spec.window_s - now
        return self._answer_wait(now)

    def _answer_wait(self, now: float) -> float:
        """A guess: what has taken long will take longer."""
        oldest = min((flight.granted for flight in self.in_flight.values()), default=now)
        return max(SHORTEST_WAIT_S, (now - oldest) / 5)
