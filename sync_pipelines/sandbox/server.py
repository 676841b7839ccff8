"""Serves the look-alikes of every vendor from one port, each below its own name: ``http://127.0.0.1:8790/sendcloud/…``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

VENDORS = ("sendcloud", "amazon", "gazelle", "bigbuy", "aliexpress", "http_json", "grand_shooting")
"""Every look-alike; each is a module ``sandbox.<vendor>.app`` with ``create_app(seed, size) -> Starlette``."""


def available() -> tuple[str, ...]:
    """The look-alikes that this checkout has."""
    return tuple(vendor for vendor in VENDORS if find_spec(f"sync_pipelines.sandbox.{vendor}.app"))


def create_app(vendors: tuple[str, ...] = VENDORS, *, seed: int = 1, size: str = "demo") -> Starlette:
    """One application for several vendors.

    Args:
        vendors: Which look-alikes to serve.
        seed: Same seed, same data.
        size: ``demo`` (small, answers in seconds) or ``full`` (the sizes the documentation quotes).
    """

    async def index(_: Request) -> Response:
        return JSONResponse({"vendors": list(vendors), "seed": seed, "size": size})

    routes: list[BaseRoute] = [Route("/", index)]
    for vendor in vendors:
        module = import_module(f"sync_pipelines.sandbox.{vendor}.app")
        routes.append(Mount(f"/{vendor}", app=module.create_app(seed=seed, size=size)))
    return Starlette(routes=routes)


def serve(*, port: int = 8790, vendors: tuple[str, ...] = VENDORS, seed: int = 1, size: str = "demo") -> None:
    """Serves on 127.0.0.1 until stopped."""
    uvicorn.run(create_app(vendors, seed=seed, size=size), host="127.0.0.1", port=port, log_level="warning", access_log=False)
