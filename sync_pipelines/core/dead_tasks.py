"""Where queue and dead letters meet: a task that is given up becomes a letter, and a letter can become a task again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from sync_pipelines.core import dead_letters
from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.dead_letters import Letter, NewLetter, RetryQueue
from sync_pipelines.core.faults import Fault
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.queue import NewTask, QueueSpec, Task, bury, enqueue, finish


def fail(
    connection: Connection[Any],
    task: Task,
    fault: Fault,
    *,
    run_id: str,
    request: str = "",
    response: bytes | None = None,
    retry: RetryQueue | None = None,
) -> int:
    """Takes a task out of its queue and opens a letter under the queue's name; what waits behind it goes on.

    With a ``retry`` queue the letter is tried again by itself before a person is needed.

    Returns:
        The id of the dead letter. Its payload is the task's, to be edited and sent again.

    Raises:
        LeaseLost: Another worker has taken the task over; roll back.
    """
    bury(connection, [task], f"{fault.cause}: {fault.text}")
    return dead_letters.open_letter(
        connection,
        NewLetter(
            account=task.account,
            subject=task.queue,
            key=task.key,
            cause=fault.cause,
            error=fault.text,
            payload=encode_json(task.payload),
            request=request,
            response=response,
            run_id=run_id,
            retry=retry,
        ),
    )


def succeed(connection: Connection[Any], tasks: Sequence[Task]) -> None:
    """Records tasks as done and resolves the letters that earlier tasks of the same keys left behind.

    Raises:
        LeaseLost: Another worker has taken over one of them; roll back.
    """
    finish(connection, tasks)
    keys: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        keys.setdefault((task.account, task.queue), []).append(task.key)
    for (account, queue), done in keys.items():
        dead_letters.resolve_newer(connection, account, queue, done)


def put_back(connection: Connection[Any], spec: QueueSpec, letter: Letter, *, by: str) -> None:
    """Makes a task of a dead task's (edited) payload again and resolves its letter.

    Args:
        connection: Open transaction.
        spec: The queue that the letter's subject names.
        letter: The letter.
        by: Who wants it.
    """
    task = NewTask(account=letter.account, key=letter.key, payload=decode_json(letter.payload), lane=Lane.RETRY)
    enqueue(connection, spec, [task])
    dead_letters.resolve(connection, [letter.id], by=by)
