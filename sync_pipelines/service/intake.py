"""Webhooks over HTTP: verify, store, then answer 200. Anything but 200 tells the vendor to deliver again.

404 unknown account, 413 larger than a megabyte, 401 wrong key or signature, 400 no JSON, 503 the database is away or behind.
Answers say nothing more than that, and neither keys nor bodies reach a log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.core import intake, queue
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ContractError, DatabaseUnavailable, DataError, SyncError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.intake import Delivery
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.webhooks import Verdict, WebhookRoute
from sync_pipelines.service.group_commit import GroupCommit, IntakeFull

MAX_BODY = 1_048_576
"""Bytes; vendors' webhooks have some kilobytes."""

ANNOUNCE_PAUSE_S = 0.05
"""Workers are woken at most this often: Postgres commits notifying transactions one after the other."""

PREPARE_AGAIN_S = 2.0

_LOG = logging.getLogger(__name__)

_REFUSALS = {Verdict.FORGED: (401, "wrong key or signature"), Verdict.WRONG_ACCOUNT: (404, "unknown account")}


class TooLarge(SyncError):
    """The body is larger than `MAX_BODY`."""


class Intake:
    """The intake of one process: its routes, and the committing behind them.

    Args:
        database: Where deliveries go.
        webhooks: What vendors declare.
        settings_of: Account id to that account's settings; ``None`` if there is no such account.
        flushers: Commits under way at once; each uses one connection.
        max_pending: Deliveries waiting for their commit before new ones are refused with 503.
    """

    def __init__(
        self,
        database: Database,
        webhooks: Iterable[WebhookRoute],
        settings_of: Callable[[str], Any | None],
        *,
        flushers: int = 3,
        max_pending: int = 5_000,
    ) -> None:
        self._database = database
        self._webhooks = tuple(webhooks)
        self._settings_of = settings_of
        self._commits: GroupCommit[Delivery, bool] = GroupCommit(self._store, flushers=flushers, max_pending=max_pending)
        self._awake: set[str] = set()
        self._announce = asyncio.Event()

    def routes(self) -> list[BaseRoute]:
        """One POST route for each webhook."""
        return [Route(webhook.path, self._endpoint(webhook), methods=["POST"]) for webhook in self._webhooks]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Makes the day partitions and commits as long as the context lasts; for the application's lifespan."""
        announcer = asyncio.create_task(self._announce_work())
        preparer = asyncio.create_task(self._prepare_when_possible())
        try:
            async with self._commits.running():
                yield
        finally:
            announcer.cancel()
            preparer.cancel()
            await asyncio.gather(announcer, preparer, return_exceptions=True)

    async def receive(self, webhook: WebhookRoute, request: Request) -> Response:
        """Answers one delivery."""
        account = f"{webhook.vendor}/{request.path_params['account']}"
        settings = self._settings_of(account)
        if settings is None:
            return _answer(404, "unknown account")
        try:
            body = await _body(request)
        except TooLarge:
            return _answer(413, f"more than {MAX_BODY} bytes")
        headers = dict(request.headers)
        verdict = webhook.verify(settings, headers, dict(request.query_params), body)
        if verdict in _REFUSALS:
            return _answer(*_REFUSALS[verdict])
        try:
            delivery = _read(webhook, account, settings, headers, body)
        except ContractError:
            return _answer(400, "not JSON")
        try:
            is_new = await self._commits.submit(delivery)
        except (DataError, psycopg.DataError) as error:
            is_new = await self._commits.submit(_without_tasks(delivery, error))
        if is_new:
            self._wake(delivery)
        return _answer(200, "stored")

    def _endpoint(self, webhook: WebhookRoute) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                return await self.receive(webhook, request)
            except ClientDisconnect:
                return _answer(400, "the connection was closed")
            except (DatabaseUnavailable, IntakeFull):
                return _answer(503, "storage unavailable", {"Retry-After": "10"})
            except Exception as error:  # noqa: BLE001 - the sender learns nothing of our insides, the log only the kind of error
                _LOG.error("a delivery to %s failed: %s", webhook.path, describe(error).text)
                return _answer(503, "storage unavailable", {"Retry-After": "10"})

        return endpoint

    async def _prepare_when_possible(self) -> None:
        """A service that starts while the database is away answers 503, and its watchdog says why."""
        while True:
            try:
                await run_in_threadpool(self._prepare)
            except DatabaseUnavailable:
                await asyncio.sleep(PREPARE_AGAIN_S)
            else:
                return

    def _prepare(self) -> None:
        with self._database.connect() as connection:
            intake.ensure_partitions(connection)
            queue.ensure_partitions(connection)

    def _store(self, deliveries: Sequence[Delivery]) -> list[bool]:
        with self._database.transaction() as connection:
            return intake.store(connection, deliveries)

    def _wake(self, delivery: Delivery) -> None:
        if delivery.tasks:
            self._awake.update(spec.name for spec, _ in delivery.tasks)
            self._announce.set()

    async def _announce_work(self) -> None:
        while True:
            await self._announce.wait()
            self._announce.clear()
            queues, self._awake = self._awake, set()
            try:
                await run_in_threadpool(self._notify, queues)
            except (DatabaseUnavailable, psycopg.Error) as error:
                _LOG.warning("workers were not woken, they will poll: %s", describe(error).text)
            await asyncio.sleep(ANNOUNCE_PAUSE_S)

    def _notify(self, queues: Collection[str]) -> None:
        with self._database.connect() as connection:
            for name in queues:
                queue.notify(connection, name)


async def _body(request: Request) -> bytes:
    """The body, read no further than it may be long."""
    if int(request.headers.get("content-length") or 0) > MAX_BODY:
        raise TooLarge("the body is too large")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise TooLarge("the body is too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _read(webhook: WebhookRoute, account: str, settings: Any, headers: dict[str, str], body: bytes) -> Delivery:
    document = decode_json(body)
    kept = {name: headers[name] for name in webhook.kept_headers if name in headers}
    tasks: Sequence[tuple[queue.QueueSpec, queue.NewTask]] = ()
    fault = event_id = None
    try:
        event_id = webhook.event_id(headers, document) if webhook.event_id else None
        tasks = tuple(webhook.to_tasks(account, settings, document))
    except Exception as error:  # noqa: BLE001 - a genuine delivery that we cannot read is kept, with a letter that says so
        fault = describe(error)
    return Delivery(
        account=account,
        route=webhook.path,
        body=body,
        received_at=datetime.now(UTC),
        headers=kept,
        event_id=event_id,
        dedupe_for=webhook.dedupe_digest_for if event_id is None else webhook.dedupe_for,
        tasks=tasks,
        fault=fault,
    )


def _without_tasks(delivery: Delivery, error: Exception) -> Delivery:
    """The same delivery as a dead letter: its tasks hold what the database cannot."""
    return Delivery(
        account=delivery.account,
        route=delivery.route,
        body=delivery.body,
        received_at=delivery.received_at,
        dedupe_for=delivery.dedupe_for,
        fault=describe(error),
    )


def _answer(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status_code=status, headers=headers)
