"""A vendor of one path with one exact quota, served by uvicorn in a process of its own."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.quota import SlidingWindow


@dataclass(frozen=True)
class ToyVendor:
    """Where it listens."""

    url: str

    def calls(self) -> list[tuple[float, int]]:
        """Every counted call: epoch seconds and status."""
        return [tuple(call) for call in httpx.get(f"{self.url}/calls", trust_env=False).json()]


@contextmanager
def toy_vendor(*, limit: int, seconds: float) -> Iterator[ToyVendor]:
    """Serves ``/data`` under a sliding window of ``limit`` calls in ``seconds``."""
    spawn = multiprocessing.get_context("spawn")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = spawn.Process(target=_serve, args=(listening, limit, seconds), daemon=True)
        server.start()
        try:
            httpx.get(f"{url}/ready", timeout=30, trust_env=False)
            yield ToyVendor(url)
        finally:
            server.terminate()
            server.join()


def _serve(listening: socket.socket, limit: int, seconds: float) -> None:
    clock = Clock()
    quota = SlidingWindow(clock, limit=limit, seconds=seconds)
    calls: list[tuple[float, int]] = []

    async def data(_: Request) -> JSONResponse:
        status = 429 if quota.take() > 0 else 200
        calls.append((clock.now(), status))
        return JSONResponse({}, status_code=status)

    async def log(_: Request) -> JSONResponse:
        return JSONResponse(calls)

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({})

    app = Starlette(routes=[Route("/data", data), Route("/calls", log), Route("/ready", ready)])
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
