"""The rows that benches write: 12 columns and about 650 bytes of raw JSON, made up as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
from sqlalchemy import Column, Integer, MetaData, Numeric, Table, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from sync_pipelines.core import tables
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.stream import Page, ParseContext, Stream
from sync_pipelines.core.tables import COMMON_COLUMNS, instant, key_names, vendor_table
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Window

ACCOUNT = "bench/one"
CHANGED = datetime(2026, 3, 1, 12, tzinfo=UTC)
PADDING = "x" * 330


def _declare() -> Table:
    """Declares the table outside of the product's metadata, so that migrations do not expect it."""
    kept, tables.metadata = tables.metadata, MetaData()
    try:
        return vendor_table(
            "bench",
            "orders",
            key=[Column("order_id", Text)],
            columns=[
                *(Column(name, Text) for name in ("number", "status", "currency", "city", "sku", "carrier", "note")),
                Column("total", Numeric),
                Column("quantity", Integer),
                instant("created_at"),
                instant("changed_at"),
            ],
            comment="Rows of the benches",
        )
    finally:
        tables.metadata = kept


ORDERS = _declare()
COLUMNS = [column.name for column in ORDERS.columns if column.name not in {*key_names(ORDERS), *COMMON_COLUMNS}]


def create_table(connection: psycopg.Connection[Any]) -> None:
    """Makes the table anew, without autovacuum."""
    connection.execute("DROP SCHEMA IF EXISTS bench CASCADE")
    connection.execute("CREATE SCHEMA bench")
    connection.execute(str(CreateTable(ORDERS).compile(dialect=postgresql.dialect())))  # type: ignore[no-untyped-call]
    connection.execute("ALTER TABLE bench.orders SET (autovacuum_enabled = false)")


class Order(msgspec.Struct):
    """One order as the made-up vendor shows it."""

    id: str
    number: str
    status: str
    currency: str
    city: str
    sku: str
    carrier: str
    note: str
    total: Decimal
    quantity: int
    created_at: datetime
    changed_at: datetime
    revision: int
    padding: str = PADDING


def raw_order(number: int, revision: int = 0) -> bytes:
    """The JSON text of an order; ``revision`` moves its change time by as many seconds."""
    return msgspec.json.encode(
        Order(
            id=f"o{number:09d}",
            number=f"N{number}",
            status="open",
            currency="EUR",
            city="Lyon",
            sku=f"SKU-{number % 1000}",
            carrier="carrier",
            note="leave at the door",
            total=Decimal(number % 10_000) / 100,
            quantity=number % 5 + 1,
            created_at=CHANGED,
            changed_at=CHANGED + timedelta(seconds=revision),
            revision=revision,
        )
    )


_DECODER = msgspec.json.Decoder(Order)


def parse(raw: bytes, _context: ParseContext | None = None) -> Record:
    """A record of an order's JSON text."""
    order = _DECODER.decode(raw)
    return Record((order.id,), order.changed_at, {name: getattr(order, name) for name in COLUMNS}, raw)


class _Envelope(msgspec.Struct):
    orders: list[msgspec.Raw]


class BenchVendor:
    """Serves ``count`` orders in pages that exist only while they are read.

    Args:
        count: How many orders there are.
        page_size: Orders a page.
    """

    def __init__(self, count: int, page_size: int = 1000) -> None:
        self.stats = CallStats()
        self._count, self._page_size = count, page_size

    def changed(self, _window: Window, token: str | None) -> Iterator[Page]:
        """All orders, whatever the window."""
        for start in range(int(token or 0), self._count, self._page_size):
            end = min(start + self._page_size, self._count)
            body = b'{"orders":[' + b",".join(raw_order(number) for number in range(start, end)) + b"]}"
            yield Page(body, "bench", f"GET /orders?from={start}", str(end) if end < self._count else None)


STREAM = Stream[BenchVendor](
    key="bench/orders",
    table=ORDERS,
    description="Orders of the benches.",
    records=lambda body, _: [bytes(raw) for raw in msgspec.json.decode(body, type=_Envelope).orders],
    parse=parse,
    key_of=lambda raw, _: msgspec.json.decode(raw, type=Order).id,
    changed=lambda vendor, window, token: vendor.changed(window, token),
    slice=timedelta(days=3650),
)
