"""What stands in the queues, for sensors, the status page and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from sync_pipelines.core.jsons import Json
from sync_pipelines.core.queue.model import Outcome, State

COUNTED_UP_TO = 20_000
"""Default bound of `counts`: a longer line is only known to be at least so long, at a bounded cost."""

_COUNTS = """
with recursive slots (queue, account) as (
    (select t.queue, t.account from sync.tasks t
     where %(queue)s::text is null or t.queue = %(queue)s order by t.queue, t.account limit 1)
    union all
    select following.queue, following.account
    from slots cross join lateral (
        select t.queue, t.account from sync.tasks t
        where (t.queue, t.account) > (slots.queue, slots.account) and (%(queue)s::text is null or t.queue = %(queue)s)
        order by t.queue, t.account limit 1
    ) following
), timed as materialized (
    select queue, account, count(*) filter (where state = 'leased') as leased,
           count(*) filter (where state = 'retrying') as retrying, min(created_at) as oldest
    from sync.tasks where due_at is not null and (%(queue)s::text is null or queue = %(queue)s)
    group by queue, account
)
select slots.queue, slots.account, total.count - coalesce(timed.leased + timed.retrying, 0) as waiting,
       coalesce(timed.leased, 0) as leased, coalesce(timed.retrying, 0) as retrying,
       extract(epoch from clock_timestamp() - least(timed.oldest, ready.oldest))::float8 as oldest_s,
       total.count >= %(most)s as is_bounded
from slots
left join timed using (queue, account)
cross join lateral (
    select count(*) as count from (
        select 1 from sync.tasks t where t.queue = slots.queue and t.account = slots.account limit %(most)s
    ) bounded
) total
cross join lateral (
    with recursive priorities (priority) as (
        (select t.priority from sync.tasks t
         where t.queue = slots.queue and t.account = slots.account and t.state = 'ready' order by t.priority limit 1)
        union all
        select (select t.priority from sync.tasks t
                where t.queue = slots.queue and t.account = slots.account and t.state = 'ready' and t.priority > p.priority
                order by t.priority limit 1)
        from priorities p where p.priority is not null
    )
    select min(head.created_at) as oldest
    from priorities p cross join lateral (
        select t.created_at from sync.tasks t
        where t.queue = slots.queue and t.account = slots.account and t.state = 'ready' and t.priority >= p.priority
        order by t.priority, t.id limit 1
    ) head
) ready
order by 1, 2
"""
"""Queues, accounts and priorities by loose index scans; what waits behind another task of its key is younger than that one.
``>=`` with both sort columns leaves the planner no other index than the one of ready tasks."""

_HAS_WORK = """
select coalesce(
    (select true from sync.tasks where queue = %(queue)s and state = 'ready' order by queue, account, priority, id limit 1),
    (select true from sync.tasks where queue = %(queue)s and state = 'new' order by id limit 1),
    (select due_at from sync.tasks where queue = %(queue)s and due_at is not null order by due_at limit 1) <= statement_timestamp(),
    false
)
"""

_COLUMNS = """id, queue, account, key, priority, lane, state, attempts, lost_leases, superseded, fence, due_at, worker, error,
    created_at, payload"""

_FIND = f"""
select {_COLUMNS} from sync.tasks
where queue = %(queue)s and (%(account)s::text is null or account = %(account)s) and (%(key)s::text is null or key = %(key)s)
  and (%(state)s::text is null or state = %(state)s) and id > %(after)s
order by id limit %(limit)s
"""  # noqa: S608 - our own column names

_FIND_DONE = """
select id, queue, account, key, priority, lane, outcome, attempts, superseded, worker, error, created_at, finished_at, payload
from sync.tasks_done
where queue = %(queue)s and (%(account)s::text is null or account = %(account)s) and (%(key)s::text is null or key = %(key)s)
  and (%(outcome)s::text is null or outcome = %(outcome)s)
  and (%(text)s::text is null or strpos(lower(error), lower(%(text)s)) > 0)
  and finished_at >= coalesce(%(since)s::timestamptz, '-infinity') and finished_at < coalesce(%(until)s::timestamptz, 'infinity')
order by finished_at desc, id desc limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The line of one account in one queue.

    Attributes:
        queue: Name of the queue.
        account: Whose tasks.
        waiting: Ready, or behind another task of the same key.
        leased: Being worked on.
        retrying: Waiting for a time to come.
        oldest_s: Age of the oldest unfinished task, in seconds.
        is_bounded: The line is at least so long; counting stopped at the bound.
    """

    queue: str
    account: str
    waiting: int
    leased: int
    retrying: int
    oldest_s: float
    is_bounded: bool


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task as it lies in the queue; the times are aware."""

    id: int
    queue: str
    account: str
    key: str
    priority: int
    lane: str
    state: str
    attempts: int
    lost_leases: int
    superseded: int
    fence: int
    due_at: datetime | None
    worker: str | None
    error: str | None
    created_at: datetime
    payload: Json


@dataclass(frozen=True, slots=True)
class DoneTask:
    """A task that has left its queue; the times are aware."""

    id: int
    queue: str
    account: str
    key: str
    priority: int
    lane: str
    outcome: str
    attempts: int
    superseded: int
    worker: str | None
    error: str | None
    created_at: datetime
    finished_at: datetime
    payload: Json


def counts(connection: Connection[Any], queue: str | None = None, *, most: int | None = COUNTED_UP_TO) -> list[QueueCounts]:
    """The length and age of every account's line.

    Args:
        connection: Any.
        queue: Only this one.
        most: Where counting a line stops; ``None`` counts exactly, which reads an index entry for every task.
    """
    with connection.cursor(row_factory=class_row(QueueCounts)) as cursor:
        parameters = {"queue": queue, "most": most if most is not None else 2**62}
        return cursor.execute(_COUNTS, parameters).fetchall()


def has_work(connection: Connection[Any], queue: str) -> bool:
    """Whether a claim now would find something, in three index probes: what a sensor asks at every tick."""
    row = connection.execute(
        _HAS_WORK,
        {"queue": queue},
    ).fetchone()
    return bool(row and row[0])


def find(
    connection: Connection[Any],
    queue: str,
    *,
    account: str | None = None,
    key: str | None = None,
    state: State | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[StoredTask]:
    """Tasks of a queue, oldest first.

    Args:
        connection: Any.
        queue: Name of the queue.
        account: Only this account's.
        key: Only this key's.
        state: Only those that stand so.
        after: Only ids above, to go on after a page.
        limit: At most so many.
    """
    with connection.cursor(row_factory=class_row(StoredTask)) as cursor:
        parameters = {"queue": queue, "account": account, "key": key, "state": state, "after": after, "limit": limit}
        return cursor.execute(_FIND, parameters).fetchall()


def find_done(
    connection: Connection[Any],
    queue: str,
    *,
    account: str | None = None,
    key: str | None = None,
    outcome: Outcome | None = None,
    text: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
) -> list[DoneTask]:
    """Finished tasks of a queue, newest first, as far back as they are kept.

    Args:
        connection: Any.
        queue: Name of the queue.
        account: Only this account's.
        key: Only this key's.
        outcome: Only those that ended so.
        text: Occurs in the error text.
        since: Finished at or after, aware.
        until: Finished before, aware.
        limit: At most so many.
    """
    with connection.cursor(row_factory=class_row(DoneTask)) as cursor:
        return cursor.execute(
            _FIND_DONE,
            {
                "queue": queue,
                "account": account,
                "key": key,
                "outcome": outcome,
                "text": text,
                "since": since,
                "until": until,
                "limit": limit,
            },
        ).fetchall()


def show(connection: Connection[Any], task_id: int) -> StoredTask | None:
    """One unfinished task."""
    with connection.cursor(row_factory=class_row(StoredTask)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from sync.tasks where id = %s",  # noqa: S608 - as above
            [task_id],
        ).fetchone()
