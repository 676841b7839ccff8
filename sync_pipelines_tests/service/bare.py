"""Uvicorn with an application that only reads and answers: what a general server costs here; ``python -m …service.bare PORT``."""

from __future__ import annotations

import sys

import uvicorn
from starlette.types import Receive, Scope, Send

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
END = {"type": "http.response.body", "body": b""}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers every request 200 once its body is there."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send(START)
        await send(END)


def main() -> None:
    """Serves until killed."""
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
