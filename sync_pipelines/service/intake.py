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
from http import HTTPStatus
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
    """An answer as it goes over the wire: status, a word about a refusal for whoever reads the vendor's log, nothing of ours.

    Attributes:
        start: Its head for ASGI.
        end: Its body for ASGI.
        wire: All its bytes; the connection stays open.
        last_wire: The same with the word that it does not.
    """

    def __init__(self, status: int, text: str, **headers: str) -> None:
        body = f"{text}\n".encode() if text else b""
        kind = {"content-type": "text/plain; charset=utf-8"} if text else {}
        always = {**kind, "content-length": str(len(body))}
        lines = [(name.encode(), value.encode()) for name, value in {**always, **headers}.items()]
        self.start: Message = {"type": "http.response.start", "status": status, "headers": lines}
        self.end: Message = {"type": "http.response.body", "body": body}
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode() + b"".join(b"%b: %b\r\n" % line for line in lines)
        self.wire = head + b"\r\n" + body
        self.last_wire = head + b"connection: close\r\n\r\n" + body


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

    Attributes:
        request_starts: What a delivery's request begins with on the wire.
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
        webhooks = tuple(webhooks)
        self._webhooks = {webhook.path.removesuffix("{account}"): webhook for webhook in webhooks}
        self._settings_of = settings_of
        self._commits: GroupCommit[Delivery, bool] = GroupCommit(self._store, flushers=flushers, max_pending=max_pending)
        self._local = {
            webhook.path: LocalWork(database, webhook.work_locally, settings_of)
            for webhook in webhooks
            if webhook.work_locally is not None
        }
        self._awake: set[str] = set()
        self._announce = asyncio.Event()
        self._problem: str | None = None
        self.request_starts = tuple(f"POST {path}".encode() for path in self._webhooks)

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application behind the intake: middleware and routing would cost a delivery as much as all that is done with it."""

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            is_delivery = scope["type"] == "http" and scope["method"] == "POST" and self._addressed(scope["path"]) is not None
            if not is_delivery:
                await app(scope, receive, send)
                return
            answer = await self._answer(scope, receive)
            await send(answer.start)
            await send(answer.end)

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

    def receive(self, path: str, headers: Mapping[str, str], query: str, body: bytes, answer: Callable[[Answer], None]) -> None:
        """Verifies one delivery and has it stored; never raises.

        Args:
            path: Where it was sent.
            headers: Names in lower case.
            query: What followed the path, without the question mark.
            body: As received.
            answer: Called in the event loop once it is committed, or at once if it is refused.
        """
        addressed = self._addressed(path)
        if addressed is None:
            answer(UNKNOWN_ACCOUNT)
            return
        webhook, account = addressed
        try:
            delivery = self._verified(webhook, account, headers, query, body)
        except Exception as error:  # noqa: BLE001 - the sender learns nothing of our insides, the log only the kind of error
            answer(_unavailable(webhook.path, error))
            return
        if isinstance(delivery, Answer):
            answer(delivery)
        else:
            self._commit(delivery, answer)

    def _addressed(self, path: str) -> tuple[WebhookRoute, str] | None:
        """The webhook at a path, and the account it names; ``None`` where there is none."""
        start = path.rfind("/") + 1
        webhook = self._webhooks.get(path[:start])
        return None if webhook is None else (webhook, f"{webhook.vendor}/{path[start:]}")

    def _verified(
        self, webhook: WebhookRoute, account: str, headers: Mapping[str, str], query: str, body: bytes
    ) -> Delivery | Answer:
        settings = self._settings_of(account)
        if settings is None:
            return UNKNOWN_ACCOUNT
        verdict = webhook.verify(settings, headers, dict(parse_qsl(query, keep_blank_values=True)) if query else {}, body)
        if verdict in _REFUSALS:
            return _REFUSALS[verdict]
        try:
            return _read(webhook, account, settings, headers, body)
        except ContractError:
            return NOT_JSON

    def _commit(self, delivery: Delivery, answer: Callable[[Answer], None], *, is_bare: bool = False) -> None:
        def settled(result: bool | Exception) -> None:
            if isinstance(result, (DataError, psycopg.DataError)) and not is_bare:
                self._commit(_without_tasks(delivery, result), answer, is_bare=True)
            elif isinstance(result, Exception):
                answer(_unavailable(delivery.route, result))
            else:
                if result:
                    self._wake(delivery)
                answer(STORED)

        try:
            self._commits.submit(delivery, settled)
        except IntakeFull:
            answer(UNAVAILABLE)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body = await _body(headers, receive)
        except TooLarge:
            return TOO_LARGE
        except ClientDisconnect:
            return CLOSED
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def answer(found: Answer) -> None:
            if not answered.done():
                answered.set_result(found)

        self.receive(scope["path"], headers, scope["query_string"].decode("latin-1"), body, answer)
        return await answered

    async def _prepare_when_possible(self) -> None:
        """A service that starts while the database is away answers 503, and its watchdog says why; what else is wrong is logged."""
        await asyncio.sleep(PREPARE_AGAIN_S)
        while not await self._is_prepared():  # noqa: ASYNC110 - the database announces nothing
            await asyncio.sleep(PREPARE_AGAIN_S)

    async def _is_prepared(self) -> bool:
        try:
            await run_in_threadpool(self._prepare)
        except DatabaseUnavailable:
            return False
        except Exception as error:  # noqa: BLE001 - whatever made one try fail, the next may succeed
            self._tell(describe(error).text)
            return False
        return True

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            _LOG.error("the day partitions can not be made, which is tried again: %s", problem)
        self._problem = problem

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
            except Exception as error:  # noqa: BLE001 - a call that fails must not be the last one
                _LOG.warning("workers were not woken, they will poll: %s", describe(error).text)
            await asyncio.sleep(ANNOUNCE_PAUSE_S)

    def _notify(self, queues: Collection[str]) -> None:
        with self._database.connect() as connection:
            for name in queues:
                queue.notify(connection, name)


def _unavailable(route: str, error: Exception) -> Answer:
    if not isinstance(error, DatabaseUnavailable):
        _LOG.error("a delivery to %s failed: %s", route, describe(error).text)
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
