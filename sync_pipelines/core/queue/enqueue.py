"""Putting work into a queue, in the producer's own transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from psycopg import Connection

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import Json, encode_json
from sync_pipelines.core.queue.model import NewTask, QueueSpec
from sync_pipelines.core.queue.wakeup import notify as send_notification

CHUNK = 5_000
"""Tasks a statement: large enough for speed, small enough for flat memory."""

_INSERT = """
insert into sync.tasks (queue, account, key, payload, priority, lane, attempts, due_at, state)
select %(queue)s, u.account, u.key, u.payload::jsonb, u.priority, u.lane, %(attempts)s,
       case when u.leads and is_first then clock_timestamp() + %(delay)s end,
       case when not (u.leads and is_first) then 'new'
            when %(delay)s is null then 'ready'
            else 'retrying' end
from unnest(%(accounts)b::text[], %(keys)b::text[], %(payloads)b::text[], %(priorities)b::smallint[], %(lanes)b::text[],
            %(leads)b::boolean[]) with ordinality as u (account, key, payload, priority, lane, leads, place)
cross join lateral (
    select not exists (select 1 from sync.tasks t where t.queue = %(queue)s and t.account = u.account and t.key = u.key) as is_first
    offset 0
) looked_up
order by u.place
"""
"""``offset 0`` keeps the look-up one index probe a row, whatever the statistics of a young table say."""

_SUPERSEDE = """
with incoming as (
    select *
    from unnest(%(accounts)b::text[], %(keys)b::text[], %(payloads)b::text[], %(priorities)b::smallint[], %(lanes)b::text[])
        with ordinality as u (account, key, payload, priority, lane, place)
), latest as (
    select incoming.*, found.id
    from incoming cross join lateral (
        select max(t.id + 0) as id from sync.tasks t
        where t.queue = %(queue)s and t.account = incoming.account and t.key = incoming.key
          and t.state in ('new', 'behind', 'ready', 'retrying')
    ) found
    where found.id is not null
), held as (
    select t.id from sync.tasks t where t.id in (select id from latest) and t.state <> 'leased'
    for update of t skip locked
)
update sync.tasks t
set payload = latest.payload::jsonb,
    lane = case when latest.priority < t.priority then latest.lane else t.lane end,
    priority = least(t.priority, latest.priority),
    state = case t.state when 'retrying' then 'ready' else t.state end,
    due_at = null,
    attempts = case t.state when 'retrying' then 0 else t.attempts end,
    superseded = t.superseded + 1
from latest
where t.id = latest.id and t.id in (select id from held)
returning latest.place
"""
"""A task that another transaction holds is left alone (the new one queues behind it), so producers never wait for each other.
The waiting task keeps its place and its age: a key that changes all the time is not pushed to the end for ever."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of new tasks.

    Attributes:
        added: Tasks put into the queue.
        superseded: Tasks whose place a newer one of the same key took.
    """

    added: int = 0
    superseded: int = 0


def enqueue(
    connection: Connection[Any], spec: QueueSpec, tasks: Iterable[NewTask], *, retry_of_failure: bool = False, notify: bool = True
) -> Enqueued:
    """Adds tasks to a queue; they become visible with the caller's transaction.

    Order within a key is the order of the calls, and of the tasks within one call. Of two transactions that overlap in time, either
    may come first.

    Args:
        connection: Open transaction of the producer (or autocommit: then a failure in the middle leaves whole chunks).
        spec: The queue.
        tasks: Any number; read in chunks, so a generator of a million is fine.
        retry_of_failure: The first attempt was made elsewhere and failed, so the first retry delay passes before the work begins.
        notify: Wake listening workers at commit. Producers with thousands of commits a second turn it off: Postgres commits
            notifying transactions one after the other.

    Raises:
        DataError: A payload or key that Postgres cannot hold (U+0000, lone surrogates); nothing of its chunk is added.
    """
    added = superseded = 0
    for chunk in _chunks(tasks):
        rows = chunk
        if spec.supersede:
            rows = list({(task.account, task.key): task for task in chunk}.values())
            superseded += len(chunk) - len(rows)
            replaced = {place for (place,) in connection.execute(_SUPERSEDE, _columns(spec, rows), prepare=True)}
            superseded += len(replaced)
            rows = [task for place, task in enumerate(rows, start=1) if place not in replaced]
        if rows:
            delay = spec.retry_delays[0] if retry_of_failure and spec.retry_delays else None
            connection.execute(
                _INSERT,
                {**_columns(spec, rows), "leads": _leads(rows), "attempts": int(retry_of_failure), "delay": delay},
                prepare=True,
            )
            added += len(rows)
    if notify and added + superseded:
        send_notification(connection, spec.name)
    return Enqueued(added, superseded)


def _chunks(tasks: Iterable[NewTask]) -> Iterator[list[NewTask]]:
    remaining = iter(tasks)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _columns(spec: QueueSpec, tasks: Sequence[NewTask]) -> dict[str, Any]:
    return {
        "queue": spec.name,
        "accounts": [task.account for task in tasks],
        "keys": [_storable(task.key, spec, task.account) for task in tasks],
        "payloads": [_payload_text(task.payload, spec, task.account) for task in tasks],
        "priorities": [task.lane.rank if task.priority is None else task.priority for task in tasks],
        "lanes": [str(task.lane) for task in tasks],
    }


def _leads(tasks: Sequence[NewTask]) -> list[bool]:
    """Whether each task is the first of its key within this statement."""
    seen: set[tuple[str, str]] = set()
    leads = []
    for task in tasks:
        key = (task.account, task.key)
        leads.append(key not in seen)
        seen.add(key)
    return leads


def _payload_text(payload: Json, spec: QueueSpec, account: str) -> str:
    try:
        text = encode_json(payload).decode()
    except (ValueError, TypeError) as error:
        raise DataError(f"{spec.name}: a payload of {account} has no JSON form: {type(error).__name__}", account=account) from error
    if "\\u0000" in text:
        raise DataError(f"{spec.name}: a payload of {account} contains the character U+0000, which jsonb refuses", account=account)
    return text


def _storable(key: str, spec: QueueSpec, account: str) -> str:
    if "\x00" in key or not (key.isprintable() or _encodes(key)):
        raise DataError(f"{spec.name}: a key of {account} is not text that Postgres can hold", account=account)
    return key


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
