"""Keeps the fan-out of one main account going: one thread reads its changes, two threads a link apply them.

Links do not wait for each other: each has its own threads, account, quota and circuit. While one thread of a link waits for an
answer the other decides and settles, so the quota is never idle for want of work. The drain lingers while work keeps coming,
so a busy stream does not pay a process start per batch; it is bounded in time and says why it stopped. Killed at any line it
loses nothing: the next drain, alone by its lock, takes back what was leased.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.budget_owners import take_over
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, LeaseLost, RemoteError, Throttled
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.queue import Wakeup, counts, take_back
from sync_pipelines.core.sync import exclusive
from sync_pipelines.vendors.grand_shooting.client import GrandShootingClient
from sync_pipelines.vendors.grand_shooting.fan_out import replicas
from sync_pipelines.vendors.grand_shooting.fan_out.apply import Applier, LinkTotals
from sync_pipelines.vendors.grand_shooting.fan_out.intake import Intake, IntakeTotals
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink, register
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import CHANGES, FAN_OUT
from sync_pipelines.vendors.grand_shooting.settings import Settings

POLL_S = 1.0
"""How often an idle worker looks by itself; announced work wakes it at once."""

WORKERS_PER_LINK = 2
"""One calls while the other decides or settles. The queue keeps the order of each reference, so more would only share the quota."""

CLAIM_S = 0.25
"""A claim holds what the quota lets through in that time, at least one call's worth: a change that comes next waits no longer."""

TROUBLE_PAUSE = timedelta(seconds=5)
JOIN_S = 90.0

Connect = Callable[[str, Lane], AbstractContextManager[GrandShootingClient]]
"""Opens a client for an account and a lane."""


class Stopped(StrEnum):
    """Why a drain ended."""

    IDLE = "idle"
    """Nothing came for the time it lingers."""
    TIME = "time"
    """Its time is up; the next drain goes on."""
    ASKED = "asked"
    """It was told to stop."""
    FAILED = "failed"
    """A worker failed; the error follows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a drain works.

    Attributes:
        linger_s: How long it waits for more before it ends.
        max_runtime_s: When it ends even if there is more.
        claim_size: Most tasks of a link claimed at once, where its quota allows a thousand in a moment.
    """

    linger_s: float = 20.0
    max_runtime_s: float = 600.0
    claim_size: int = 1_000


@dataclass(slots=True)
class DrainTotals:
    """What one drain did."""

    main: str
    stopped_because: Stopped = Stopped.IDLE
    duration_s: float = 0.0
    intake: IntakeTotals = field(default_factory=IntakeTotals)
    links: dict[str, LinkTotals] = field(default_factory=dict)
    api_calls: int = 0
    throttled: int = 0
    waited_s: float = 0.0
    waiting: int = 0

    def numbers(self) -> dict[str, int | float]:
        """Flat numbers with stable keys, for metadata."""
        links = self.links.values()
        lags = sorted(lag for totals in links for lag in totals.lags_s)
        return {
            "announced": self.intake.announced,
            "fetched": self.intake.read,
            "changed": self.intake.changed,
            "written": sum(totals.written for totals in links),
            "deleted": sum(totals.deleted for totals in links),
            "dropped": sum(totals.dropped for totals in links),
            "retried": sum(totals.retried for totals in links),
            "dead_lettered": self.intake.dead_lettered + sum(totals.dead_lettered for totals in links),
            "bulk_calls": sum(totals.bulk_calls for totals in links),
            "waiting": self.waiting,
            "lag_p95_s": round(lags[int(len(lags) * 0.95)], 3) if lags else 0.0,
            "api_calls": self.api_calls,
            "throttled": self.throttled,
            "waited_s": round(self.waited_s, 3),
            "duration_s": round(self.duration_s, 3),
        }


@dataclass(frozen=True)
class DrainSetup:
    """What a drain works on.

    Attributes:
        database: Needs one connection a worker and one for the lock.
        main: The main account.
        links: All of its links; nothing is done for inactive ones, their tasks collect.
        settings: Settings of the accounts by id.
        connect: Opens clients.
        run_id: The Dagster run.
        limits: How long it works.
    """

    database: Database
    main: str
    links: Sequence[WorkingLink]
    settings: Mapping[str, Settings]
    connect: Connect
    run_id: str
    limits: Limits = Limits()


def drain(setup: DrainSetup, *, is_stopping: Callable[[], bool] = lambda: False) -> DrainTotals:
    """Works the queues of one main account until they stay empty, time is up, or it is told to stop.

    Raises:
        StreamBusy: Another drain of this main account is under way.
        SyncError: A worker failed in a way that waiting does not heal.
    """
    with exclusive(setup.database, f"{FAN_OUT.name}@{setup.main}"):
        return _Drain(setup, is_stopping).go()


def owner(main: str) -> str:
    """As whom a drain takes calls from budgets; alone by its lock, it takes over what a killed one held."""
    return f"{FAN_OUT.name}@{main}:"


def _workers_of(working: WorkingLink) -> int:
    """One where references of the main account can meet at the secondary: whoever comes second must see the first."""
    return 1 if "ref" in working.link.mapping else WORKERS_PER_LINK


class _Clients:
    """One client per account and lane, opened when first used."""

    def __init__(self, connect: Connect) -> None:
        self._connect, self._lock, self._stack = connect, threading.Lock(), ExitStack()
        self._open: dict[tuple[str, Lane], GrandShootingClient] = {}

    def get(self, account: str, lane: Lane) -> GrandShootingClient:
        with self._lock:
            if (account, lane) not in self._open:
                self._open[account, lane] = self._stack.enter_context(self._connect(account, lane))
            return self._open[account, lane]

    def stats(self) -> list[CallStats]:
        return [client.stats for client in self._open.values()]

    def close(self) -> None:
        self._stack.close()


class _Drain:
    def __init__(self, setup: DrainSetup, is_stopping: Callable[[], bool]) -> None:
        self._setup, self._is_stopping = setup, is_stopping
        self._totals = DrainTotals(setup.main)
        self._clients = _Clients(setup.connect)
        self._stop = threading.Event()
        self._parts: list[tuple[str, LinkTotals]] = []
        self._workers = [_Worker("intake", self._intake(), self._stop, self._wake_links)]
        self._links = [
            _Worker(f"{working.id} {number}", self._applier(working, number), self._stop)
            for working in setup.links
            if working.link.active
            for number in range(1, _workers_of(working) + 1)
        ]
        self._workers += self._links

    def go(self) -> DrainTotals:
        started = time.monotonic()
        with self._setup.database.transaction() as connection:
            register(connection, self._setup.links, self._setup.main)
            take_back(connection, CHANGES.name, [self._setup.main])
            take_back(connection, FAN_OUT.name, [working.id for working in self._setup.links])
            replicas.recover(connection, [working.id for working in self._setup.links])
        take_over(self._setup.database, self._setup.settings, owner(self._setup.main))
        with Wakeup(self._setup.database.url, [CHANGES.name, FAN_OUT.name]) as wakeup:
            for worker in self._workers:
                worker.start()
            try:
                self._totals.stopped_because = self._watch(wakeup, started)
            finally:
                self._stop.set()
                for worker in self._workers:
                    worker.wake.set()
                for worker in self._workers:
                    worker.join(JOIN_S)
                self._clients.close()
        self._summarise(started)
        for worker in self._workers:
            if worker.failure is not None:
                raise worker.failure
        return self._totals

    def _watch(self, wakeup: Wakeup, started: float) -> Stopped:
        limits = self._setup.limits
        while True:
            if wakeup.wait(min(0.25, limits.linger_s)):
                for worker in self._workers:
                    worker.wake.set()
            if any(worker.failure is not None for worker in self._workers):
                return Stopped.FAILED
            if self._is_stopping():
                return Stopped.ASKED
            now = time.monotonic()
            if now - started >= limits.max_runtime_s:
                return Stopped.TIME
            if all(worker.has_rested(now, limits.linger_s) for worker in self._workers):
                return Stopped.IDLE

    def _wake_links(self) -> None:
        for worker in self._links:
            worker.wake.set()

    def _intake(self) -> Callable[[str], int]:
        setup = self._setup
        intake = Intake(
            setup.database,
            setup.main,
            self._clients.get(setup.main, Lane.WEBHOOK),
            setup.run_id,
            setup.settings[setup.main],
            self._totals.intake,
        )
        return intake.step

    def _applier(self, working: WorkingLink, number: int) -> Callable[[str], int]:
        setup, totals = self._setup, LinkTotals()
        self._parts.append((working.id, totals))
        secondary = working.link.secondary
        settings = setup.settings[secondary]
        rate = min(settings.requests_per_second, working.link.requests_per_second or settings.requests_per_second)
        moment = int(rate * CLAIM_S) * settings.bulk_size
        applier = Applier(
            setup.database,
            working,
            lambda lane: self._clients.get(secondary, lane),
            setup.run_id,
            settings.bulk_size,
            max(settings.bulk_size, min(setup.limits.claim_size, moment)),
            totals,
            is_first=number == 1,
        )
        return applier.step

    def _summarise(self, started: float) -> None:
        totals = self._totals
        totals.duration_s = time.monotonic() - started
        for link, part in self._parts:
            totals.links.setdefault(link, LinkTotals()).add(part)
        for stats in self._clients.stats():
            totals.api_calls += stats.api_calls
            totals.throttled += stats.throttled
            totals.waited_s += stats.waited_s
        with self._setup.database.connect() as connection:
            mine = {working.id for working in self._setup.links}
            totals.waiting = sum(line.waiting + line.retrying for line in counts(connection, FAN_OUT.name) if line.account in mine)


class _Worker(threading.Thread):
    """Repeats one step until told to stop; rests while it finds nothing."""

    def __init__(
        self, name: str, step: Callable[[str], int], stop: threading.Event, after: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(name=f"fan-out {name}", daemon=True)
        self._step, self._stop_event, self._after = step, stop, after
        self.wake = threading.Event()
        self.idle_since: float | None = None
        self.is_resting = False
        self.failure: BaseException | None = None

    def has_rested(self, now: float, seconds: float) -> bool:
        """Whether it has found nothing for so long, and is not in the middle of something that waits for quota."""
        return self.is_resting and self.idle_since is not None and now - self.idle_since >= seconds

    def run(self) -> None:
        try:
            while not self._stop_event.is_set():
                self._once()
        except Exception as error:  # noqa: BLE001 - handed to the supervisor, which raises it in the drain's own thread
            self.failure = error

    def _once(self) -> None:
        self.wake.clear()
        try:
            done = self._step(self.name)
        except LeaseLost:
            return
        except Throttled as error:
            self._rest(min(30.0, max(POLL_S, (error.retry_at - datetime.now(UTC)).total_seconds())), is_idle=False)
            return
        except RemoteError as error:
            if isinstance(error, AuthError):
                raise
            self._rest(TROUBLE_PAUSE.total_seconds(), is_idle=False)
            return
        if done:
            self.idle_since = None
            self._after()
            return
        self._rest(POLL_S, is_idle=True)

    def _rest(self, seconds: float, *, is_idle: bool) -> None:
        if not is_idle:
            self.idle_since = None
            self._stop_event.wait(seconds)
            return
        self.idle_since = self.idle_since or time.monotonic()
        self.is_resting = True
        self.wake.wait(seconds)
        self.is_resting = False


def lines(database: Database, links: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Unfinished tasks of each link, and the age of the oldest in seconds: its lag."""
    with database.connect() as connection:
        found = {line.account: line for line in counts(connection, FAN_OUT.name)}
    return {
        link: (found[link].waiting + found[link].retrying + found[link].leased, found[link].oldest_s) if link in found else (0, 0.0)
        for link in links
    }
