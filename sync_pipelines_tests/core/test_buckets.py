"""The arithmetic of quotas against the sandbox's exact vendors, in simulated time with any latency."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.core.buckets import BucketSpec, BucketState, Lane
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.quota import FixedWindow, Quota, SlidingWindow, TokenBucket

START = 1_750_000_000.0


@dataclass(frozen=True)
class Vendor:
    """What we believe of a vendor beside what it really does."""

    spec: BucketSpec
    make: type[Quota]
    limits: dict[str, float]

    def quota(self, clock: Clock) -> Quota:
        return self.make(clock, **self.limits)


VENDORS = {
    "sendcloud reads": Vendor(BucketSpec.per_minute("reads", 1000), SlidingWindow, {"limit": 1000, "seconds": 60}),
    "sendcloud writes": Vendor(BucketSpec.per_minute("writes", 100), SlidingWindow, {"limit": 100, "seconds": 60}),
    "sendcloud burst": Vendor(BucketSpec.per_window("burst", 15, 1), SlidingWindow, {"limit": 15, "seconds": 1}),
    "amazon search": Vendor(BucketSpec.token("search", rate=0.0056, burst=20), TokenBucket, {"rate": 0.0056, "burst": 20}),
    "amazon order": Vendor(BucketSpec.token("order", rate=0.5, burst=30), TokenBucket, {"rate": 0.5, "burst": 30}),
    "one at a time": Vendor(BucketSpec.token("one", rate=1, burst=1), TokenBucket, {"rate": 1, "burst": 1}),
    "bigbuy hourly": Vendor(BucketSpec.fixed_window("list", limit=10, seconds=3600), FixedWindow, {"limit": 10, "seconds": 3600}),
    "bigbuy 5 s": Vendor(BucketSpec.fixed_window("attributes", limit=1, seconds=5), FixedWindow, {"limit": 1, "seconds": 5}),
    "grand shooting": Vendor(BucketSpec.paced("calls", per_second=4), SlidingWindow, {"limit": 5, "seconds": 1}),
}


class Simulation:
    """Calls that arrive at the vendor, and are answered, some time after their grant."""

    def __init__(self, vendor: Vendor) -> None:
        self.clock = Clock(START)
        self.spec, self.state = vendor.spec, BucketState()
        self.vendor = vendor.quota(self.clock)
        self._events: list[tuple[float, int, str, str]] = []
        self._ids = itertools.count()
        self.refused = self.accepted = 0

    def run_until(self, time: float) -> None:
        while self._events and self._events[0][0] <= time:
            at, _, what, call = heapq.heappop(self._events)
            self.clock.advance(max(0.0, at - self.clock.now()))
            if what == "arrives":
                if self.vendor.take() > 0:
                    self.refused += 1
                else:
                    self.accepted += 1
            else:
                self.state.advance(self.spec, self.clock.now())
                self.state.settle(self.spec, call, self.clock.now())
        self.clock.advance(max(0.0, time - self.clock.now()))

    def ask(self, lane: Lane, *, there: float, back: float) -> float:
        """Sends a call if the bucket grants it; returns the wait it asks for, 0 if it went."""
        now = self.clock.now()
        self.state.advance(self.spec, now)
        wait = self.state.wait_s(self.spec, lane, 0, now)
        if wait <= 0:
            call = str(next(self._ids))
            self.state.take(self.spec, call, now, 600)
            for event in ((now + there, "arrives"), (now + there + back, "settles")):
                heapq.heappush(self._events, (event[0], next(self._ids), event[1], call))
        return wait


LATENCY = st.one_of(st.floats(0, 0.05), st.floats(0, 3), st.just(0.0))


@pytest.mark.parametrize("name", [name for name, vendor in VENDORS.items() if vendor.spec.held])
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.01, 0.3, 1.0, 7.0, 61.0, 4000.0]), LATENCY, LATENCY), max_size=12
    )
)
@settings(max_examples=25)
def test_no_latency_and_no_pattern_of_calls_makes_the_vendor_refuse(name, steps):
    simulation = Simulation(VENDORS[name])
    for calls, pause, there, back in steps:
        for _ in range(calls):
            wait = simulation.ask(Lane.LIVE, there=there, back=back)
            if 0 < wait <= 5:
                simulation.run_until(simulation.clock.now() + wait)
        simulation.run_until(simulation.clock.now() + pause)
    simulation.run_until(simulation.clock.now() + 10)
    assert simulation.refused == 0


@pytest.mark.parametrize(("name", "workers", "windows"), [(name, 4, 40) for name in VENDORS if "burst" not in name])
def test_at_saturation_nearly_all_permitted_calls_are_used(name, workers, windows):
    """Four workers that call whenever they may, with latencies of 50 to 250 ms."""
    vendor, chance = VENDORS[name], random.Random(7)
    simulation = Simulation(vendor)
    rate = vendor.limits["rate"] if "rate" in vendor.limits else vendor.limits["limit"] / vendor.limits["seconds"]
    rate = min(rate, 4) if name == "grand shooting" else rate
    seconds = windows * max(1.0, 1 / rate) * 3
    while simulation.clock.now() < START + seconds:
        wait = simulation.ask(Lane.BACKFILL, there=chance.uniform(0.02, 0.1), back=chance.uniform(0.03, 0.15))
        simulation.run_until(simulation.clock.now() + max(wait, 0.001))
    assert simulation.refused == 0
    if name not in {"one at a time", "bigbuy 5 s", "bigbuy hourly"}:
        assert simulation.accepted >= 0.97 * rate * seconds


def test_a_lower_lane_leaves_the_reserve_of_the_higher_ones():
    simulation = Simulation(VENDORS["amazon search"])
    taken = dict.fromkeys(Lane, 0)
    for lane in (Lane.BACKFILL, Lane.WEBHOOK, Lane.LIVE):
        while simulation.ask(lane, there=0, back=0) <= 0:
            taken[lane] += 1
    assert (taken[Lane.BACKFILL], taken[Lane.WEBHOOK], taken[Lane.LIVE]) == (16, 3, 1)


def test_a_call_whose_process_died_is_given_back_when_its_hold_ends():
    spec, state = BucketSpec.token("one", rate=1, burst=1), BucketState()
    state.advance(spec, START)
    state.take(spec, "dead", START, 30)
    state.advance(spec, START + 29)
    assert state.wait_s(spec, Lane.LIVE, 0, START + 29) > 0
    state.advance(spec, START + 30)
    assert state.wait_s(spec, Lane.LIVE, 0, START + 30) == pytest.approx(1 / 0.99)


def test_headers_correct_a_fixed_window():
    spec, state = BucketSpec.fixed_window("list", limit=10, seconds=3600, reserve={}), BucketState()
    state.advance(spec, START)
    state.take(spec, "a", START, 60)
    state.settle(spec, "a", START + 1)
    state.observe(spec, START + 1, limit=10, remaining=2, reset_s=600)
    assert state.free(spec) == 2
    assert state.wait_s(spec, Lane.LIVE, 2, START + 1) == pytest.approx(601)
    state.observe(spec, START + 2, limit=10, remaining=9, reset_s=599)
    assert state.free(spec) == 9


def test_a_stale_header_does_not_give_calls_back_while_others_are_under_way():
    spec, state = BucketSpec.fixed_window("list", limit=10, seconds=3600, reserve={}), BucketState()
    for call in "abc":
        state.advance(spec, START)
        state.take(spec, call, START, 60)
    state.settle(spec, "b", START + 1)
    state.observe(spec, START + 1, remaining=9)
    assert state.free(spec) <= 7


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_an_absurd_rate_header_is_ignored(rate):
    spec, state = BucketSpec.token("order", rate=0.5, burst=30), BucketState()
    state.observe(spec, START, rate=rate)
    assert state.refill_rate(spec) == pytest.approx(0.495)


def test_a_refused_call_stops_everybody_and_empties_the_bucket():
    spec, state = BucketSpec.token("order", rate=0.5, burst=30), BucketState()
    state.advance(spec, START)
    state.block(spec, START, 2)
    assert state.wait_s(spec, Lane.LIVE, 0, START) == pytest.approx(1 / 0.495, rel=0.01)


@pytest.mark.parametrize("limit", [2, 15, 100, 1000])
def test_the_pace_of_a_sliding_window_uses_at_least_97_percent(limit):
    spec = BucketSpec.per_minute("n", limit)
    assert 0.97 * limit <= BucketState().refill_rate(spec) * 60 <= limit


@pytest.mark.parametrize("wrong", [{"rate": None, "burst": 1}, {"rate": 0, "burst": 1}, {"rate": 1, "burst": 0}])
def test_an_impossible_bucket_is_refused(wrong):
    with pytest.raises(ValueError, match="bucket x"):
        BucketSpec("x", **wrong)
