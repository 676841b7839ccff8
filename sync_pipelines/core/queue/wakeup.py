"""Waking idle workers: LISTEN/NOTIFY for speed, a poll for certainty."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from time import monotonic
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import Connection

CHANNEL = "sync_tasks"
"""The payload of each notification is a queue's name."""


def notify(connection: Connection[Any], queue: str) -> None:
    """Wakes the workers of a queue when the surrounding transaction commits."""
    connection.execute("select pg_notify(%s, %s)", [CHANNEL, queue])


class Wakeup:
    """Waits for new work on some queues, on a connection of its own.

    A lost connection is opened again by the next `wait`; meanwhile the time-out is the poll. Work that becomes due by time
    (retries, ended leases) and tasks that move up after another is finished are not announced: poll for them.

    Args:
        url: The database.
        queues: Names of the queues.
        sleep: Waits out the time-out when the server is away.
    """

    def __init__(self, url: str, queues: Collection[str], *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url
        self._sleep = sleep
        self._queues = frozenset(queues)
        self._connection: Connection[Any] | None = None

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def wait(self, timeout_s: float) -> bool:
        """Returns ``True`` as soon as work was announced, ``False`` after ``timeout_s`` seconds; look for work either way."""
        end = monotonic() + timeout_s
        try:
            connection = self._connection or self._listen()
            while (left := end - monotonic()) > 0:
                if any(notice.payload in self._queues for notice in connection.notifies(timeout=left, stop_after=1)):
                    return True
        except psycopg.OperationalError:
            self.close()
            self._sleep(max(0.0, end - monotonic()))
        return False

    def _listen(self) -> Connection[Any]:
        self._connection = psycopg.connect(self._url, autocommit=True, application_name="sync-pipelines wakeup")
        self._connection.execute(f"listen {CHANNEL}")
        return self._connection
