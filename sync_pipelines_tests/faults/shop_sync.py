"""One sync of SendCloud's orders, as a function that a process of its own can run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Request
from sync_pipelines.vendors.sendcloud import streams
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import Shop

HISTORY_DAYS = 40
STREAM = replace(streams.orders, slice=timedelta(days=10))
"""Short slices, so that there are several windows to confirm."""


def sync_shop(database_url: str, sandbox_url: str) -> None:
    """Syncs what is new."""
    with Database(database_url) as database:
        Shop(database, cast("RunningSandbox", SimpleNamespace(base_url=sandbox_url))).sync(STREAM, request())


def request() -> Request:
    """From before the shop's first order."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Request(start=day - timedelta(days=HISTORY_DAYS + 2))


def confirmed_but_not_stored(shop: Shop, confirmed: list[Any]) -> list[str]:
    """Orders whose change lies in a confirmed window and which are not in the tables as the vendor has them."""
    truth, stored = shop.truth(), shop.stored()
    orders = shop.sandbox.control.truth(streams="orders")["orders"]
    details = {key: order["order_details"] for key, order in orders.items()}
    changed_at = {
        key: datetime.fromisoformat(one.get("order_updated_at") or one["order_created_at"]) for key, one in details.items()
    }
    return [
        key
        for key, at in changed_at.items()
        if any(window.start <= at < window.end for window in confirmed) and stored.get(key) != truth[key]
    ]
