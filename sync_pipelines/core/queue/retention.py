"""How long finished work is kept, and how waiting work is thrown away on purpose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from sync_pipelines.core import partitions
from sync_pipelines.core.queue.model import State

DAYS_AHEAD = 7

_PURGE = """
with doomed as (
    select t.id from sync.tasks t
    where t.queue = %(queue)s and t.state <> 'leased'
      and (%(account)s::text is null or t.account = %(account)s) and (%(key)s::text is null or t.key = %(key)s)
      and (%(state)s::text is null or t.state = %(state)s)
    order by t.id limit %(most)s for update skip locked
), gone as (
    delete from sync.tasks t where t.id in (select id from doomed) returning t.*
), kept as (
    insert into sync.tasks_done
        (finished_at, id, queue, account, key, payload, priority, lane, outcome, attempts, superseded, worker, error, created_at)
    select clock_timestamp(), id, queue, account, key, payload, priority, lane, 'purged', attempts, superseded, null,
           'purged by ' || %(by)s::text || coalesce('; last error: ' || error, ''), created_at
    from gone returning 1
)
select count(*) from kept
"""

_REOPEN = """
update sync.tasks t set state = 'new'
where t.queue = %(queue)s and t.state = 'behind'
  and not exists (
      select 1 from sync.tasks h
      where h.queue = t.queue and h.account = t.account and h.key = t.key and h.state in ('ready', 'leased', 'retrying')
  )
"""
"""What stood behind a purged task is looked at again by the next claim."""


def ensure_partitions(connection: Connection[Any], *, now: datetime | None = None) -> None:
    """Makes the coming days' partitions of finished work; call it daily. Rows of a missing day go to the default partition."""
    today = (now or datetime.now(UTC)).date()
    partitions.ensure_days(connection, "tasks_done", first=today, days=DAYS_AHEAD + 1)


def drop_partitions(connection: Connection[Any], before: datetime) -> int:
    """Forgets finished work of the days before ``before`` (aware UTC); returns the number of days dropped."""
    dropped = partitions.drop_days_before(connection, "tasks_done", before.astimezone(UTC).date())
    connection.execute("delete from sync.tasks_done_rest where finished_at < %s", [before])
    return dropped


def purge(
    connection: Connection[Any],
    queue: str,
    *,
    by: str,
    account: str | None = None,
    key: str | None = None,
    state: State | None = None,
    most: int = 100_000,
) -> int:
    """Throws waiting tasks away; leased ones stay. They can be looked up among the finished work, with who purged them.

    Args:
        connection: Open transaction.
        queue: Name of the queue.
        by: Who wants it.
        account: Only this account's.
        key: Only this key's.
        state: Only those that stand so.
        most: At most so many, oldest first.

    Returns:
        How many were purged.
    """
    row = connection.execute(
        _PURGE, {"queue": queue, "account": account, "key": key, "state": state, "most": most, "by": by}
    ).fetchone()
    connection.execute(_REOPEN, {"queue": queue})
    return int(row[0]) if row else 0
