"""The two queues of the fan-out, and the ways work gets into them.

``grand_shooting.changes``: reference X of the main account may have changed; read it. ``grand_shooting.fan_out``: bring one
reference of one link up to the mirror. A task carries no content, only the wish, so a newer one may always take an older one's
place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core import volumes
from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.queue import NewTask, QueueSpec, enqueue

RETRY_DELAY = timedelta(seconds=30)

CHANGES = QueueSpec(name="grand_shooting.changes", retry_delays=(RETRY_DELAY,), supersede=True)
FAN_OUT = QueueSpec(name="grand_shooting.fan_out", retry_delays=(RETRY_DELAY,), supersede=True, lease=timedelta(minutes=5))

_DIFFERENCES = """
select r.ref from grand_shooting.references r
left join grand_shooting.replicas p on p.link = %(link)s and p.ref = r.ref
where r.account = %(main)s and (
    (r.deleted_at is null and (p.seen is distinct from r.content_hash || %(configuration)s))
    or (r.deleted_at is not null and p.state in ('applied', 'held', 'failed', 'writing') and p.seen is distinct from '\\x'::bytea))
"""
"""Everything of the mirror that a link has not taken notice of yet: the net below lost webhooks, and what a new mapping means."""


def for_link(retries: int) -> QueueSpec:
    """The fan-out queue with a link's own number of retries, each later than the one before."""
    return QueueSpec(
        name=FAN_OUT.name, retry_delays=tuple(RETRY_DELAY * 2**n for n in range(retries)), supersede=True, lease=FAN_OUT.lease
    )


def announce(connection: Connection[Any], main: str, reference_ids: Iterable[int], topic: str) -> int:
    """References of the main account that may have changed; one task each, waiting ones are taken over."""
    tasks = [
        NewTask(account=main, key=str(number), payload={"topic": topic}, lane=Lane.WEBHOOK)
        for number in dict.fromkeys(reference_ids)
    ]
    done = enqueue(connection, CHANGES, tasks)
    return done.added + done.superseded


def spread(connection: Connection[Any], main: str, refs: Sequence[str], lane: Lane = Lane.WEBHOOK) -> int:
    """One task per reference for every link that follows the main account at once."""
    if not refs:
        return 0
    rows = connection.execute("select link from grand_shooting.links where main = %s and is_followed", [main]).fetchall()
    return sum(request(connection, link, refs, lane) for (link,) in rows)


def request(connection: Connection[Any], link: str, refs: Sequence[str], lane: Lane, **payload: Any) -> int:
    """Asks for references of one link to be brought up to the mirror; returns how many."""
    enqueue(connection, FAN_OUT, (NewTask(account=link, key=ref, payload=payload, lane=lane) for ref in refs))
    volumes.count(connection, link, received=len(refs))
    return len(refs)


def request_differences(connection: Connection[Any], link: str, main: str, configuration: bytes, lane: Lane = Lane.LIVE) -> int:
    """Asks for every reference whose mirror a link has not taken notice of; returns how many."""
    rows = connection.execute(_DIFFERENCES, {"link": link, "main": main, "configuration": configuration}).fetchall()
    return request(connection, link, [ref for (ref,) in rows], lane) if rows else 0
