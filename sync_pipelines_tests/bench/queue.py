"""The queue with a million tasks waiting, beside the barest queue there is: one table, one order, no keys, no leases.

The bare queue deletes what it takes in the same transaction: what it is faster by is the price of
order within a key, fair turns, leases and kept history.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from time import perf_counter

from sync_pipelines.core.db import Database
from sync_pipelines.core.queue import NewTask, QueueSpec, claim, counts, enqueue, ensure_partitions, finish
from sync_pipelines_tests.bench.measures import Measure, processor_seconds
from sync_pipelines_tests.servers import TestServer

SPEC = QueueSpec(name="bench")
ACCOUNTS = 5
BATCH = 100
_PAYLOAD = {"ref": "REF-000000000", "change": "updated", "text": "x" * 200}


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Fills both queues and drains a part of each."""
    waiting, drained = (2_000, 500) if quick else (1_000_000, 50_000)
    with Database(server.url(), application_name="bench", max_connections=1) as database:
        with database.connect() as connection:
            ensure_partitions(connection)
        started = perf_counter()
        with database.transaction() as connection:
            enqueue(connection, SPEC, _tasks(waiting))
        enqueued = waiting / (perf_counter() - started)
        _bare_fill(database, waiting)
        with database.connect() as connection:
            connection.execute("vacuum analyze sync.tasks")
            connection.execute("vacuum analyze public.bare")
        bare = _bare_drain(database, drained)
        before = _memory()
        ours, server_us, our_us = _drain(database, drained)
        grown = _memory() - before
        counted = _count_seconds(database)
    return [
        Measure("queue", f"put in {waiting:,} tasks", enqueued, "tasks/s"),
        Measure("queue", f"claim and finish by {BATCH}, {waiting:,} waiting", ours, "tasks/s", at_least=5_000),
        Measure("queue", "processor time of a task: server", server_us, "µs"),
        Measure("queue", "processor time of a task: worker", our_us, "µs"),
        Measure("queue", "bare table, one order, by the same batch", bare, "tasks/s"),
        Measure("queue", "ours / bare table", ours / bare, "share"),
        Measure("queue", "worker's memory, growth while draining", grown, "MB", at_most=20),
        Measure("queue", "counting every line for a sensor", counted, "s"),
    ]


def _tasks(number: int) -> Iterator[NewTask]:
    return (NewTask(account=f"toy/{n % ACCOUNTS}", key=f"key-{n}", payload=_PAYLOAD) for n in range(number))


def _drain(database: Database, number: int) -> tuple[float, float, float]:
    """Tasks a second, and microseconds of processor time of server and worker for each."""
    with database.connect() as connection:
        backend = connection.info.backend_pid
    done, server_cpu, own_cpu, started = 0, processor_seconds(backend), processor_seconds(os.getpid()), perf_counter()
    while done < number:
        tasks = claim(database, SPEC, "bench", BATCH)
        with database.transaction() as connection:
            finish(connection, tasks)
        done += len(tasks)
    rate = done / (perf_counter() - started)
    return rate, (processor_seconds(backend) - server_cpu) / done * 1e6, (processor_seconds(os.getpid()) - own_cpu) / done * 1e6


def _bare_fill(database: Database, number: int) -> None:
    with database.transaction() as connection:
        connection.execute("drop table if exists public.bare")
        connection.execute("create table public.bare (id bigint generated always as identity primary key, payload jsonb)")
        with connection.cursor().copy("copy public.bare (payload) from stdin") as copy:
            row = f'{{"ref": "REF", "text": "{"x" * 230}"}}\n'
            for _ in range(number):
                copy.write(row)


def _bare_drain(database: Database, number: int) -> float:
    done, started = 0, perf_counter()
    while done < number:
        with database.transaction() as connection:
            done += len(
                connection.execute(
                    "delete from public.bare where id in"
                    " (select id from public.bare order by id limit %s for update skip locked) returning id, payload",
                    [BATCH],
                ).fetchall()
            )
    return done / (perf_counter() - started)


def _count_seconds(database: Database) -> float:
    with database.connect() as connection:
        started = perf_counter()
        counts(connection, SPEC.name)
        return perf_counter() - started


def _memory() -> float:
    """Peak resident memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
