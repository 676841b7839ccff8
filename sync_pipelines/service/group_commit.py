"""Group commit by natural batching: whatever arrives while a flush is under way is the next flush.

No timer: an idle service commits a delivery at once, a busy one commits some hundred together, and the batch finds its size by
itself. A submitter gets its answer only after its batch is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import psycopg

from sync_pipelines.core.errors import DataError, SyncError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class IntakeFull(SyncError):
    """More is waiting to be committed than may be lost to a crash unanswered; the sender shall come again."""


class GroupCommit(Generic[ItemT, ResultT]):
    """Commits items of many tasks of one event loop together.

    Args:
        commit: Commits a batch and returns one result for each item; called in a thread. If it refuses a batch for its data
            (`psycopg.DataError`, `errors.DataError`), the batch is halved until the bad item stands alone.
        flushers: Commits under way at once.
        max_batch: Most items of a commit.
        max_pending: Most items waiting; more are refused with `IntakeFull`.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[ItemT]], Sequence[ResultT]],
        *,
        flushers: int = 3,
        max_batch: int = 500,
        max_pending: int = 5_000,
    ) -> None:
        self._commit = commit
        self._flushers = flushers
        self._max_batch = max_batch
        self._max_pending = max_pending
        self._pending: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._work = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flushes as long as the context lasts; at its end what is pending is still committed."""
        with ThreadPoolExecutor(self._flushers, thread_name_prefix="flush") as threads:
            flushers = [asyncio.create_task(self._flush(threads)) for _ in range(self._flushers)]
            try:
                yield
            finally:
                if self._pending:
                    await asyncio.gather(*(future for _, future in self._pending), return_exceptions=True)
                for flusher in flushers:
                    flusher.cancel()
                await asyncio.gather(*flushers, return_exceptions=True)

    async def submit(self, item: ItemT) -> ResultT:
        """Returns the item's result once it is committed.

        Raises:
            IntakeFull: Too much is waiting.
            SyncError: The commit failed, for instance as `errors.DatabaseUnavailable`.
            psycopg.DataError: The database cannot hold this very item.
        """
        if len(self._pending) >= self._max_pending:
            raise IntakeFull("too many deliveries wait to be stored")
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        self._work.set()
        return await future

    async def _flush(self, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._work.wait()
            batch = self._pending[: self._max_batch]
            del self._pending[: len(batch)]
            if not self._pending:
                self._work.clear()
            if batch:
                await self._settle(loop, threads, batch)

    async def _settle(
        self, loop: asyncio.AbstractEventLoop, threads: ThreadPoolExecutor, batch: list[tuple[ItemT, asyncio.Future[ResultT]]]
    ) -> None:
        try:
            results = await loop.run_in_executor(threads, self._commit, [item for item, _ in batch])
        except (psycopg.DataError, DataError) as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._settle(loop, threads, batch[:middle])
                await self._settle(loop, threads, batch[middle:])
                return
            _refuse(batch, error)
        except Exception as error:  # noqa: BLE001 - every waiting request must get an answer, whatever went wrong
            _refuse(batch, error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _refuse(batch: Sequence[tuple[object, asyncio.Future[ResultT]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
