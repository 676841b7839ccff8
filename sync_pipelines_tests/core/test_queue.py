"""The queue, promise by promise."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError, LeaseLost
from sync_pipelines.core.queue import (
    Enqueued,
    NewTask,
    QueueSpec,
    State,
    Task,
    Wakeup,
    bury,
    claim,
    counts,
    drop_partitions,
    enqueue,
    ensure_partitions,
    extend,
    find,
    finish,
    has_work,
    is_exhausted,
    purge,
    release,
    retry,
    show,
    take_back,
)

SPEC = QueueSpec(name="toy", retry_delays=(timedelta(minutes=5), timedelta(minutes=10)))
LATEST = QueueSpec(name="latest", supersede=True)


def _task(key: str = "k", account: str = "toy/a", payload: Any = None, **options: Any) -> NewTask:
    return NewTask(account=account, key=key, payload=payload, **options)


def _add(database: Database, *tasks: NewTask, spec: QueueSpec = SPEC) -> Enqueued:
    with database.transaction() as connection:
        return enqueue(connection, spec, tasks)


def _finish(database: Database, tasks: Iterable[Task]) -> None:
    with database.transaction() as connection:
        finish(connection, list(tasks))


def _pass_time(database: Database, time: timedelta) -> None:
    with database.connect() as connection:
        connection.execute("update sync.tasks set due_at = due_at - %s, created_at = created_at - %s", [time, time])


def _done(database: Database) -> list[tuple[str, Any]]:
    with database.connect() as connection:
        return connection.execute("select key, payload from sync.tasks_done where outcome = 'done' order by finished_at").fetchall()


def test_a_task_comes_back_as_it_was_put_in(database: Database) -> None:
    payload = {"ref": "Robe d'été", "prices": [19.9, 1], "nested": {"none": None}}
    _add(database, _task(payload=payload, lane=Lane.REPLAY, priority=7))
    (task,) = claim(database, SPEC, "w")
    assert (task.queue, task.account, task.key, task.lane, task.priority, task.attempts) == ("toy", "toy/a", "k", Lane.REPLAY, 7, 1)
    assert str(task.payload["prices"][0]) == "19.9"
    assert task.payload["nested"] == {"none": None}
    assert task.created_at.tzinfo is UTC


def test_tasks_appear_and_vanish_with_their_producers_transaction(database: Database) -> None:
    with database.transaction() as connection:
        enqueue(connection, SPEC, [_task()])
        raise psycopg.Rollback
    assert claim(database, SPEC, "w") == []


def test_tasks_of_a_key_are_done_one_after_the_other(database: Database) -> None:
    _add(database, _task(payload=1), _task(payload=2), _task("other", payload=3))
    _add(database, _task(payload=4))
    order = []
    while tasks := claim(database, SPEC, "w"):
        assert len({task.key for task in tasks}) == len(tasks)
        order += [task.payload for task in tasks]
        _finish(database, tasks)
    assert order == [1, 3, 2, 4]


def test_a_failed_task_holds_back_its_key_until_its_retry_is_done(database: Database) -> None:
    _add(database, _task(payload=1), _task(payload=2))
    (first,) = claim(database, SPEC, "w")
    with database.transaction() as connection:
        assert retry(connection, SPEC, first, "TransientError: no answer")
    assert claim(database, SPEC, "w") == []
    _pass_time(database, timedelta(minutes=5))
    (again,) = claim(database, SPEC, "w")
    assert (again.payload, again.attempts) == (1, 2)
    _finish(database, [again])
    assert [task.payload for task in claim(database, SPEC, "w")] == [2]


def test_retries_follow_the_queues_schedule_and_end(database: Database) -> None:
    _add(database, _task())
    waits = []
    while not is_exhausted(SPEC, (task := claim(database, SPEC, "w")[0])):
        with database.transaction() as connection:
            retry(connection, SPEC, task, "boom")
            row = connection.execute("select due_at - clock_timestamp() from sync.tasks").fetchone()
        assert row
        waits.append(round(row[0].total_seconds() / 60))
        _pass_time(database, timedelta(minutes=waits[-1]))
    assert waits == [5, 10]
    with database.transaction() as connection:
        assert not retry(connection, SPEC, task, "boom")
        bury(connection, [task], "boom")
    with database.connect() as connection:
        assert connection.execute("select outcome, error, attempts from sync.tasks_done").fetchall() == [("dead", "boom", 3)]


def test_dead_work_does_not_block_what_waits_behind_it(database: Database) -> None:
    _add(database, _task(payload=1), _task(payload=2))
    tasks = claim(database, SPEC, "w")
    with database.transaction() as connection:
        bury(connection, tasks, "broken")
    assert [task.payload for task in claim(database, SPEC, "w")] == [2]


def test_every_account_gets_an_equal_share_of_a_batch(database: Database) -> None:
    _add(database, *(_task(f"k{n}", "toy/busy") for n in range(200)))
    _add(database, *(_task(f"k{n}", f"toy/{name}") for name in "abc" for n in range(30)))
    shares = Counter(task.account for task in claim(database, SPEC, "w", limit=80))
    assert shares == {"toy/busy": 20, "toy/a": 20, "toy/b": 20, "toy/c": 20}
    shares = Counter(task.account for task in claim(database, SPEC, "w", limit=80))
    assert shares == {"toy/busy": 50, "toy/a": 10, "toy/b": 10, "toy/c": 10}


def test_one_task_at_a_time_is_fair_as_well(database: Database) -> None:
    _add(database, *(_task(f"k{n}", account) for account in ("toy/a", "toy/b") for n in range(60)))
    served = Counter(claim(database, SPEC, "w", limit=1)[0].account for _ in range(60))
    assert min(served.values()) > 10


def test_only_the_named_accounts_are_served(database: Database) -> None:
    _add(database, _task(account="toy/a"), _task(account="toy/b"), _task(account="toy/c"))
    assert {task.account for task in claim(database, SPEC, "w", accounts=["toy/b", "toy/none"])} == {"toy/b"}
    assert claim(database, SPEC, "w", accounts=[]) == []


def test_urgent_work_of_an_account_goes_first_and_older_work_before_newer(database: Database) -> None:
    _add(database, _task("backfill", lane=Lane.BACKFILL), _task("live 1"), _task("live 2"), _task("hook", lane=Lane.WEBHOOK))
    assert [claim(database, SPEC, "w", limit=1)[0].key for _ in range(4)] == ["live 1", "live 2", "hook", "backfill"]


def test_an_ended_lease_goes_to_another_worker_and_the_first_can_change_nothing_more(database: Database) -> None:
    _add(database, _task())
    (lost,) = claim(database, SPEC, "slow")
    assert claim(database, SPEC, "quick") == []
    _pass_time(database, SPEC.lease)
    (taken,) = claim(database, SPEC, "quick")
    assert taken.fence > lost.fence
    assert (taken.attempts, taken.lost_leases) == (1, 1)
    with database.connect() as connection:
        connection.execute("create table public.effects (text text)")

    def finish_late(connection: psycopg.Connection) -> None:
        connection.execute("insert into public.effects values ('slow')")
        finish(connection, [lost])

    for act in (
        finish_late,
        lambda connection: retry(connection, SPEC, lost, "late"),
        lambda connection: release(connection, [lost]),
        lambda connection: extend(connection, SPEC, [lost]),
        lambda connection: bury(connection, [lost], "late"),
    ):
        with pytest.raises(LeaseLost), database.transaction() as connection:
            act(connection)
    _finish(database, [taken])
    with pytest.raises(LeaseLost):
        _finish(database, [taken])
    with database.connect() as connection:
        assert connection.execute("select count(*) from public.effects").fetchone() == (0,)


def test_the_only_worker_of_an_account_takes_back_what_a_killed_one_had(database: Database) -> None:
    _add(database, _task("k", "toy/a"), _task("k", "toy/b"))
    lost, kept = sorted(claim(database, SPEC, "killed"), key=lambda task: task.account)
    with database.transaction() as connection:
        assert take_back(connection, SPEC.name, ["toy/a"]) == 1
    (taken,) = claim(database, SPEC, "next")
    assert (taken.account, taken.lost_leases) == ("toy/a", 1)
    _finish(database, [kept])
    with pytest.raises(LeaseLost):
        _finish(database, [lost])


def test_a_heartbeat_keeps_the_lease(database: Database) -> None:
    _add(database, _task())
    tasks = claim(database, SPEC, "w")
    _pass_time(database, SPEC.lease - timedelta(seconds=30))
    with database.transaction() as connection:
        extend(connection, SPEC, tasks)
    _pass_time(database, timedelta(seconds=60))
    assert claim(database, SPEC, "other") == []
    _finish(database, tasks)


def test_a_task_that_workers_keep_vanishing_with_is_exhausted(database: Database) -> None:
    _add(database, _task())
    for _ in range(SPEC.max_lost_leases + 1):
        (task,) = claim(database, SPEC, "w")
        assert not is_exhausted(SPEC, task)
        _pass_time(database, SPEC.lease)
    assert is_exhausted(SPEC, claim(database, SPEC, "w")[0])


def test_released_work_is_as_if_it_had_not_been_claimed(database: Database) -> None:
    _add(database, _task("a"), _task("b"))
    tasks = claim(database, SPEC, "w")
    with database.transaction() as connection:
        release(connection, tasks[:1])
        release(connection, tasks[1:], delay=timedelta(minutes=1))
    assert [(task.key, task.attempts) for task in claim(database, SPEC, "w")] == [("a", 1)]
    _pass_time(database, timedelta(minutes=1))
    assert [(task.key, task.attempts) for task in claim(database, SPEC, "w")] == [("b", 1)]


def test_a_newer_task_takes_the_place_of_a_waiting_one_but_not_of_a_leased_one(database: Database) -> None:
    _add(database, _task(payload=1, lane=Lane.BACKFILL), _task("other", payload=2), spec=LATEST)
    assert _add(database, _task(payload=3), _task(payload=4), spec=LATEST) == Enqueued(added=0, superseded=2)
    first, *_ = tasks = claim(database, LATEST, "w")
    assert [(task.key, task.payload, task.lane) for task in tasks] == [("k", 4, Lane.LIVE), ("other", 2, Lane.LIVE)]
    assert _add(database, _task(payload=5), spec=LATEST) == Enqueued(added=1, superseded=0)
    assert _add(database, _task(payload=6), spec=LATEST) == Enqueued(added=0, superseded=1)
    assert claim(database, LATEST, "w") == []
    _finish(database, [first])
    assert [task.payload for task in claim(database, LATEST, "w")] == [6]


def test_a_newer_task_ends_the_wait_of_a_failing_one(database: Database) -> None:
    _add(database, _task(payload=1), spec=LATEST)
    (task,) = claim(database, LATEST, "w")
    with database.transaction() as connection:
        retry(connection, LATEST, task, "refused")
    _add(database, _task(payload=2), spec=LATEST)
    (task,) = claim(database, LATEST, "w")
    assert (task.payload, task.attempts) == (2, 1)


def test_producers_of_one_key_do_not_wait_for_each_other(database: Database) -> None:
    for spec in (SPEC, LATEST):
        _add(database, _task(payload=0), spec=spec)
        with database.transaction() as one, database.transaction() as two:
            for connection in (one, two):
                connection.execute("set local lock_timeout = '1s'")
            enqueue(one, spec, [_task(payload=1)])
            enqueue(two, spec, [_task(payload=2)])
        seen = []
        while tasks := claim(database, spec, "w"):
            assert len(tasks) == 1
            seen.append(tasks[0].payload)
            _finish(database, tasks)
        assert sorted(seen) == ([0, 1, 2] if spec is SPEC else [1, 2])


def test_a_task_put_behind_one_that_is_finished_meanwhile_is_not_forgotten(database: Database) -> None:
    _add(database, _task(payload=1))
    (first,) = claim(database, SPEC, "w")
    with database.transaction() as producer:
        enqueue(producer, SPEC, [_task(payload=2)])
        _finish(database, [first])
        assert claim(database, SPEC, "w") == []
    assert [task.payload for task in claim(database, SPEC, "w")] == [2]


def test_a_claim_while_the_head_is_being_finished_does_not_strand_its_followers(database: Database) -> None:
    _add(database, _task(payload=1))
    (first,) = claim(database, SPEC, "w")
    with database.transaction() as worker:
        finish(worker, [first])
        _add(database, _task(payload=2))
        assert claim(database, SPEC, "w") == []
    assert [task.payload for task in claim(database, SPEC, "w")] == [2]


def test_any_number_of_tasks_goes_in_with_one_call(database: Database) -> None:
    with database.transaction() as connection:
        added = enqueue(connection, SPEC, (_task(f"k{n % 6_000}", payload=n) for n in range(12_000)))
    assert added == Enqueued(added=12_000)
    with database.connect() as connection:
        (line,) = counts(connection, "toy", most=None)
        assert (line.waiting, line.is_bounded) == (12_000, False)
        (line,) = counts(connection, "toy", most=500)
        assert (line.waiting, line.is_bounded) == (500, True)


def test_work_that_begins_with_a_failure_elsewhere_waits_for_its_first_retry(database: Database) -> None:
    with database.transaction() as connection:
        enqueue(connection, SPEC, [_task()], retry_of_failure=True)
    assert claim(database, SPEC, "w") == []
    _pass_time(database, timedelta(minutes=5))
    assert [task.attempts for task in claim(database, SPEC, "w")] == [2]


@pytest.mark.parametrize(("key", "payload"), [("k\x00", 1), ("\ud800", 1), ("k", {"text": "a\x00b"}), ("k", object())])
def test_what_postgres_cannot_hold_is_refused_by_name(database: Database, key: str, payload: Any) -> None:
    with pytest.raises(DataError, match="toy"):
        _add(database, _task(key, payload=payload))


def test_the_line_is_counted_by_account_with_its_age(database: Database) -> None:
    _add(database, _task("a"), _task("a"), _task("b"), _task("c"), _task(account="toy/z"))
    tasks = claim(database, SPEC, "w", limit=2, accounts=["toy/a"])
    with database.transaction() as connection:
        retry(connection, SPEC, tasks[0], "boom")
    _pass_time(database, timedelta(seconds=90))
    with database.connect() as connection:
        first, second = counts(connection)
        assert (first.account, first.waiting, first.leased, first.retrying) == ("toy/a", 2, 1, 1)
        assert (second.account, second.waiting, second.leased, second.retrying) == ("toy/z", 1, 0, 0)
        assert 90 <= first.oldest_s < 150
        assert counts(connection, "no such queue") == []


def test_a_sensor_sees_whether_a_claim_would_find_work(database: Database) -> None:
    def works() -> bool:
        with database.connect() as connection:
            return has_work(connection, "toy")

    assert not works()
    _add(database, _task())
    assert works()
    tasks = claim(database, SPEC, "w")
    assert not works()
    _pass_time(database, SPEC.lease)
    assert works()
    _finish(database, claim(database, SPEC, "w") or tasks)
    assert not works()


def test_a_waiting_worker_is_woken_by_a_commit(database: Database, database_url: str) -> None:
    with Wakeup(database_url, ["toy"]) as wakeup:
        _add(database, _task(), spec=LATEST)
        assert not wakeup.wait(0.05)
        producer = threading.Thread(target=_add, args=(database, _task()))
        producer.start()
        assert wakeup.wait(20)
        producer.join()


def test_purged_work_is_kept_for_look_up_and_frees_what_is_behind_it(database: Database) -> None:
    _add(database, _task(payload=1), _task(payload=2), _task("other", payload=3))
    claim(database, SPEC, "w", limit=0)
    (head, *_) = _listed(database)
    with database.transaction() as connection:
        assert purge(connection, "toy", by="Ada", key="k", state=State.READY) == 1
    with database.connect() as connection:
        assert show(connection, head.id) is None
        assert connection.execute("select outcome, error from sync.tasks_done").fetchall() == [("purged", "purged by Ada")]
    assert {task.payload for task in claim(database, SPEC, "w")} == {2, 3}


def _listed(database: Database) -> list[Any]:
    with database.connect() as connection:
        return find(connection, "toy")


def test_finished_work_lies_in_day_partitions_that_are_dropped_whole(database: Database) -> None:
    now = datetime.now(UTC)
    _add(database, _task(payload=1))
    _finish(database, claim(database, SPEC, "w"))
    with database.connect() as connection:
        ensure_partitions(connection)
        ensure_partitions(connection)
        row = connection.execute("select tableoid::regclass::text from sync.tasks_done").fetchone()
        assert row == (f"sync.tasks_done_{now:%Y%m%d}",)
        assert drop_partitions(connection, now - timedelta(days=7)) == 0
        assert drop_partitions(connection, now + timedelta(days=1)) == 1
        assert connection.execute("select count(*) from sync.tasks_done").fetchone() == (0,)


def test_finishing_work_takes_no_lock_that_a_new_days_partition_waits_for(database: Database) -> None:
    _add(database, _task())
    tasks = claim(database, SPEC, "w")
    with database.connect() as maintenance:
        ensure_partitions(maintenance)
        with database.transaction() as worker:
            finish(worker, tasks)
            maintenance.execute("set lock_timeout = '2s'")
            try:
                ensure_partitions(maintenance, now=datetime.now(UTC) + timedelta(days=1))
            finally:
                maintenance.execute("reset lock_timeout")


def test_a_batch_is_not_longer_than_asked_for(database: Database) -> None:
    _add(database, *(_task(f"k{n}", f"toy/{n % 7}") for n in range(50)))
    assert [len(claim(database, SPEC, "w", limit=limit)) for limit in (1, 3, 10, 0)] == [1, 3, 10, 0]


def test_two_workers_never_get_the_same_task(database: Database) -> None:
    _add(database, *(_task(f"k{n}", f"toy/{n % 3}", payload=n) for n in range(600)))
    got: list[list[int]] = [[], []]

    def work(mine: list[int]) -> None:
        while tasks := claim(database, SPEC, "w", limit=20):
            mine += [task.payload for task in tasks]
            _finish(database, tasks)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got[0] + got[1]) == list(range(600))
    assert len(_done(database)) == 600


def test_a_rolled_back_finish_leaves_the_task_with_its_worker(database: Database) -> None:
    _add(database, _task())
    tasks = claim(database, SPEC, "w")
    with database.transaction() as connection:
        finish(connection, tasks)
        raise psycopg.Rollback
    _finish(database, tasks)
