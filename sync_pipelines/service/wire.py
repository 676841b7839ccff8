"""Webhooks straight off the wire: what a general server does around a request costs more than verifying and storing a delivery.

Only plain deliveries are answered here: sent with their length to a declared webhook, the whole head at once, nothing to negotiate.
With anything else, a page or a body in chunks, the connection becomes uvicorn's for good, and the intake before the application
answers what is sent to webhooks over it. So this has to know no more of HTTP than it needs to be sure that it can answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from sync_pipelines.service.intake import MAX_BODY, Answer, Intake

_GENERAL: Callable[..., asyncio.Protocol] = AutoHTTPProtocol


def direct_deliveries(intake: Intake) -> type[asyncio.Protocol]:
    """What uvicorn takes as ``http``, so that plain deliveries go to the intake directly."""
    return cast("type[asyncio.Protocol]", partial(DeliveryConnection, intake))


class DeliveryConnection(asyncio.Protocol):
    """One connection as uvicorn's server opens, counts and shuts them.

    One request is under way at a time: a sender that does not wait for its answer gets that answer and then a closed connection.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._intake = intake
        self._general = partial(_GENERAL, config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._connections = cast("set[asyncio.Protocol]", server_state.connections)
        self._rest_s = config.timeout_keep_alive
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._keeps_alive = True
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._has_head = self._is_whole = False
        self._idle_since = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Uvicorn counts the connections that are open."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._timer = self._loop.call_later(self._rest_s, self._close_if_idle)

    def connection_lost(self, _: Exception | None) -> None:
        """What is under way is stored all the same; the sender will send it again."""
        self._leave()

    def data_received(self, data: bytes) -> None:
        """A part of a delivery, or all of it."""
        if self._is_whole:
            self._keeps_alive = False
            return
        if not (self._has_head or data.startswith(self._intake.request_starts)):
            self._hand_over(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._keeps_alive = False
        if not self._has_head:
            self._hand_over(data)
        elif self._is_whole:
            path, _, query = self._url.decode("latin-1").partition("?")
            self._intake.receive(path, self._headers, query, b"".join(self._body), self._answer)

    def pause_writing(self) -> None:
        """The sender does not read its answers."""
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: closes the connection after the answer that is under way."""
        if self._has_head:
            self._keeps_alive = False
        else:
            self._transport.close()

    def on_message_begin(self) -> None:
        """The parser found a request."""
        if self._is_whole:
            raise _NotPlainError

    def on_url(self, url: bytes) -> None:
        """The parser found the address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser found a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The parser found the end of the head."""
        is_plain = (
            int(self._headers.get("content-length", MAX_BODY + 1)) <= MAX_BODY
            and self._headers.keys().isdisjoint(("transfer-encoding", "expect", "upgrade"))
            and b"%" not in self._url
        )
        if not is_plain:
            raise _NotPlainError
        self._has_head = True
        self._keeps_alive &= self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"

    def on_body(self, body: bytes) -> None:
        """The parser found a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser found the end of the body."""
        self._is_whole = True

    def _answer(self, answer: Answer) -> None:
        if self._transport.is_closing():
            return
        if self._keeps_alive:
            self._transport.write(answer.wire)
            self._begin()
        else:
            self._transport.write(answer.last_wire)
            self._transport.close()

    def _close_if_idle(self) -> None:
        idle_s = 0 if self._has_head else self._loop.time() - self._idle_since
        if idle_s >= self._rest_s:
            self._transport.close()
        else:
            self._timer = self._loop.call_later(self._rest_s - idle_s, self._close_if_idle)

    def _hand_over(self, data: bytes) -> None:
        self._leave()
        general = self._general()
        general.connection_made(self._transport)
        self._transport.set_protocol(general)
        general.data_received(data)

    def _leave(self) -> None:
        self._timer.cancel()
        self._connections.discard(self)


class _NotPlainError(Exception):
    """This is no request to be answered here."""
