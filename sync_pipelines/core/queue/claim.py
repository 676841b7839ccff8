"""Taking work out of a queue under a lease.

Claims of one queue are serialized by an advisory lock held for the few milliseconds a claim takes. That, together with the look at
the other tasks of each key, is what makes "at most one leased task of a key" true without any lock between producers and workers.

A claim does three things, each one statement on an index and bounded, so its cost does not grow with the queue:

1. *due*: ended leases and retries whose time has come are ready again;
2. *new*: tasks put behind another one are moved to ``behind`` while that one is seen and held, or to ``ready`` if it is gone.
   A producer decides by what it can see, and the task it saw may be finished before the producer commits; this step makes that
   harmless. From then on `settle.finish` moves the next task of the key up;
3. *take*: an equal share of the batch for each account with ready work, by priority and age within it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC
from typing import Any

from psycopg import Connection

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.queue.model import QueueSpec, Task

_LANES = {str(lane): lane for lane in Lane}

MAINTAINED_AT_ONCE = 2_000
"""Most tasks the first two steps look at in one claim."""

_LOCK = """
select set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),
       pg_advisory_xact_lock(hashtextextended('sync.tasks ' || %(queue)s, 0))
"""
"""Compiling or planning these statements anew would cost more than running them; their plans do not depend on the values."""

_TODO = """
select (select due_at from sync.tasks where queue = %(queue)s and due_at is not null order by due_at limit 1)
           <= statement_timestamp(),
       (select id from sync.tasks where queue = %(queue)s and state = 'new' order by queue, id limit 1) is not null
"""
"""Ordered look-ups rather than ``exists``, which a planner with stale statistics may answer by reading the whole table."""

_DUE = """
update sync.tasks t
set state = 'ready', due_at = null, worker = null,
    attempts = t.attempts - case t.state when 'leased' then 1 else 0 end,
    lost_leases = t.lost_leases + case t.state when 'leased' then 1 else 0 end
where t.id in (
    select d.id from sync.tasks d where d.queue = %(queue)s and d.due_at <= statement_timestamp()
    order by d.due_at limit %(most)s for update skip locked
)
"""

_NEW = """
with fresh as materialized (
    select id, account, key from sync.tasks where queue = %(queue)s and state = 'new' order by id limit %(most)s
    for update skip locked
), keys as materialized (
    select distinct account, key from fresh
), heads as materialized (
    select keys.account, keys.key, head.id
    from keys cross join lateral (
        select t.id from sync.tasks t
        where t.queue = %(queue)s and t.account = keys.account and t.key = keys.key and t.state in ('ready', 'leased', 'retrying')
        order by t.state, t.id limit 1
    ) head
), held as materialized (
    select t.account, t.key from sync.tasks t
    where t.id in (select id from heads) and t.state in ('ready', 'leased', 'retrying')
    for key share of t skip locked
), firsts as materialized (
    select first.id
    from keys cross join lateral (
        select min(t.id + 0) as id from sync.tasks t
        where t.queue = %(queue)s and t.account = keys.account and t.key = keys.key and t.state in ('new', 'behind')
    ) first
    where (keys.account, keys.key) not in (select account, key from heads)
), movable as materialized (
    select t.id from sync.tasks t where t.id in (select id from firsts) for update of t skip locked
), moves as materialized (
    select id, 'ready' as state from movable
    union all
    select id, 'behind' from fresh where ((account, key) in (select account, key from held)) is true
)
update sync.tasks t set state = moves.state from moves where t.id = moves.id
"""
"""The head is held against removal (``for key share``) so that whoever finishes it afterwards sees the task behind it. A head that
is being finished this very moment is not waited for: its followers stay ``new`` until the next claim. ``is true`` makes a hashed
look-up of what a planner that expects one row would compare each with each, two million times for two thousand tasks."""

_TAKE = """
with recursive accounts (account) as (
    (select t.account from sync.tasks t
     where t.queue = %(queue)s and t.state = 'ready'
     order by t.account limit 1)
    union all
    select (select t.account from sync.tasks t
            where t.queue = %(queue)s and t.state = 'ready' and t.account > a.account
            order by t.account limit 1)
    from accounts a where a.account is not null
), turns as materialized (
    select account, ceil(%(limit)s::numeric / count(*) over ())::bigint as share
    from accounts where account is not null and (%(accounts)s::text[] is null or account = any (%(accounts)s))
    order by random() limit %(limit)s
), taken as materialized (
    select head.id
    from turns cross join lateral (
        select t.id from sync.tasks t
        where t.queue = %(queue)s and t.account = turns.account and t.state = 'ready'
          and (not exists (
              select 1 from sync.tasks o
              where o.queue = t.queue and o.account = t.account and o.key = t.key
                and (o.state in ('leased', 'retrying') or (o.state = 'ready' and o.id < t.id))
          )) is true
        order by t.priority, t.id limit (select max(share) from turns) for update skip locked
    ) head
    limit %(limit)s
), lease as materialized (
    select nextval('sync.task_fence') as fence
)
update sync.tasks t
set state = 'leased', attempts = t.attempts + 1, fence = lease.fence, worker = %(worker)s,
    due_at = clock_timestamp() + %(lease)s
from lease
where t.id in (select id from taken)
returning t.id, t.queue, t.account, t.key, t.payload::text, t.priority, t.lane, t.attempts, t.lost_leases, t.fence, t.created_at
"""
"""Accounts come from a loose index scan (one probe each). ``is true`` keeps the look at a key's other tasks a probe a row
instead of a join over the whole queue."""


def claim(
    database: Database, spec: QueueSpec, worker: str, limit: int | None = None, accounts: Collection[str] | None = None
) -> list[Task]:
    """Leases the next tasks to a worker, in an own short transaction.

    Each account with ready work gets an equal share of the batch; what one does not need goes to the others. Within an account,
    smaller priorities come first, then older tasks.

    Args:
        database: Where the queue is.
        spec: The queue.
        worker: Who asks; shown beside the leased tasks.
        limit: Most tasks; default the queue's batch size.
        accounts: Only tasks of these; default all. Leave out the accounts that cannot take work now.

    Returns:
        The tasks, oldest first within account and priority; empty if nothing is ready.
    """
    wanted = spec.batch_size if limit is None else limit
    tasks: list[Task] = []
    with database.transaction() as connection:
        connection.execute(_LOCK, {"queue": spec.name}, prepare=True)
        _maintain(connection, spec)
        while len(tasks) < wanted:
            taken = _take(connection, spec, worker, wanted - len(tasks), accounts)
            tasks += taken
            if not taken:
                break
    tasks.sort(key=lambda task: (task.priority, task.id))
    return tasks


def _maintain(connection: Connection[Any], spec: QueueSpec) -> None:
    row = connection.execute(_TODO, {"queue": spec.name}, prepare=True).fetchone()
    is_due, is_new = row or (False, False)
    if is_due:
        connection.execute(_DUE, {"queue": spec.name, "most": MAINTAINED_AT_ONCE})
    if is_new:
        connection.execute(_NEW, {"queue": spec.name, "most": MAINTAINED_AT_ONCE})


def _take(connection: Connection[Any], spec: QueueSpec, worker: str, limit: int, accounts: Collection[str] | None) -> list[Task]:
    rows = connection.execute(
        _TAKE,
        {
            "queue": spec.name,
            "accounts": None if accounts is None else list(accounts),
            "limit": limit,
            "worker": worker,
            "lease": spec.lease,
        },
        prepare=True,
    ).fetchall()
    return [
        Task(
            id=row[0],
            queue=row[1],
            account=row[2],
            key=row[3],
            payload=decode_json(row[4]),
            priority=row[5],
            lane=_LANES[row[6]],
            attempts=row[7],
            lost_leases=row[8],
            fence=row[9],
            created_at=row[10].astimezone(UTC),
        )
        for row in rows
    ]
