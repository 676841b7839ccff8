"""Around every look-alike: a request log, planned faults, and the ``/_control`` routes that tests use.

``GET  /_control/log``     every request: ``at, method, path, query, status, throttled, fault, account, size``
``DELETE /_control/log``   forgets it
``POST /_control/faults``  a `Fault` object or a list of them; ``DELETE`` removes all
``POST /_control/clock``   ``{"advance": seconds}``
``GET  /_control/health``  200 when ready

Vendors add their own: ``truth`` (what a perfect client would have stored), ``mutate`` (change the world), ….
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.common.clock import Clock

Handler = Callable[[Request], Awaitable[Response]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

HTML_503 = b"<!DOCTYPE html><html><head><title>503 Service Unavailable</title></head><body><h1>503</h1></body></html>"


@dataclass
class Fault:
    """A planned misbehaviour.

    Attributes:
        kind: ``status`` (answer ``status`` with ``body``), ``html`` (503 page), ``garbage`` (not JSON), ``null`` (the body
            ``null``), ``empty`` (200, no body), ``truncate`` (half of the body, full length claimed), ``reset`` (connection
            dropped before the answer), ``lost_answer`` (the request is carried out, the answer dropped), ``delay``
            (``seconds`` before the answer).
        path: Regular expression searched in ``METHOD /path?query``.
        times: How many matching requests it hits; ``None`` for all.
        skip: How many matching requests pass first.
        probability: Chance of each matching request, drawn from ``seed``.
    """

    kind: str
    path: str = ".*"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    status: int = 500
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._pattern = re.compile(self.path)
        self._random = random.Random(self.seed)

    def hits(self, line: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.times == 0 or not self._pattern.search(line) or self._random.random() >= self.probability:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class ConnectionDropped(Exception):
    """Raised through the server so that it closes the connection without an answer."""


@dataclass
class LogEntry:
    """One request as the vendor saw it. ``throttled`` is set for every answer 429, ``size`` is the answer's, in bytes."""

    at: float
    method: str
    path: str
    query: str
    status: int
    throttled: bool
    fault: str | None
    account: str | None
    size: int = 0


class Observed:
    """ASGI middleware: logs requests and applies faults. Handlers set ``request.state.account`` for the log."""

    def __init__(self, app: Any, *, clock: Clock, log: list[LogEntry], faults: list[Fault]) -> None:
        self._app, self._clock, self._log, self._faults = app, clock, log, faults

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http" or "/_control" in scope["path"]:
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode()
        line = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
        fault = next((fault for fault in self._faults if fault.hits(line)), None)
        entry = LogEntry(self._clock.now(), scope["method"], scope["path"], query, 0, False, fault.kind if fault else None, None)
        self._log.append(entry)
        status, headers, body = await self._answer(fault, scope, receive)
        entry.status, entry.throttled, entry.size = status, status == 429, len(body)
        entry.account = scope.get("state", {}).get("account")
        if fault and fault.kind in {"reset", "lost_answer"}:
            raise ConnectionDropped(fault.kind)
        if fault and fault.kind == "truncate":
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            raise ConnectionDropped(fault.kind)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, fault: Fault | None, scope: dict[str, Any], receive: Receive
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        kind = fault.kind if fault else None
        if fault and kind in {"status", "html", "garbage", "null", "empty", "reset"}:
            contents = {"html": HTML_503, "garbage": b'{"data": [oops', "null": b"null", "empty": b"", "reset": b""}
            body = contents.get(kind or "", fault.body.encode())
            status = {"status": fault.status, "html": 503}.get(kind or "", 200)
            content_type = "text/html" if kind == "html" else fault.content_type
            headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
            return status, headers + [(k.lower().encode(), v.encode()) for k, v in fault.headers.items()], body
        if fault and kind == "delay":
            await asyncio.sleep(fault.seconds)
        status, headers, chunks = 500, [], []

        async def collect(message: dict[str, Any]) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message["headers"])
            else:
                chunks.append(message.get("body", b""))

        await self._app(scope, receive, collect)
        return status, headers, b"".join(chunks)


def look_alike(routes: list[BaseRoute], *, clock: Clock, control: list[BaseRoute] | None = None) -> Starlette:
    """Wraps a vendor's routes with log, faults and the control API.

    Args:
        routes: The vendor's own paths, as the vendor has them.
        clock: The clock that quotas and records use.
        control: Further ``/_control/…`` routes of this vendor.
    """
    log: list[LogEntry] = []
    faults: list[Fault] = []

    async def read_log(_: Request) -> Response:
        return JSONResponse([asdict(entry) for entry in log])

    async def clear_log(_: Request) -> Response:
        log.clear()
        return Response(status_code=204)

    async def plan_faults(request: Request) -> Response:
        planned = json.loads(await request.body())
        faults.extend(Fault(**item) for item in (planned if isinstance(planned, list) else [planned]))
        return Response(status_code=204)

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return Response(status_code=204)

    async def move_clock(request: Request) -> Response:
        clock.advance(json.loads(await request.body())["advance"])
        return JSONResponse({"now": clock.now()})

    async def health(_: Request) -> Response:
        return JSONResponse({"ready": True})

    common: list[BaseRoute] = [
        Route("/_control/log", read_log),
        Route("/_control/log", clear_log, methods=["DELETE"]),
        Route("/_control/faults", plan_faults, methods=["POST"]),
        Route("/_control/faults", clear_faults, methods=["DELETE"]),
        Route("/_control/clock", move_clock, methods=["POST"]),
        Route("/_control/health", health),
    ]
    return Starlette(
        routes=[*common, *(control or []), *routes],
        middleware=[Middleware(Observed, clock=clock, log=log, faults=faults)],
    )
