"""The always-on process beside Dagster: an ASGI application with health, readiness and whatever parts are mounted into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import SyncError

Part = Callable[[], AbstractAsyncContextManager[None]]
"""Something that works beside the requests, as long as the application runs."""


def create_app(database: Database, *, routes: Sequence[BaseRoute] = (), parts: Sequence[Part] = ()) -> Starlette:
    """The application.

    Args:
        database: Its pool; closed with the application.
        routes: Webhook intake, status page, JSON.
        parts: Entered in order at start, left in reverse order before the database is closed.
    """

    async def alive(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_: Request) -> Response:
        try:
            await run_in_threadpool(_ask, database)
        except SyncError:
            return JSONResponse({"ready": False, "reason": "the database does not answer"}, status_code=503)
        return JSONResponse({"ready": True})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            async with AsyncExitStack() as running:
                for part in parts:
                    await running.enter_async_context(part())
                yield
        finally:
            await run_in_threadpool(database.close)

    return Starlette(
        routes=[Route("/healthz", alive), Route("/readyz", ready), *routes],
        lifespan=lifespan,
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    """No such address, or not by this method."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for nothing else
    return JSONResponse({"error": error.detail.lower()}, status_code=error.status_code, headers=error.headers)


def _ask(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("select 1")
