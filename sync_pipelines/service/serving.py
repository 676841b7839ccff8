"""Runs the application under uvicorn."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import uvicorn
from starlette.routing import BaseRoute

from sync_pipelines.core.db import Database
from sync_pipelines.core.webhooks import WebhookRoute
from sync_pipelines.service.app import Part, create_app
from sync_pipelines.service.intake import Intake
from sync_pipelines.service.wire import direct_deliveries

GRACE_S = 5
"""How long requests under way may take to end after a signal to stop."""

SWITCH_S = 0.002
"""How long the thread that stores deliveries waits for the busy event loop. Python's 5 ms, many times a commit, are its latency."""


def serve(
    database: Database,
    webhooks: Iterable[WebhookRoute],
    settings_of: Callable[[str], Any | None],
    *,
    host: str,
    port: int,
    parts: Sequence[Part] = (),
    pages: Sequence[BaseRoute] = (),
) -> None:
    """Serves until a signal ends it.

    There is no access log: webhook addresses carry keys in their query.

    Args:
        database: Its pool; closed at the end.
        webhooks: What vendors declare.
        settings_of: Account id to the account's settings, ``None`` if there is no such account.
        host: Address to listen on.
        port: Port to listen on.
        parts: What works beside the intake.
        pages: What it answers besides webhooks.
    """
    gc.freeze()  # what is imported stays: looking through it again and again would cost a page a tenth of a second
    gc.set_threshold(50_000)
    sys.setswitchinterval(SWITCH_S)
    intake = Intake(database, webhooks, settings_of)
    uvicorn.run(
        intake.before(create_app(database, routes=pages, parts=[intake.running, *parts])),
        host=host,
        port=port,
        http=direct_deliveries(intake),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
