"""Group commit by natural batching: whatever arrives while a flush is under way is the next flush.

No timer: an idle service commits a delivery at once, a busy one commits some dozens together, and the batch finds its size by
itself. A submitter is told only after its batch is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias, TypeVar

import psycopg

from sync_pipelines.core.errors import DataError, SyncError
from sync_pipelines.core.faults import describe

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Settled: TypeAlias = Callable[[ResultT | Exception], None]
"""Told an item's result, or why it could not be committed."""

_LOG = logging.getLogger(__name__)


class IntakeFull(SyncError):
    """More is waiting to be committed than may be lost to a crash unanswered; the sender shall come again."""


class GroupCommit(Generic[ItemT, ResultT]):
    """Commits items of many requests of one event loop together.

    Args:
        commit: Commits a batch and returns one result for each item; called in a thread. If it refuses a batch for its data
            (`psycopg.DataError`, `errors.DataError`), the batch is halved until the bad item stands alone.
        flushers: Commits under way at once.
        max_batch: Most items of a commit. A hundred senders all in one batch would wait for it together, and nothing would be
            received meanwhile.
        max_pending: Most items waiting; more are refused with `IntakeFull`.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[ItemT]], Sequence[ResultT]],
        *,
        flushers: int = 3,
        max_batch: int = 64,
        max_pending: int = 5_000,
    ) -> None:
        self._commit = commit
        self._flushers = flushers
        self._max_batch = max_batch
        self._max_pending = max_pending
        self._pending: list[tuple[ItemT, Settled[ResultT]]] = []
        self._work = asyncio.Event()
        self._is_ending = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flushes as long as the context lasts; at its end what is pending is still committed."""
        self._is_ending = False
        with ThreadPoolExecutor(self._flushers, thread_name_prefix="flush") as threads:
            flushers = [asyncio.create_task(self._flush(threads)) for _ in range(self._flushers)]
            try:
                yield
            finally:
                self._is_ending = True
                self._work.set()
                await asyncio.gather(*flushers)

    def submit(self, item: ItemT, settled: Settled[ResultT]) -> None:
        """Has an item committed with the next batch.

        Args:
            item: What to commit.
            settled: Called in the event loop with the item's result; with an exception if the commit failed (for instance
                `errors.DatabaseUnavailable`) or the database cannot hold this very item (`psycopg.DataError`).

        Raises:
            IntakeFull: Too much is waiting.
        """
        if len(self._pending) >= self._max_pending:
            raise IntakeFull("too many deliveries wait to be stored")
        self._pending.append((item, settled))
        self._work.set()

    async def _flush(self, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while self._pending or not self._is_ending:
            await self._work.wait()
            batch = self._pending[: self._max_batch]
            del self._pending[: len(batch)]
            if not (self._pending or self._is_ending):
                self._work.clear()
            if batch:
                await self._settle(loop, threads, batch)

    async def _settle(
        self, loop: asyncio.AbstractEventLoop, threads: ThreadPoolExecutor, batch: list[tuple[ItemT, Settled[ResultT]]]
    ) -> None:
        results: Sequence[ResultT | Exception]
        try:
            results = await loop.run_in_executor(threads, self._commit, [item for item, _ in batch])
        except (psycopg.DataError, DataError) as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._settle(loop, threads, batch[:middle])
                await self._settle(loop, threads, batch[middle:])
                return
            results = [error]
        except Exception as error:  # noqa: BLE001 - every waiting request must get an answer, whatever went wrong
            results = [error] * len(batch)
        for (_, settled), result in zip(batch, results, strict=True):
            try:
                settled(result)
            except Exception as error:  # noqa: BLE001 - one that cannot be told must not keep the others from being stored
                _LOG.error("a submitter could not be told: %s", describe(error).text)
