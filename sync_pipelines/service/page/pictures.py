"""The picture as of at most two seconds ago: however many pages are open, the database is asked once.

A picture is also kept ready for whoever opens the page, who then waits for no query; the page asks for a fresh one a second later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
from starlette.concurrency import run_in_threadpool

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.faults import describe
from sync_pipelines.overview.models import Alerts, History, Links, Queues, Status
from sync_pipelines.overview.reading import read_alerts, read_history, read_links, read_queues, read_status
from sync_pipelines.overview.watched import Watched, WatchedStream
from sync_pipelines.service.page import views

MAX_AGE_S = 2.0
CONFIGURATION_AGE_S = 10.0

KEPT_EVERY_S = 15.0
KEPT_FOR_S = 20.0
"""How old a picture may be that is shown at once."""

_LOG = logging.getLogger(__name__)


class Pictures:
    """What the page shows, for one process. Thread-safe.

    Args:
        database: A pool of its own, so that people who look never hold up webhooks.
        watched: The active configuration's; asked again every ten seconds, so that the page follows it.
        max_age_s: How old a status may be that is shown again.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        database: Database,
        watched: Callable[[], Watched],
        *,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self._watched, self._max_age_s, self._clock = watched, max_age_s, clock
        self._lock = threading.Lock()
        self._status: tuple[float, Status] | None = None
        self._known: tuple[float, Watched] | None = None
        self._front: tuple[float, str] | None = None
        self._is_keeping = False

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Keeps a picture ready as long as the context lasts; for the application's lifespan."""
        keeper = asyncio.create_task(self._keep())
        self._is_keeping = True
        try:
            yield
        finally:
            self._is_keeping = False
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    def front(self, *, is_fresh: bool) -> str:
        """The front page as HTML: read anew, or the one that is kept ready, if any."""
        kept = self._front
        if self._is_keeping and not is_fresh and kept is not None and self._clock() - kept[0] < KEPT_FOR_S:
            return kept[1]
        status = self.status()
        html = views.front(status)
        self._front = (self._clock(), html)
        return html

    def status(self) -> Status:
        """The front page's."""
        with self._lock:
            if self._status is None or self._clock() - self._status[0] >= self._max_age_s:
                found = read_status(self.database, self._configured())
                self._status = (self._clock(), found)
            return self._status[1]

    def find(self, vendor: str, stream: str, account: str) -> WatchedStream | None:
        """A stream of an account, which may be named without its vendor where that leaves no doubt."""
        candidates = [
            item
            for item in self.watched().streams
            if item.stream.key == f"{vendor}/{stream}" and account in {item.account, item.account.split("/", 1)[1]}
        ]
        return candidates[0] if len(candidates) == 1 else None

    def history(self, of: WatchedStream, days: int) -> History:
        """One stream's past."""
        return read_history(self.database, self.watched(), of, days=days)

    def links(self) -> Links:
        """All links."""
        return read_links(self.database, self.watched())

    def queues(self) -> Queues:
        """All queues."""
        return read_queues(self.database)

    def alerts(self) -> Alerts:
        """The alert ledger."""
        return read_alerts(self.database, self.watched())

    def watched(self) -> Watched:
        """The active configuration's."""
        with self._lock:
            return self._configured()

    def _configured(self) -> Watched:
        if self._known is None or self._clock() - self._known[0] >= CONFIGURATION_AGE_S:
            self._known = (self._clock(), self._watched())
        return self._known[1]

    async def _keep(self) -> None:
        while True:
            try:
                await run_in_threadpool(self.front, is_fresh=True)
            except (SyncError, psycopg.Error) as error:
                _LOG.warning("no picture could be kept ready: %s", describe(error).text)
            await asyncio.sleep(KEPT_EVERY_S)
