"""Queue workers are killed in the middle of a batch: every task takes effect once, in the order of its key."""

from __future__ import annotations

import os
import random
from datetime import timedelta

from sync_pipelines.core.db import Database
from sync_pipelines.core.queue import NewTask, QueueSpec, claim, enqueue, finish
from sync_pipelines_tests.faults.dying import Elsewhere

SPEC = QueueSpec(name="toy", batch_size=10, max_lost_leases=1_000)
KILLS = 60 if os.environ.get("SYNC_PIPELINES_SOAK") else 6
KEYS = 7
TASKS = 400 if os.environ.get("SYNC_PIPELINES_SOAK") else 90


def _work(url: str) -> None:
    """Does all there is: an effect and the end of its task in one transaction, some tasks alone and some together."""
    with Database(url) as database:
        while tasks := claim(database, SPEC, f"worker {os.getpid()}"):
            for group in (tasks[:1], tasks[1:]):
                with database.transaction() as connection:
                    for task in group:
                        connection.execute("insert into public.effects (key, number) values (%s, %s)", [task.key, task.payload])
                    finish(connection, group)


def test_kill_9_of_workers_loses_nothing_doubles_nothing_and_keeps_the_order(database: Database, database_url: str) -> None:
    with database.transaction() as connection:
        connection.execute("create table public.effects (place bigint generated always as identity, key text, number int)")
        enqueue(
            connection,
            SPEC,
            (NewTask(account=f"toy/{number % KEYS % 2}", key=f"k{number % KEYS}", payload=number) for number in range(TASKS)),
        )
    chance = random.Random(11)
    killed = 0
    for _ in range(KILLS):
        workers = [Elsewhere(_work, database_url, moment=chance.randint(10, 60)) for _ in range(2)]
        for worker in workers:
            worker.process.join()
        killed += sum(worker.was_killed for worker in workers)
        with database.connect() as connection:
            connection.execute("update sync.tasks set due_at = due_at - %s", [timedelta(hours=1)])
    last = Elsewhere(_work, database_url)
    last.process.join()
    assert last.process.exitcode == 0
    assert killed >= KILLS
    with database.connect() as connection:
        done = connection.execute("select key, array_agg(number order by place) from public.effects group by key").fetchall()
        assert connection.execute("select count(*) from sync.tasks").fetchone() == (0,)
    assert dict(done) == {f"k{key}": list(range(key, TASKS, KEYS)) for key in range(KEYS)}
