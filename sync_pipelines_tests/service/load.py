"""Signed webhooks over many keep-alive connections, each with one request under way: ``python -m …service.load URL COUNT``.

A client library would need more of the two cores than the service under test, so requests are written and answers read as bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

KEY = b"present-key"
PATH = "/webhooks/toy-signed/main"

_FILLING = "x" * 2_950
_HEAD = f"POST {PATH} HTTP/1.1\r\nHost: toy\r\nContent-Type: application/json\r\nToy-Signature: %s\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Load:
    """What came of it.

    Attributes:
        accepted: Numbers of the deliveries that were answered 200.
        other: Answers that were not 200.
        lost: Connections that ended without the answer.
        seconds: From the first request to the last answer.
        latencies: Of every answer, in seconds.
    """

    accepted: list[int] = field(default_factory=list)
    other: int = 0
    lost: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The latency that this share of the answers stayed below, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load, requests: Callable[[], tuple[int, bytes] | None], done: asyncio.Future[None]) -> None:
        self._load, self._requests, self._done = load, requests, done
        self._received = b""
        self._number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._received = b""
        self._load.latencies.append(perf_counter() - self._sent_at)
        if head.startswith(b"HTTP/1.1 200") and self._number is not None:
            self._load.accepted.append(self._number)
        else:
            self._load.other += 1
        self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._done.done():
            self._load.lost += 1
            self._done.set_result(None)

    def _send(self) -> None:
        found = self._requests()
        if found is None:
            self._done.set_result(None)
            self._transport.close()
            return
        self._number, request = found
        self._sent_at = perf_counter()
        self._transport.write(request)


def _request(number: int) -> bytes:
    body = b'{"refs": ["ref-%d"], "number": %d, "text": "%s"}' % (number, number, _FILLING.encode())
    signature = hmac.new(KEY, body, hashlib.sha256).hexdigest()
    return (_HEAD % (signature, len(body))).encode() + body


async def _send(url: str, numbers: range, connections: int, on_accepted: Callable[[int], None] | None) -> Load:
    load = Load()
    remaining = iter([(number, _request(number)) for number in numbers])  # signing is the sender's work, not what is measured

    def next_request() -> tuple[int, bytes] | None:
        if on_accepted is not None:
            on_accepted(len(load.accepted))
        return next(remaining, None)

    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    ends: list[asyncio.Future[None]] = []
    started = perf_counter()
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        try:
            await loop.create_connection(lambda done=done: _Connection(load, next_request, done), parts.hostname, parts.port)
        except OSError:
            load.lost += 1
        else:
            ends.append(done)
    await asyncio.gather(*ends)
    load.seconds = perf_counter() - started
    return load


def send(url: str, count: int, *, connections: int = 128, first: int = 0, on_accepted: Callable[[int], None] | None = None) -> Load:
    """Sends ``count`` different deliveries and waits for their answers.

    Args:
        url: The service, ``http://127.0.0.1:8787``.
        count: How many.
        connections: How many are under way at once.
        first: Number of the first; equal numbers are repeats.
        on_accepted: Told before each request how many were accepted so far.
    """
    return uvloop.run(_send(url, range(first, first + count), connections, on_accepted))


def main() -> None:
    """Prints what came of it."""
    load = send(sys.argv[1], int(sys.argv[2]))
    rate, p50, p99 = len(load.accepted) / load.seconds, load.percentile(0.5) * 1000, load.percentile(0.99) * 1000
    print(f"{len(load.accepted)} stored, {load.other} refused, {rate:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    main()
