"""What Amazon is read for: orders with their lines, every five minutes, per seller tenant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.stream import Page, Reconciling, Stream
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon import mapping, reader, tables
from sync_pipelines.vendors.amazon.reader import OrdersReader

RETRY_QUEUE = RetryQueue("amazon-dlq", (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=6)))
"""Records that could not be stored are read anew so long after; then a person is needed."""


def _changed(client: OrdersReader, window: Window, token: str | None) -> Iterator[Page]:
    return client.changed(window, token)


def _listed(client: OrdersReader, window: Window | None, token: str | None) -> Iterator[Page]:
    if window is None:
        raise ValueError("Amazon lists orders by time of change only")
    return client.changed(window, token, is_whole=True)


orders: Stream[Any] = Stream(
    key="amazon/orders",
    table=tables.orders,
    children=(tables.order_items,),
    description="Orders of all marketplaces of a seller, with their lines, by time of last change.",
    records=reader.records,
    parse=mapping.parse,
    key_of=mapping.key_of,
    changed=_changed,
    fetch_one=lambda client, key: client.one(key),
    reconciling=Reconciling(read=_listed),
    overlap=timedelta(minutes=10),
    # Amazon keeps the last two minutes back; half a minute more for clocks that differ (facts §4.1).
    safety_lag=timedelta(minutes=2, seconds=30),
    # One query as long as possible: each slice costs a call of its own, and a call is 178 seconds of quota.
    slice=timedelta(days=365),
    token_lifetime=timedelta(hours=23),
    cron="*/5 * * * *",
    freshness=timedelta(minutes=30),
    retry_queue=RETRY_QUEUE,
    max_runtime=timedelta(minutes=30),
)
