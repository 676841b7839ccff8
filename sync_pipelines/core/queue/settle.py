"""Giving claimed work back: done, to be tried again, handed back unharmed, or dead.

Everything here runs in the caller's transaction and checks the fence: if any of the tasks is no longer leased under the fence of
this claim, `LeaseLost` is raised and the caller's transaction, with whatever it wrote for the task, must be rolled back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.core.queue.model import Outcome, QueueSpec, Task

ERROR_LENGTH = 2_000
"""Characters of an error text that are kept."""

_MOVE = """
with gone as (
    delete from sync.tasks t using unnest(%(ids)b::bigint[], %(fences)b::bigint[]) as u (id, fence)
    where t.id = u.id and t.fence = u.fence and t.state = 'leased'
    returning t.*
)
insert into sync.tasks_done
    (finished_at, id, queue, account, key, payload, priority, lane, outcome, attempts, superseded, worker, error, created_at)
select clock_timestamp(), id, queue, account, key, payload, priority, lane, %(outcome)s, attempts, superseded, worker,
       coalesce(%(error)s, error), created_at
from gone
"""

_MOVE_UP = """
with next as materialized (
    select first.id
    from unnest(%(accounts)b::text[], %(keys)b::text[]) as u (account, key)
    cross join lateral (
        select min(t.id + 0) as id from sync.tasks t
        where t.queue = %(queue)s and t.account = u.account and t.key = u.key and t.state in ('behind', 'new')
    ) first
    where first.id is not null
)
update sync.tasks t set state = 'ready' where t.id in (select id from next) and t.state in ('behind', 'new')
"""
"""A statement of its own: it must see what was committed before the one ahead was removed."""

_RETRY = """
update sync.tasks set state = 'retrying', due_at = clock_timestamp() + %(delay)s, worker = null, error = %(error)s
where id = %(id)s and fence = %(fence)s and state = 'leased'
"""

_RELEASE = """
update sync.tasks t
set state = case when %(delay)s::interval is null then 'ready' else 'retrying' end,
    due_at = clock_timestamp() + %(delay)s::interval, worker = null, attempts = t.attempts - 1
from unnest(%(ids)b::bigint[], %(fences)b::bigint[]) as u (id, fence)
where t.id = u.id and t.fence = u.fence and t.state = 'leased'
"""

_TAKE_BACK = """
update sync.tasks set due_at = clock_timestamp()
where queue = %(queue)s and due_at > clock_timestamp() and state = 'leased' and account = any (%(accounts)s)
"""

_EXTEND = """
update sync.tasks t set due_at = clock_timestamp() + %(lease)s
from unnest(%(ids)b::bigint[], %(fences)b::bigint[]) as u (id, fence)
where t.id = u.id and t.fence = u.fence and t.state = 'leased'
"""


def finish(connection: Connection[Any], tasks: Sequence[Task]) -> None:
    """Records tasks as done, together with what the caller wrote for them in the same transaction.

    Raises:
        LeaseLost: Another worker has taken over one of them; roll back.
    """
    _move(connection, tasks, Outcome.DONE, None)


def bury(connection: Connection[Any], tasks: Sequence[Task], error: str) -> None:
    """Records tasks as dead; `dead_tasks.fail` does this and tells a person.

    Args:
        connection: Open transaction.
        tasks: Claimed tasks.
        error: What happened, without secrets or personal data.

    Raises:
        LeaseLost: Another worker has taken over one of them; roll back.
    """
    _move(connection, tasks, Outcome.DEAD, error[:ERROR_LENGTH])


def is_exhausted(spec: QueueSpec, task: Task) -> bool:
    """Whether no further attempt is due after the present one fails."""
    return task.attempts > len(spec.retry_delays) or task.lost_leases > spec.max_lost_leases


def retry(connection: Connection[Any], spec: QueueSpec, task: Task, error: str, *, delay: timedelta | None = None) -> bool:
    """Schedules the next attempt of a failed task; later tasks of its key wait for it.

    Args:
        connection: Open transaction.
        spec: The queue.
        task: The claimed task.
        error: What happened, without secrets or personal data.
        delay: Instead of the queue's own delay.

    Returns:
        ``False`` if the attempts are used up: nothing was written, the task is still leased and wants `dead_tasks.fail`.

    Raises:
        LeaseLost: Another worker has taken it over; roll back.
    """
    if is_exhausted(spec, task):
        return False
    wait = spec.retry_delays[max(task.attempts, 1) - 1] if delay is None else delay
    parameters = {"id": task.id, "fence": task.fence, "delay": wait, "error": error[:ERROR_LENGTH]}
    _expect(connection.execute(_RETRY, parameters).rowcount, [task])
    return True


def release(connection: Connection[Any], tasks: Sequence[Task], *, delay: timedelta | None = None) -> None:
    """Hands tasks back as if they had never been claimed: the quota is used up, or the worker has to stop.

    Args:
        connection: Open transaction.
        tasks: Claimed tasks.
        delay: How long nobody shall take them.

    Raises:
        LeaseLost: Another worker has taken over one of them.
    """
    if tasks:
        _expect(connection.execute(_RELEASE, {**_ids(tasks), "delay": delay}).rowcount, tasks)


def take_back(connection: Connection[Any], queue: str, accounts: Collection[str]) -> int:
    """Ends every lease of these accounts, so that the next claim need not wait for what a killed worker has left behind.

    Call it only as the one worker of these accounts, for instance while holding a lock that a killed worker's session gives up. A
    worker that lives all the same loses its lease and changes nothing.

    Returns:
        How many leases were ended.
    """
    return connection.execute(_TAKE_BACK, {"queue": queue, "accounts": list(accounts)}).rowcount


def extend(connection: Connection[Any], spec: QueueSpec, tasks: Sequence[Task]) -> None:
    """Starts the lease anew; a worker whose batch may take longer than the lease calls it well before the end.

    Raises:
        LeaseLost: Another worker has taken over one of them; stop working on it.
    """
    if tasks:
        _expect(connection.execute(_EXTEND, {**_ids(tasks), "lease": spec.lease}).rowcount, tasks)


def _move(connection: Connection[Any], tasks: Sequence[Task], outcome: Outcome, error: str | None) -> None:
    if not tasks:
        return
    moved = connection.execute(_MOVE, {**_ids(tasks), "outcome": outcome, "error": error}, prepare=True).rowcount
    _expect(moved, tasks)
    for queue in {task.queue for task in tasks}:
        keys = sorted({(task.account, task.key) for task in tasks if task.queue == queue})
        connection.execute(
            _MOVE_UP,
            {"queue": queue, "accounts": [account for account, _ in keys], "keys": [key for _, key in keys]},
            prepare=True,
        )


def _ids(tasks: Sequence[Task]) -> dict[str, Any]:
    return {"ids": [task.id for task in tasks], "fences": [task.fence for task in tasks]}


def _expect(changed: int, tasks: Sequence[Task]) -> None:
    if changed == len(tasks):
        return
    first = tasks[0]
    which = f"task {first.id} of {first.account}" if len(tasks) == 1 else f"{len(tasks) - changed} of {len(tasks)} tasks"
    raise LeaseLost(
        f"{first.queue}: the lease of {which} has ended and another worker may have it; its work here is rolled back",
        account=first.account,
    )
