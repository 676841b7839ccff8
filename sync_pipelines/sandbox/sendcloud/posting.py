"""Posts many small bodies fast: plain HTTP/1.1 on a few kept connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Delivery:
    """One HTTP call to make."""

    body: bytes
    headers: Mapping[str, str]


async def post_all(url: str, deliveries: Iterable[Delivery], *, concurrency: int, per_second: float = 0) -> dict[str, int]:
    """Posts everything in order, ``concurrency`` at a time.

    Args:
        url: An ``http://`` address.
        deliveries: What to post.
        concurrency: Connections.
        per_second: The pace; 0 posts as fast as is answered.

    Returns:
        How often each status came; ``0`` is for no answer.
    """
    statuses: Counter[str] = Counter()
    queue = iter(enumerate(deliveries))
    began = asyncio.get_running_loop().time()

    async def work() -> None:
        connection = _Connection(url)
        for place, delivery in queue:
            if per_second:
                await asyncio.sleep(began + place / per_second - asyncio.get_running_loop().time())
            statuses[str(await connection.post(delivery))] += 1
        connection.close()

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return dict(statuses)


class _Connection:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("the sandbox posts to http:// addresses only")
        self._host, self._port = parts.hostname, parts.port or 80
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, delivery: Delivery) -> int:
        """Status of the answer; 0 if there was none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._exchange(delivery)
        except (OSError, EOFError, ValueError, TimeoutError):
            self.close()
            return 0

    def close(self) -> None:
        """Closes the connection; the next post opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, delivery: Delivery) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        headers = {
            "Host": f"{self._host}:{self._port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(delivery.body)),
            **delivery.headers,
        }
        lines = [f"POST {self._target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + delivery.body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        fields = dict(line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line)
        length = fields.get("content-length")
        if length is not None:
            await reader.readexactly(int(length))
        if length is None or "close" in fields.get("connection", ""):
            self.close()
        return int(head.split(" ", 2)[1])
