"""Webhooks over HTTP: verify, store, then answer 200. Anything but 200 tells the vendor to deliver again.

404 unknown account, 413 larger than a megabyte, 401 wrong key or signature, 400 no JSON, 503 the database is away or behind.
Answers say nothing more than that, and neither keys nor bodies reach a log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.core import intake, queue
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ContractError, DatabaseUnavailable, DataError, SyncError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.intake import Delivery
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.webhooks import Verdict, WebhookRoute
from sync_pipelines.service.group_commit import GroupCommit, IntakeFull
from sync_pipelines.service.local_work import LocalWork

MAX_BODY = 1_048_576
"""Bytes; vendors' webhooks have some kilobytes."""

ANNOUNCE_PAUSE_S = 0.05
"""Workers are woken at most this often: Postgres commits notifying transactions one after the other."""

PREPARE_AGAIN_S = 2.0

_LOG = logging.getLogger(__name__)


class Answer:
    """An answer as it goes over the wire: status, a word about a refusal for whoever reads the vendor's log, nothing of ours."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        body = f"{text}\n".encode() if text else b""
        kind = {"content-type": "text/plain; charset=utf-8"} if text else {}
        always = {**kind, "content-length": str(len(body))}
        lines = [(name.encode(), value.encode()) for name, value in {**always, **headers}.items()]
        self.start: Message = {"type": "http.response.start", "status": status, "headers": lines}
        self.end: Message = {"type": "http.response.body", "body": body}


STORED = Answer(200, "")
NOT_JSON = Answer(400, "not JSON")
CLOSED = Answer(400, "the connection was closed")
FORGED = Answer(401, "wrong key or signature")
UNKNOWN_ACCOUNT = Answer(404, "unknown account")
TOO_LARGE = Answer(413, f"more than {MAX_BODY} bytes")
UNAVAILABLE = Answer(503, "storage unavailable", **{"retry-after": "10"})

_REFUSALS = {Verdict.FORGED: FORGED, Verdict.WRONG_ACCOUNT: UNKNOWN_ACCOUNT}


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
        flushers: int = 1,
        max_pending: int = 5_000,
    ) -> None:
        self._database = database
        self._webhooks = tuple(webhooks)
        self._settings_of = settings_of
        self._commits: GroupCommit[Delivery, bool] = GroupCommit(self._store, flushers=flushers, max_pending=max_pending)
        self._local = {
            webhook.path: LocalWork(database, webhook.work_locally, settings_of)
            for webhook in self._webhooks
            if webhook.work_locally is not None
        }
        self._awake: set[str] = set()
        self._announce = asyncio.Event()

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application behind the intake: middleware and routing would cost a delivery as much as all that is done with it."""
        endpoints = {webhook.path.removesuffix("{account}"): _Endpoint(self, webhook) for webhook in self._webhooks}

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["method"] == "POST":
                path = scope["path"]
                start = path.rfind("/") + 1
                endpoint = endpoints.get(path[:start])
                if endpoint is not None:
                    answer = await endpoint.answer(path[start:], scope, receive)
                    await send(answer.start)
                    await send(answer.end)
                    return
            await app(scope, receive, send)

        return front

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Makes the day partitions, commits and does local work as long as the context lasts; for the application's lifespan."""
        is_prepared = await self._is_prepared()
        works = [self._announce_work(), *(local.run() for local in self._local.values())]
        if not is_prepared:
            works.append(self._prepare_when_possible())
        beside = [asyncio.create_task(work) for work in works]
        try:
            async with self._commits.running():
                yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def receive(
        self, webhook: WebhookRoute, account: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> Answer:
        """Verifies and stores one delivery.

        Raises:
            IntakeFull: Too much waits to be stored.
            DatabaseUnavailable: Nothing can be stored.
        """
        settings = self._settings_of(account)
        if settings is None:
            return UNKNOWN_ACCOUNT
        verdict = webhook.verify(settings, headers, query, body)
        if verdict in _REFUSALS:
            return _REFUSALS[verdict]
        try:
            delivery = _read(webhook, account, settings, headers, body)
        except ContractError:
            return NOT_JSON
        try:
            is_new = await self._commits.submit(delivery)
        except (DataError, psycopg.DataError) as error:
            is_new = await self._commits.submit(_without_tasks(delivery, error))
        if is_new:
            self._wake(delivery)
        return STORED

    def knows(self, account: str) -> bool:
        """Whether there is such an account."""
        return self._settings_of(account) is not None

    async def _prepare_when_possible(self) -> None:
        """A service that starts while the database is away answers 503, and its watchdog says why."""
        await asyncio.sleep(PREPARE_AGAIN_S)
        while not await self._is_prepared():  # noqa: ASYNC110 - the database announces nothing
            await asyncio.sleep(PREPARE_AGAIN_S)

    async def _is_prepared(self) -> bool:
        try:
            await run_in_threadpool(self._prepare)
        except DatabaseUnavailable:
            return False
        return True

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
            if delivery.route in self._local:
                self._local[delivery.route].wake(delivery.account)

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


class _Endpoint:
    """One webhook, on bare ASGI: what a framework's request and response objects cost is half of the whole answer."""

    def __init__(self, intake: Intake, webhook: WebhookRoute) -> None:
        self._intake, self._webhook = intake, webhook

    async def answer(self, name: str, scope: Scope, receive: Receive) -> Answer:
        """Reads one delivery for an account of that name and says what came of it; never raises."""
        account = f"{self._webhook.vendor}/{name}"
        if not self._intake.knows(account):
            return UNKNOWN_ACCOUNT
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body = await _body(headers, receive)
            query = (
                dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)) if scope["query_string"] else {}
            )
            return await self._intake.receive(self._webhook, account, headers, query, body)
        except TooLarge:
            return TOO_LARGE
        except ClientDisconnect:
            return CLOSED
        except (DatabaseUnavailable, IntakeFull):
            return UNAVAILABLE
        except Exception as error:  # noqa: BLE001 - the sender learns nothing of our insides, the log only the kind of error
            _LOG.error("a delivery to %s failed: %s", self._webhook.path, describe(error).text)
            return UNAVAILABLE


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The body, read no further than it may be long."""
    if int(headers.get("content-length") or 0) > MAX_BODY:
        raise TooLarge("the body is too large")
    chunks, size, has_more = [], 0, True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise TooLarge("the body is too large")
        has_more = message.get("more_body", False)
    return b"".join(chunks)


def _read(webhook: WebhookRoute, account: str, settings: Any, headers: Mapping[str, str], body: bytes) -> Delivery:
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
        retry_queue=webhook.retry_queue,
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
        retry_queue=delivery.retry_queue,
    )
