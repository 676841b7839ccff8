"""V3 switched off while V2 goes on, for the fallback."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.common.control import HTML_503
from sync_pipelines.sandbox.sendcloud.access import v3_error

Handler = Callable[[Request], Awaitable[Response]]


class Outage:
    """Answers V3 calls itself while it is on. ``kind``: ``status`` (a V3 error), ``html`` (a gateway's page), ``forbidden``."""

    def __init__(self) -> None:
        self._down, self._kind, self._status, self._path = False, "status", 503, re.compile("/api/v3/")

    def configure(self, *, down: bool, kind: str = "status", status: int = 503, path: str | None = None) -> None:
        """Turns it on or off; ``path`` is a regular expression of the paths that fail (default: everything below ``/api/v3/``)."""
        self._down, self._kind, self._status, self._path = down, kind, status, re.compile(path or "/api/v3/")

    def guard(self, handler: Handler) -> Handler:
        """Wraps a handler."""

        async def handle(request: Request) -> Any:
            if not self._down or not self._path.search(request.url.path):
                return await handler(request)
            if self._kind == "html":
                return Response(HTML_503, 503, media_type="text/html")
            if self._kind == "forbidden":
                return v3_error(403, "forbidden", "You do not have permission to perform this action.")
            return v3_error(self._status, None, "Service unavailable")

        return handle
