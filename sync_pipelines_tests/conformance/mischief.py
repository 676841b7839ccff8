"""Between a look-alike and our client: twists what the vendor answers, in ways that every vendor must be survived in."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

Twist = Callable[[list[Any]], list[Any]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_FIELD = "sandboxNovelty"
_ZONE = re.compile(r'(?<=T)(\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)"')


class Mischief:
    """ASGI application around a look-alike.

    Args:
        app: The look-alike.
        lists: Names under which its listings hold records; ``""`` for an answer that is a list itself.

    Attributes:
        twist: Given the records of a page, answers those that are sent instead.
        rewrite: Given the text of a page, answers that which is sent instead.
        every: Calls ``meanwhile`` after every so many listings; 0 for never.
        pages: Listings that were twisted.
    """

    def __init__(self, app: Any, lists: frozenset[str]) -> None:
        self._app, self._lists = app, lists
        self.calm_down()

    def calm_down(self) -> None:
        """Passes everything on from now on."""
        self.twist: Twist | None = None
        self.rewrite: Callable[[bytes], bytes] | None = None
        self.meanwhile: Callable[[], Any] | None = None
        self.every = self.pages = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http" or "/_control" in scope["path"]:
            await self._app(scope, receive, send)
            return
        messages: list[dict[str, Any]] = []
        try:
            await self._app(scope, receive, lambda message: _collect(messages, message))
        finally:
            # A fault that breaks off in the middle of an answer breaks off here too.
            if messages and len(messages) > 1 and not messages[-1].get("more_body"):
                messages = await self._changed(messages)
            for message in messages:
                await send(message)

    async def _changed(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        start, body = messages[0], b"".join(message.get("body", b"") for message in messages[1:])
        records = list(self._record_lists(_parsed(body))) if start["status"] == 200 else []
        if not records:
            return messages
        self.pages += 1
        if self.meanwhile and self.every and self.pages % self.every == 0:
            await asyncio.to_thread(self.meanwhile)
        if self.twist:
            document = _parsed(body)
            for found in self._record_lists(document):
                found[:] = self.twist(found)
            body = json.dumps(document).encode()
        if self.rewrite:
            body = self.rewrite(body)
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        return [{**start, "headers": headers}, {"type": "http.response.body", "body": body}]

    def _record_lists(self, document: Any, name: str = "") -> Iterator[list[Any]]:
        """Lists of records, not those within records."""
        if isinstance(document, list):
            if name in self._lists and document:
                yield document
        elif isinstance(document, dict):
            for key, value in document.items():
                yield from self._record_lists(value, key)


def with_unknown_fields(records: list[Any]) -> list[Any]:
    """Every object within the records has a field more."""
    return [_grown(record) for record in records]


def without_novelties(value: Any) -> Any:
    """What `with_unknown_fields` began with."""
    if isinstance(value, dict):
        return {name: without_novelties(part) for name, part in value.items() if name != _FIELD}
    return [without_novelties(part) for part in value] if isinstance(value, list) else value


def twice_each_end(records: list[Any]) -> list[Any]:
    """The first record comes again before the last."""
    return [*records[:-1], records[0], records[-1]] if len(records) > 1 else records


def shuffled(records: list[Any]) -> list[Any]:
    """Backwards, but for the end, where cursors stand."""
    return [*records[:-2][::-1], *records[-2:]]


def nothing(_: list[Any]) -> list[Any]:
    """An empty page."""
    return []


def without_zones(body: bytes) -> bytes:
    """Instants lose their zone."""
    return _ZONE.sub(r'\1"', body.decode()).encode()


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    """A word of a vocabulary becomes another."""
    return lambda body: body.replace(f'"{old}"'.encode(), f'"{new}"'.encode())


def _grown(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{name: _grown(part) for name, part in value.items()}, _FIELD: {"since": 2026}}
    return [_grown(part) for part in value] if isinstance(value, list) else value


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


async def _collect(messages: list[dict[str, Any]], message: dict[str, Any]) -> None:
    messages.append(message)
