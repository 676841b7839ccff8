"""Work that needs nothing but the database, done right after the commit that stored it: no sensor, no run, no vendor call.

It is a shortcut, not a promise: the same queue is drained by its job, and leases keep the two apart. What fails here stays in the
queue and is done there, where a person sees why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from sync_pipelines.core.db import Database
from sync_pipelines.core.faults import describe
from sync_pipelines.core.webhooks import WorkLocally

RUN_ID = "service"
"""Rows written here say so instead of naming a run."""

REST_S = 5.0
"""After a failure; meanwhile the job may do the work."""

_LOG = logging.getLogger(__name__)


class LocalWork:
    """One webhook's work, one drain at a time; whatever arrives meanwhile is the next drain.

    Args:
        database: Where queue and tables are.
        work: The vendor's drain.
        settings_of: Account id to the account's settings, ``None`` if there is no such account.
        rest_s: Seconds of rest after a failure.
    """

    def __init__(
        self, database: Database, work: WorkLocally, settings_of: Callable[[str], Any | None], *, rest_s: float = REST_S
    ) -> None:
        self._database, self._work, self._settings_of, self._rest_s = database, work, settings_of, rest_s
        self._accounts: set[str] = set()
        self._awake = asyncio.Event()

    def wake(self, account: str) -> None:
        """An account's work is committed."""
        self._accounts.add(account)
        self._awake.set()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            accounts, self._accounts = self._accounts, set()
            try:
                settings = {account: found for account in accounts if (found := self._settings_of(account)) is not None}
                await run_in_threadpool(self._work, self._database, settings, run_id=RUN_ID)
            except Exception as error:  # noqa: BLE001 - a drain that fails must not be the last one
                _LOG.warning("work of %s is left to its job: %s", ", ".join(sorted(accounts)), describe(error).text)
                await asyncio.sleep(self._rest_s)
