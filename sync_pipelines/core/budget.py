"""One shared budget of calls per account: every process of every machine asks the same rows before it calls a vendor.

``sync.budgets`` holds one row per (account, bucket). A call locks the rows of all its buckets in one order, so a call over several
buckets takes all or nothing and never deadlocks. Who has to wait leaves a ticket with a short lease: higher lanes first, then first
come first served; a waiter that died is forgotten when its lease ends. Postgres' clock is the only clock. The arithmetic is in
`sync_pipelines.core.buckets`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import LiteralString

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import JSON

from sync_pipelines.core.buckets import BucketSpec, BucketState, Lane, Ticket
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import Throttled
from sync_pipelines.core.tables import SYNC_SCHEMA, metadata

__all__ = ["BucketReport", "BucketSpec", "Budget", "Grant", "Lane", "read_budgets"]

POLL_S = 1.0
"""A waiter looks (and renews its ticket) at least this often."""

LEASE_S = 4.0
"""After so long without a look a waiter counts as dead."""

HOLD_S = 120.0
"""A call whose process died counts as answered after this; longer than any call may take."""

BUNDLE_LIFE_S = 1.0
"""How long calls granted together may be begun; what is left of them then goes back."""

budgets = Table(
    "budgets",
    metadata,
    Column("account", Text, primary_key=True, comment="vendor/name"),
    Column("bucket", Text, primary_key=True, comment="The quota's name within the account"),
    Column("spec", JSON, nullable=False, comment="The quota as the code declares it"),
    Column("state", JSON, nullable=False, comment="What is spent, in flight, waiting and blocked (core/buckets.py)"),
    Column("updated_at", DateTime(timezone=True), nullable=False, comment="When the state last changed"),
    schema=SYNC_SCHEMA,
    comment="Calls each account may still make, shared by all processes",
)

_LOCK = sql.SQL(
    """
    with locked as materialized (
        select bucket, state::text as state from sync.budgets
        where account = %s and bucket = any(%s) order by bucket for update
    )
    select bucket, state, extract(epoch from {now})::float8 from locked
    """
)
# The clock is read for each row after its lock; the latest reading is later than all of them.

_SAVE = sql.SQL(
    """
    update sync.budgets as b set state = n.state::json, updated_at = {now}
    from unnest(%s::text[], %s::text[]) as n(bucket, state)
    where b.account = %s and b.bucket = n.bucket
    """
)

_DECLARE = sql.SQL(
    """
    insert into sync.budgets as b (account, bucket, spec, state, updated_at) values (%s, %s, %s, '{{}}', {now})
    on conflict (account, bucket) do update set spec = excluded.spec where b.spec::text <> excluded.spec::text
    """
)


@dataclass(frozen=True)
class Grant:
    """The right to one call. Hand it to `Budget.settle` when the answer is there.

    Attributes:
        buckets: What it was taken from, sorted.
        call: Its id.
        waited_s: Seconds between the first request and the grant, by Postgres' clock.
    """

    buckets: tuple[str, ...]
    call: str
    waited_s: float


@dataclass(frozen=True)
class BucketReport:
    """One bucket for the status page. Instants are aware UTC.

    Attributes:
        account: ``vendor/name``.
        bucket: Its name.
        calls_left: Calls possible at once.
        capacity: The most that ever are.
        used: Calls of the period that are used.
        limit: Calls the period allows; ``None`` where calls are only spaced evenly.
        period_s: Seconds of a window, of a whole refill, or between two evenly spaced calls.
        full_at: When nothing of it is used any more if nobody calls.
        blocked_until: Nobody may call before, since the vendor refused.
        in_flight: Calls not answered yet.
        waiting: Calls that wait, by lane.
    """

    account: str
    bucket: str
    calls_left: float
    capacity: float
    used: float
    limit: float | None
    period_s: float
    full_at: datetime
    blocked_until: datetime | None
    in_flight: int
    waiting: Mapping[Lane, int]


@dataclass(frozen=True)
class _Turn:
    """Outcome of one look at the rows: a grant (``wait_s`` 0), or how long to wait, or that it is too long (``refused``)."""

    now: float
    wait_s: float = 0.0
    refused: bool = False
    calls: int = 1


@dataclass
class _Bundle:
    """Calls of one account that were granted together; in flight as a whole until the last one that was begun is answered."""

    grant: Grant
    ends: float
    left: int
    begun: int = 1
    open: int = 1


class Budget:
    """One account's quotas as one lane sees them. Thread-safe; of its own it knows only what is left of its last bundle.

    Args:
        database: Where ``sync.budgets`` is.
        account: ``vendor/name``.
        lane: On whose behalf calls are made.
        specs: The account's buckets.
        now_sql: SQL expression of the current time.
        sleep: Waits so many seconds.
        monotonic: Seconds, for the life of a bundle.
        owner: Whoever can say of its predecessor that it is dead names itself here; see `budget_owners`.
        max_wait_s: The longest wait that sleeps; a longer one raises `Throttled` at once.
    """

    def __init__(
        self,
        database: Database,
        account: str,
        lane: Lane,
        specs: Iterable[BucketSpec],
        *,
        now_sql: LiteralString = "clock_timestamp()",
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        owner: str = "",
        max_wait_s: float = 60,
    ) -> None:
        self._owner = owner
        self.account, self.lane, self.max_wait_s = account, lane, max_wait_s
        self._specs = {spec.name: spec for spec in specs}
        self._database, self._sleep, self._monotonic = database, sleep, monotonic
        now = sql.SQL(now_sql)
        self._lock_sql, self._save_sql, self._declare_sql = (
            text.format(now=now).as_bytes(None) for text in (_LOCK, _SAVE, _DECLARE)
        )
        self._now_sql = now_sql
        self._declared: set[str] = set()
        self._declaring = threading.Lock()
        self._seen_rates: dict[str, float] = {}
        self._bundling = threading.Lock()
        self._bundles: dict[str, _Bundle] = {}

    def acquire(self, *buckets: str, hold_s: float = HOLD_S) -> Grant:
        """Takes one call from each bucket, waiting for its turn if need be.

        Args:
            buckets: Names of buckets; none means a call without quota.
            hold_s: After so many seconds without `settle` the call counts as answered.

        Raises:
            Throttled: The wait would exceed ``max_wait_s``; ``retry_at`` says when a call will probably be possible.
        """
        names = tuple(sorted(set(buckets)))
        if not names:
            return Grant((), "", 0.0)
        if (prepaid := self._from_bundle(names)) is not None:
            return prepaid
        ticket = Ticket(f"{self._owner}{secrets.token_hex(8)}", self.lane.rank, since=0.0, until=0.0)
        while True:
            turn = self._look(names, ticket, hold_s)
            waited = max(0.0, turn.now - ticket.since)
            if turn.refused:
                raise Throttled(
                    f"{self.account}: the quota of {', '.join(names)} is used up for {turn.wait_s:.0f} s more; the run ends here "
                    "and goes on from its last stored page",
                    account=self.account,
                    retry_at=datetime.fromtimestamp(turn.now + turn.wait_s, UTC),
                )
            if turn.wait_s <= 0:
                grant = Grant(names, ticket.id, waited)
                if turn.calls > 1:
                    with self._bundling:
                        self._bundles[grant.call] = _Bundle(grant, self._monotonic() + BUNDLE_LIFE_S, turn.calls - 1)
                return grant
            self._sleep(min(turn.wait_s, POLL_S))

    def settle(self, grant: Grant) -> None:
        """The call was answered, or is known never to be: its quota may come back from now on."""
        if not self._bundles:
            self._give_back(grant, None)
            return
        with self._bundling:
            bundle = self._bundles.get(grant.call)
            if bundle is not None:
                bundle.open -= 1
                if bundle.open or (bundle.left and self._monotonic() < bundle.ends):
                    return
                del self._bundles[grant.call]
        self._give_back(grant, bundle.begun if bundle else None)

    def close(self) -> None:
        """Gives back what is left of bundles; nothing is called any more."""
        with self._bundling:
            bundles, self._bundles = list(self._bundles.values()), {}
        for bundle in bundles:
            self._give_back(bundle.grant, bundle.begun)

    def block(self, buckets: Iterable[str], seconds: float) -> None:
        """After a 429: nobody of this account takes from these buckets for so many seconds."""
        names = sorted(set(buckets))
        with self._bundling:
            for bundle in self._bundles.values():
                if set(names) & set(bundle.grant.buckets):
                    bundle.left = 0
        with self._locked(names) as (now, states):
            for name, state in states.items():
                state.block(self._specs[name], now, seconds)

    def observe(
        self,
        bucket: str,
        *,
        rate: float | None = None,
        limit: int | None = None,
        remaining: int | None = None,
        reset_s: float | None = None,
    ) -> None:
        """Corrects a bucket by the vendor's headers; call it after `settle`.

        Args:
            bucket: Its name.
            rate: Calls per second.
            limit: Calls per window.
            remaining: Calls left.
            reset_s: Seconds until the window closes.
        """
        if limit is None and remaining is None and reset_s is None and (rate is None or self._seen_rates.get(bucket) == rate):
            return
        with self._locked([bucket]) as (now, states):
            for name, state in states.items():
                state.observe(self._specs[name], now, rate=rate, limit=limit, remaining=remaining, reset_s=reset_s)
        if rate is not None:
            self._seen_rates[bucket] = rate

    def state(self) -> list[BucketReport]:
        """This account's buckets, for the status."""
        return read_budgets(self._database, self.account, now_sql=self._now_sql)

    def _look(self, names: Sequence[str], ticket: Ticket, hold_s: float) -> _Turn:
        with self._locked(names) as (now, states):
            ticket.since = ticket.since or now
            wait = 0.0
            for name, state in states.items():
                state.waiting = [other for other in state.waiting if other.id != ticket.id]
                wait = max(wait, state.wait_s(self._specs[name], self.lane, state.ahead(ticket.place), now))
            if wait <= 0:
                calls = min(state.bundle(self._specs[name], self.lane) for name, state in states.items())
                for name, state in states.items():
                    state.take(self._specs[name], ticket.id, now, hold_s if calls == 1 else hold_s + BUNDLE_LIFE_S, calls)
                return _Turn(now, calls=calls)
            if now - ticket.since + wait > self.max_wait_s:
                return _Turn(now, wait, refused=True)
            ticket.until = now + LEASE_S
            for state in states.values():
                state.waiting.append(ticket)
            return _Turn(now, wait)

    def _from_bundle(self, names: tuple[str, ...]) -> Grant | None:
        """A call that was granted with an earlier one; bundles that ended without an open call are given back."""
        if not self._bundles:
            return None
        with self._bundling:
            now = self._monotonic()
            for bundle in self._bundles.values():
                if bundle.left and bundle.grant.buckets == names and now < bundle.ends:
                    bundle.left, bundle.begun, bundle.open = bundle.left - 1, bundle.begun + 1, bundle.open + 1
                    return replace(bundle.grant, waited_s=0.0)
            ended = [bundle for bundle in self._bundles.values() if not bundle.open and (not bundle.left or now >= bundle.ends)]
            for bundle in ended:
                del self._bundles[bundle.grant.call]
        for bundle in ended:
            self._give_back(bundle.grant, bundle.begun)
        return None

    def _give_back(self, grant: Grant, used: int | None) -> None:
        held = [name for name in grant.buckets if self._specs[name].held]
        with self._locked(held) as (now, states):
            for name, state in states.items():
                state.settle(self._specs[name], grant.call, now, used)

    @contextmanager
    def _locked(self, names: Sequence[str]) -> Iterator[tuple[float, dict[str, BucketState]]]:
        """Locks the rows of ``names``, brings them to the present, and saves what the block changes."""
        if not names:
            yield 0.0, {}
            return
        self._declare(names)
        with self._database.transaction() as connection:
            now, states = self._read(connection, names)
            yield now, states
            encoded = [msgspec.json.encode(state).decode() for state in states.values()]
            connection.execute(self._save_sql, (list(states), encoded, self.account))

    def _read(self, connection: psycopg.Connection, names: Sequence[str]) -> tuple[float, dict[str, BucketState]]:
        rows = connection.execute(self._lock_sql, (self.account, list(names))).fetchall()
        if len(rows) < len(names):
            self._insert(connection, names)
            rows = connection.execute(self._lock_sql, (self.account, list(names))).fetchall()
        now = max(row[2] for row in rows)
        states = {row[0]: msgspec.json.decode(row[1], type=BucketState) for row in rows}
        for name, state in states.items():
            state.advance(self._specs[name], now)
        return now, states

    def _declare(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self._specs]
        if unknown:
            raise ValueError(f"{self.account} has no bucket {', '.join(unknown)}; it has {', '.join(sorted(self._specs))}")
        with self._declaring:
            missing = [name for name in names if name not in self._declared]
            if missing:
                with self._database.transaction() as connection:
                    self._insert(connection, missing)
                self._declared.update(missing)

    def _insert(self, connection: psycopg.Connection, names: Sequence[str]) -> None:
        for name in sorted(names):
            spec = msgspec.json.encode(asdict(self._specs[name])).decode()
            connection.execute(self._declare_sql, (self.account, name, spec))


def read_budgets(
    database: Database, account: str | None = None, *, now_sql: LiteralString = "clock_timestamp()"
) -> list[BucketReport]:
    """What every bucket (of one account) has left, without locking anything."""
    query = sql.SQL(
        """
        select account, bucket, spec::text, state::text, extract(epoch from {now})::float8 from sync.budgets
        where %(account)s::text is null or account = %(account)s order by account, bucket
        """
    ).format(now=sql.SQL(now_sql))
    with database.connect() as connection:
        rows = connection.execute(query, {"account": account}).fetchall()
    return [_report(*row) for row in rows]


def _report(account: str, bucket: str, spec_json: str, state_json: str, now: float) -> BucketReport:
    spec = msgspec.json.decode(spec_json, type=BucketSpec)
    state = msgspec.json.decode(state_json, type=BucketState)
    state.advance(spec, now)
    blocked = state.blocked_until > now
    used, limit, period_s = state.used_of(spec)
    return BucketReport(
        account=account,
        bucket=bucket,
        calls_left=0.0 if blocked else max(0.0, state.free(spec)),
        capacity=state.calls_per_window(spec) if spec.is_fixed else spec.burst,
        used=max(0.0, used),
        limit=limit,
        period_s=period_s,
        full_at=datetime.fromtimestamp(state.full_at(spec, now), UTC),
        blocked_until=datetime.fromtimestamp(state.blocked_until, UTC) if blocked else None,
        in_flight=state.flying,
        waiting={lane: count for lane in Lane if (count := sum(ticket.rank == lane.rank for ticket in state.waiting))},
    )
