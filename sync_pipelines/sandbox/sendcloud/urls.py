"""Where the API is mounted."""

from __future__ import annotations

from starlette.requests import Request


def api_url(request: Request) -> str:
    """``http://host/sendcloud/api``, for the links in answers."""
    path = request.url.path
    return f"{request.url.scheme}://{request.url.netloc}{path[: path.index('/api/') + 4]}"
