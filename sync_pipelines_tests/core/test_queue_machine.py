"""The queue under random schedules of overlapping transactions, against a model that knows what may happen.

The model knows for every task when it was put in and when its producer committed. One task *precedes* another of its key if it was
committed before the other was put in, or stands earlier in the same transaction; tasks of overlapping transactions have no order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.core.queue import NewTask, QueueSpec, Task, claim, enqueue, extend, finish, release, retry

KEYS = st.sampled_from(["a", "b", "c"])
ACCOUNTS = st.sampled_from(["toy/1", "toy/2"])


@dataclass
class Known:
    """What the model knows of one task."""

    account: str
    key: str
    number: int
    put_in: int
    committed: int | None = None
    is_claimed: bool = False
    is_done: bool = False

    def precedes(self, other: Known) -> bool:
        if self.put_in == other.put_in or self.committed == other.committed:
            return self.number < other.number
        return self.committed is not None and self.committed < other.put_in


@dataclass
class Producer:
    """An open transaction with the tasks it put in."""

    connection: psycopg.Connection
    known: list[Known] = field(default_factory=list)


class QueueMachine(RuleBasedStateMachine):
    """Producers and workers in any order."""

    database: Database
    spec: QueueSpec

    producers: Bundle[Producer] = Bundle("producers")
    leases: Bundle[Task] = Bundle("leases")
    stale: Bundle[Task] = Bundle("stale")

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0
        self.tasks: dict[int, Known] = {}
        self.open: list[Producer] = []
        self.leased: dict[int, tuple[int, Task]] = {}

    @initialize()
    def begin_empty(self) -> None:
        with self.database.connect() as connection:
            connection.execute("truncate sync.tasks, sync.tasks_done restart identity")

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def add(self, producer: Producer, account: str, keys: list[str]) -> None:
        moment = self.tick()
        new = []
        for key in keys:
            known = Known(account, key, len(self.tasks), moment)
            self.tasks[known.number] = known
            producer.known.append(known)
            new.append(NewTask(account=account, key=key, payload=known.number))
        enqueue(producer.connection, self.spec, new)

    @rule(target=producers, account=ACCOUNTS, keys=st.lists(KEYS, min_size=1, max_size=4))
    def open_producer(self, account: str, keys: list[str]) -> Producer:
        producer = Producer(psycopg.connect(self.database.url))
        producer.connection.execute("set lock_timeout = '5s'")
        self.open.append(producer)
        self.add(producer, account, keys)
        return producer

    @rule(producer=producers, account=ACCOUNTS, key=KEYS)
    def put_more(self, producer: Producer, account: str, key: str) -> None:
        if producer in self.open:
            self.add(producer, account, [key])

    @rule(producer=consumes(producers), does_commit=st.booleans() | st.just(True))
    def close_producer(self, producer: Producer, does_commit: bool) -> None:
        self.open.remove(producer)
        if does_commit:
            producer.connection.commit()
            moment = self.tick()
            for known in producer.known:
                known.committed = moment
        else:
            producer.connection.rollback()
        producer.connection.close()

    @rule(target=leases, limit=st.integers(1, 8))
    def take(self, limit: int):
        tasks = claim(self.database, self.spec, "w", limit=limit)
        for task in tasks:
            known = self.tasks[task.payload]
            assert known.committed is not None, "work of an open transaction was handed out"
            assert not known.is_done, "finished work was handed out again"
            others = self.tasks.values()
            same_key = [one for one in others if (one.account, one.key) == (known.account, known.key) and one is not known]
            assert not any(one.is_claimed and known.precedes(one) for one in same_key if one.committed), (
                "older work came after newer"
            )
            if not self.spec.supersede:
                waiting = [one for one in same_key if one.committed and not one.is_done and one.precedes(known)]
                assert not waiting, "newer work came before older"
            assert not [one for number, (_, one) in self.leased.items() if (one.account, one.key) == (task.account, task.key)]
            known.is_claimed = True
            self.leased[task.payload] = (task.fence, task)
        return multiple(*tasks)

    def holds(self, task: Task) -> bool:
        return self.leased.get(task.payload, (None, None))[0] == task.fence

    def settle(self, task: Task) -> None:
        del self.leased[task.payload]

    @rule(task=consumes(leases), does_commit=st.booleans() | st.just(True))
    def finish_one(self, task: Task, does_commit: bool) -> None:
        if not self.holds(task):
            return self.must_be_lost(task)
        try:
            with self.database.transaction() as connection:
                connection.execute("set local lock_timeout = '100ms'")
                finish(connection, [task])
                if not does_commit:
                    raise psycopg.Rollback
        except psycopg.errors.LockNotAvailable:
            return None  # an open producer is superseding the next task of the key: waits in real life
        if does_commit:
            self.settle(task)
            self.tasks[task.payload].is_done = True
        return None

    @rule(task=consumes(leases), is_failure=st.booleans())
    def give_back(self, task: Task, is_failure: bool) -> None:
        if not self.holds(task):
            return self.must_be_lost(task)
        with self.database.transaction() as connection:
            if is_failure and not retry(connection, self.spec, task, "boom", delay=timedelta(hours=1)):
                return None
            if not is_failure:
                release(connection, [task])
        return self.settle(task)

    @rule(task=leases)
    def beat(self, task: Task) -> None:
        if self.holds(task):
            with self.database.transaction() as connection:
                extend(connection, self.spec, [task])

    def must_be_lost(self, task: Task) -> None:
        with pytest.raises(LeaseLost), self.database.transaction() as connection:
            finish(connection, [task])

    @rule(which=st.sampled_from(["leased", "retrying"]))
    def pass_time(self, which: str) -> None:
        with self.database.connect() as connection:
            connection.execute(
                "update sync.tasks set due_at = now() - interval '1 second'"
                " where id in (select id from sync.tasks where state = %s for update skip locked)",
                [which],
            )
        claim(self.database, self.spec, "w", limit=0)
        if which == "leased":
            self.leased.clear()

    @invariant()
    def one_lease_a_key(self) -> None:
        with self.database.connect() as connection:
            twice = connection.execute(
                "select account, key from sync.tasks where state = 'leased' group by account, key having count(*) > 1"
            ).fetchall()
        assert not twice

    def teardown(self) -> None:
        for producer in self.open:
            producer.connection.rollback()  # closing alone leaves its locks for as long as the server needs to notice
            producer.connection.close()
            for known in producer.known:
                known.committed = None
        self.open = []
        self.pass_time("leased")
        self.pass_time("retrying")
        while tasks := claim(self.database, self.spec, "last", limit=100):
            for task in tasks:
                self.tasks[task.payload].is_done = True
            with self.database.transaction() as connection:
                finish(connection, tasks)
        committed = [known for known in self.tasks.values() if known.committed]
        for known in committed:
            newer = (
                one.is_done and (one.account, one.key) == (known.account, known.key) and not one.precedes(known)
                for one in committed
            )
            assert known.is_done or (self.spec.supersede and any(newer)), f"{known} was lost"
        with self.database.connect() as connection:
            done = [number for (number,) in connection.execute("select payload::int from sync.tasks_done")]
            assert connection.execute("select count(*) from sync.tasks").fetchone() == (0,)
        assert sorted(done) == sorted(known.number for known in committed if known.is_done), (
            "work was finished twice or for nothing"
        )


@pytest.mark.parametrize("supersede", [False, True], ids=["in order", "latest only"])
def test_under_any_schedule_nothing_is_lost_doubled_or_out_of_order(database: Database, supersede: bool) -> None:
    spec = QueueSpec(name="machine", supersede=supersede, max_lost_leases=1_000, retry_delays=(timedelta(hours=1),) * 1_000)

    class Machine(QueueMachine):
        pass

    Machine.database, Machine.spec = database, spec
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=600 if os.environ.get("SYNC_PIPELINES_SOAK") else 25,
            stateful_step_count=25,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
