"""The shared budget in Postgres: simulated time against an oracle, then real processes against a real clock."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sync_pipelines.core.buckets import BucketState
from sync_pipelines.core.budget import BucketSpec, Budget, Lane, read_budgets
from sync_pipelines.core.budget_owners import take_over
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import Throttled
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.quota import FixedWindow, SlidingWindow, TokenBucket

ACCOUNT = "toy/main"
START = 1_750_000_000.0
SIMULATED_NOW = "(select now from simulated.clock)"

SPECS = (
    BucketSpec.per_window("sliding", 20, 10),
    BucketSpec.token("token", rate=0.5, burst=5),
    BucketSpec.fixed_window("fixed", limit=6, seconds=30),
)


class Simulated:
    """Budgets on a clock that the test moves; sleeping moves it too."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock(START)
        with database.connect() as connection:
            connection.execute("create schema if not exists simulated")
            connection.execute("create table if not exists simulated.clock as select to_timestamp(%s) as now", (START,))
            connection.execute("truncate sync.budgets")
        self.advance(0)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        with self.database.connect() as connection:
            connection.execute("update simulated.clock set now = to_timestamp(%s)", (self.clock.now(),))

    def budget(self, lane: Lane = Lane.LIVE, *, specs=SPECS, max_wait_s: float = 60) -> Budget:
        clock = {"now_sql": SIMULATED_NOW, "sleep": self.advance, "monotonic": self.clock.now}
        return Budget(self.database, ACCOUNT, lane, specs, max_wait_s=max_wait_s, **clock)


@pytest.fixture
def simulated(database):
    return Simulated(database)


MOST_IN_FLIGHT, LONGEST_WAIT_S = 8, 4


class SharedBudget(RuleBasedStateMachine):
    """Any mix of lanes, buckets, latencies and pauses: the vendors (the oracle) never refuse, and every wait ends."""

    simulated: Simulated

    def __init__(self) -> None:
        super().__init__()
        world = self.simulated = Simulated(type(self).simulated.database)
        self.vendors = {
            "sliding": SlidingWindow(world.clock, limit=20, seconds=10),
            "token": TokenBucket(world.clock, rate=0.5, burst=5),
            "fixed": FixedWindow(world.clock, limit=6, seconds=30),
        }
        self.budgets = {lane: world.budget(lane, max_wait_s=LONGEST_WAIT_S) for lane in Lane}
        self.open: list[tuple[object, bool]] = []
        self.refused = self.absurd_retries = 0

    @rule(
        lane=st.sampled_from(Lane),
        buckets=st.sets(st.sampled_from(sorted(spec.name for spec in SPECS)), min_size=1),
        times=st.integers(1, 8),
    )
    def call(self, lane, buckets, times):
        for _ in range(min(times, MOST_IN_FLIGHT - len(self.open))):
            self.call_once(lane, buckets)

    def call_once(self, lane, buckets):
        before = self.simulated.clock.now()
        try:
            grant = self.budgets[lane].acquire(*buckets)
        except Throttled as error:
            self.absurd_retries += error.retry_at.timestamp() <= before
            return
        assert self.simulated.clock.now() - before <= LONGEST_WAIT_S + 1
        self.open.append((grant, False))

    @rule(index=st.integers(0, MOST_IN_FLIGHT - 1))
    def arrive(self, index):
        if index < len(self.open) and not self.open[index][1]:
            grant = self.open[index][0]
            self.refused += sum(self.vendors[bucket].take() > 0 for bucket in grant.buckets)
            self.open[index] = (grant, True)

    @rule(index=st.integers(0, MOST_IN_FLIGHT - 1))
    def answer(self, index):
        if index < len(self.open):
            self.arrive(index)
            self.budgets[Lane.LIVE].settle(self.open.pop(index)[0])

    @rule(seconds=st.sampled_from([0.05, 0.5, 2.0, 11.0, 31.0]))
    def time_passes(self, seconds):
        self.simulated.advance(seconds)

    @invariant()
    def no_call_was_refused(self):
        assert (self.refused, self.absurd_retries) == (0, 0)

    @invariant()
    def nobody_is_left_waiting(self):
        assert all(not report.waiting for report in read_budgets(self.simulated.database, now_sql=SIMULATED_NOW))


def test_no_order_of_events_oversteps_a_quota(simulated):
    SharedBudget.simulated = simulated
    run_state_machine_as_test(
        SharedBudget,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )


def test_a_call_over_several_buckets_takes_all_or_nothing(simulated):
    budget = simulated.budget(max_wait_s=0)
    for _ in range(6):
        budget.settle(budget.acquire("fixed"))
    with pytest.raises(Throttled):
        budget.acquire("token", "fixed")
    left = {report.bucket: report.calls_left for report in budget.state()}
    assert left == {"fixed": 0, "token": 5}


def test_a_report_counts_the_periods_calls_not_the_burst(simulated):
    specs = [
        BucketSpec.per_minute("minute", 1000),
        BucketSpec.fixed_window("hour", limit=6, seconds=3600),
        BucketSpec.token("token", rate=0.5, burst=20),
        BucketSpec.paced("pace", per_second=4),
    ]
    budget = simulated.budget(specs=specs)
    for _ in range(5):
        budget.settle(budget.acquire("minute", "hour", "token", "pace"))
    told = {one.bucket: (round(one.used), one.limit, round(one.period_s, 2)) for one in budget.state()}
    assert told["minute"] == (5, 1000, 60)
    assert told["hour"] == (5, 6, 3600)
    assert told["token"][1:] == (20, 40.4)
    assert 3 <= told["token"][0] <= 5
    assert told["pace"] == (0, None, 0.25)
    assert budget.state()[-1].full_at.timestamp() >= START


def test_a_wait_longer_than_allowed_says_when_to_come_back(simulated):
    budget = simulated.budget(specs=[BucketSpec.token("slow", rate=0.0056, burst=1)])
    budget.settle(budget.acquire("slow"))
    with pytest.raises(Throttled) as caught:
        budget.acquire("slow")
    assert caught.value.retry_at.timestamp() - START == pytest.approx(1 / 0.0056 / 0.99, rel=0.01)
    assert budget.state()[0].full_at == caught.value.retry_at


def test_a_short_wait_sleeps_and_is_counted(simulated):
    budget = simulated.budget()
    for _ in range(5):
        budget.settle(budget.acquire("token"))
    assert budget.acquire("token").waited_s == pytest.approx(2.02, abs=0.01)


def test_after_a_429_nobody_calls_until_it_is_over(simulated):
    simulated.budget(Lane.BACKFILL).block(["sliding"], 30)
    assert simulated.budget(Lane.LIVE).acquire("sliding").waited_s == pytest.approx(30, abs=0.1)
    simulated.budget().block(["sliding"], 120)
    with pytest.raises(Throttled):
        simulated.budget().acquire("sliding")


def test_a_rate_header_counts_for_every_process(simulated):
    simulated.budget().acquire("token")
    simulated.budget().observe("token", rate=0.1)
    other = simulated.budget()
    for _ in range(4):
        other.settle(other.acquire("token"))
    assert other.acquire("token").waited_s == pytest.approx(10.1, abs=0.1)


def test_a_changed_declaration_replaces_the_old_one(simulated):
    simulated.budget().acquire("token")
    grown = simulated.budget(specs=[BucketSpec.token("token", rate=5, burst=50)])
    grown.acquire("token")
    assert grown.state()[-1].capacity == 50


def test_an_unknown_bucket_is_a_mistake_of_the_caller(simulated):
    with pytest.raises(ValueError, match="toy/main has no bucket typo; it has fixed, sliding, token"):
        simulated.budget().acquire("typo")


# -- bundles ----------------------------------------------------------------------------------------------------------------

WIDE = (BucketSpec.per_window("wide", 1000, 1),)


def test_far_from_every_limit_calls_are_granted_in_bundles(simulated):
    budget = simulated.budget(specs=WIDE)
    grants = [budget.acquire("wide") for _ in range(9)]
    assert len({grant.call for grant in grants}) == 1
    assert budget.state()[0].in_flight == 9
    for grant in grants:
        budget.settle(grant)
    assert budget.state()[0].in_flight == 0
    assert budget.acquire("wide").call != grants[0].call


def test_what_is_not_begun_of_a_bundle_goes_back(simulated):
    budget = simulated.budget(specs=WIDE)
    first = budget.acquire("wide")
    simulated.advance(5)
    budget.settle(first)
    with simulated.database.connect() as connection:
        ((text,),) = connection.execute("select state::text from sync.budgets").fetchall()
    state = msgspec.json.decode(text, type=BucketState)
    assert (state.in_flight, [calls for _, calls in state.slots]) == ({}, [1])


def test_an_idle_bundle_is_given_back_by_the_next_call(simulated):
    budget = simulated.budget(specs=WIDE)
    budget.settle(budget.acquire("wide"))
    assert budget.state()[0].in_flight == 9
    simulated.advance(5)
    budget.acquire("wide")
    assert budget.state()[0].in_flight == 9


def test_a_closed_budget_leaves_no_bundle_behind(simulated):
    budget = simulated.budget(specs=WIDE)
    budget.settle(budget.acquire("wide"))
    budget.close()
    assert budget.state()[0].in_flight == 0


def test_after_a_429_the_rest_of_a_bundle_is_not_begun(simulated):
    budget = simulated.budget(specs=WIDE, max_wait_s=0)
    budget.acquire("wide")
    budget.block(["wide"], 30)
    with pytest.raises(Throttled):
        budget.acquire("wide")


def test_bundles_do_not_overstep_a_quota_and_use_it(simulated):
    """Two processes ask for five times of what the vendor permits."""
    vendor, refused, used = SlidingWindow(simulated.clock, limit=300, seconds=1), 0, 0
    budgets = [simulated.budget(specs=[BucketSpec.per_window("wide", 300, 1)], max_wait_s=2) for _ in range(2)]
    while simulated.clock.now() < START + 3:
        for budget in budgets:
            grant = budget.acquire("wide")
            refused += vendor.take() > 0
            used += 1
            budget.settle(grant)
        simulated.advance(0.001)
    assert refused == 0
    assert used >= 0.95 * 900


def test_a_successor_takes_over_what_a_dead_owner_held(simulated):
    specs = [BucketSpec.per_window("few", 2, 1)]
    clock = {"now_sql": SIMULATED_NOW, "sleep": simulated.advance}
    dead = Budget(simulated.database, ACCOUNT, Lane.LIVE, specs, owner="drain:", **clock)
    other = simulated.budget(specs=specs)
    dead.acquire("few")
    kept = other.acquire("few")
    take_over(simulated.database, [ACCOUNT], "drain:", now_sql=SIMULATED_NOW)
    assert other.state()[0].in_flight == 1
    simulated.advance(2)
    assert other.acquire("few").waited_s == 0
    other.settle(kept)


# -- real processes ---------------------------------------------------------------------------------------------------------

SLOW = (BucketSpec.token("slow", rate=2.0, burst=1),)


def hold_in_vain(url: str, ready) -> None:
    """Waits for a call that will never come: its ticket is left behind when it is killed."""
    with Database(url) as database:
        budget = Budget(database, ACCOUNT, Lane.LIVE, SLOW, sleep=lambda _: ready.set() or threading.Event().wait())
        budget.acquire("slow")


def test_a_live_call_waits_at_most_one_token_behind_a_backfill(database):
    """Eight backfill threads queue for two calls a second; live calls come in between."""
    stop = threading.Event()

    def backfill() -> None:
        budget = Budget(database, ACCOUNT, Lane.BACKFILL, SLOW)
        while not stop.is_set():
            budget.settle(budget.acquire("slow"))

    threads = [threading.Thread(target=backfill) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: any(report.waiting.get(Lane.BACKFILL, 0) >= 7 for report in read_budgets(database)))
        live = Budget(database, ACCOUNT, Lane.LIVE, SLOW)
        positions = []
        for _ in range(4):
            grant = live.acquire("slow")
            live.settle(grant)
            positions.append(grant.waited_s * 2)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    # In units of one token's time; 0.3 of one is left for the threads' own pace.
    assert max(positions) <= 1.3, positions


def test_a_killed_waiter_does_not_block_the_others(database, database_url):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    budget = Budget(database, ACCOUNT, Lane.BACKFILL, SLOW, max_wait_s=30)
    budget.acquire("slow", hold_s=600)
    victim = spawn.Process(target=hold_in_vain, args=(database_url, ready))
    victim.start()
    assert ready.wait(30)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert budget.state()[0].waiting == {Lane.LIVE: 1}
    with database.connect() as connection:
        forget_calls(connection)
    assert budget.acquire("slow").waited_s < 10
    assert not budget.state()[0].waiting


def test_a_deleted_row_is_made_again(database):
    budget = Budget(database, ACCOUNT, Lane.LIVE, SLOW)
    budget.acquire("slow")
    with database.connect() as connection:
        connection.execute("delete from sync.budgets")
    budget.acquire("slow")
    assert len(budget.state()) == 1


def forget_calls(connection: psycopg.Connection) -> None:
    """As if every call under way had been answered long ago."""
    connection.execute("update sync.budgets set state = (state::jsonb - 'in_flight' - 'level')::json")


def wait_for(condition, *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        threading.Event().wait(0.02)
