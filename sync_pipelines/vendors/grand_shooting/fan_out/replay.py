"""Doing finished work again: chosen by link, time, reference or error, from what the queue keeps of the last seven days."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from sync_pipelines.core.buckets import Lane
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import FAN_OUT, request

_SELECT = """
select distinct key from sync.tasks_done
where queue = %(queue)s and account = %(link)s and finished_at >= %(since)s and finished_at < %(until)s and outcome <> 'purged'
  and (%(ref)s::text is null or key = %(ref)s) and (%(error)s::text is null or strpos(error, %(error)s) > 0)
  and (not %(only_failed)s or outcome = 'dead') order by key
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which finished work.

    Attributes:
        link: Of this link.
        since: Finished at or after, aware.
        until: Finished before, aware.
        ref: Only this reference.
        error: Only with an error that contains this text.
        only_failed: Only what was given up.
    """

    link: str
    since: datetime
    until: datetime
    ref: str | None = None
    error: str | None = None
    only_failed: bool = False


def select(connection: Connection[Any], selection: Selection) -> list[str]:
    """The references the selection names, each once."""
    return [key for (key,) in connection.execute(_SELECT, {**asdict(selection), "queue": FAN_OUT.name}).fetchall()]


def replay(connection: Connection[Any], selection: Selection) -> int:
    """Requests them again, written even if they are what was last written; returns how many."""
    refs = select(connection, selection)
    return request(connection, selection.link, refs, Lane.REPLAY, force=True) if refs else 0
