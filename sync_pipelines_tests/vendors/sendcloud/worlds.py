"""A SendCloud account on its look-alike, and what its tables must hold."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.sync import Request, sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.sendcloud.client import SendCloudClient
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines.vendors.sendcloud.vendor import connect
from sync_pipelines_tests.sandboxes import RunningSandbox

ACCOUNT = "sendcloud/main"


class Shop:
    """One account: syncs it and compares it with the truth."""

    def __init__(self, database: Database, sandbox: RunningSandbox) -> None:
        self.database, self.sandbox = database, sandbox
        self.settings = Settings()
        self.runs = 0

    def context(self, lane: Lane = Lane.LIVE) -> AccountContext:
        return AccountContext(
            id=ACCOUNT,
            base_url=f"{self.sandbox.base_url}/api",
            auth_url=None,
            credentials={"public_key": "sandbox-public", "secret_key": "sandbox-secret"},
            settings=self.settings,
            database=self.database,
            secrets=None,
            lane=lane,
        )

    def client(self, lane: Lane = Lane.LIVE) -> AbstractContextManager[SendCloudClient]:
        return connect(self.context(lane))

    def sync(self, stream: Stream[Any] = orders, request: Request | None = None) -> SyncTotals:
        self.runs += 1
        request = request or Request(start=datetime.fromisoformat("2020-01-01T00:00:00+00:00"))
        with self.client(request.lane) as client:
            return sync_stream(
                stream,
                database=self.database,
                account=ACCOUNT,
                client=client,
                run_id=f"run-{self.runs}",
                settings=self.settings,
                request=request,
            )

    def truth(self) -> dict[str, dict[str, Any]]:
        """The vendor's orders by SendCloud id, as comparable rows."""
        orders = self.sandbox.control.truth(streams="orders")["orders"]
        return {key: _expected(order) for key, order in orders.items()}

    def stored(self) -> dict[str, dict[str, Any]]:
        """Our orders in the same form."""
        with self.database.connect() as connection:
            rows = connection.execute(
                "SELECT sendcloud_id, order_id, integration_id, order_number, status, total_amount, currency, modified_at"
                " FROM sendcloud.orders WHERE deleted_at IS NULL"
            ).fetchall()
            items = connection.execute(
                "SELECT o.sendcloud_id, i.item_id, i.sku, i.quantity, i.unit_price FROM sendcloud.order_items i"
                " JOIN sendcloud.orders o USING (account, order_id, integration_id)"
            ).fetchall()
        found = {
            str(row[0]): dict(
                zip(
                    ("order_id", "integration_id", "order_number", "status", "total", "currency", "modified_at"),
                    row[1:],
                    strict=True,
                )
            )
            | {"items": set()}
            for row in rows
        }
        for sendcloud_id, item_id, sku, quantity, price in items:
            found[str(sendcloud_id)]["items"].add((item_id, sku, quantity, price))
        return found


def _expected(order: dict[str, Any]) -> dict[str, Any]:
    details, total = order["order_details"], order["payment_details"]["total_price"]
    return {
        "order_id": order["order_id"],
        "integration_id": details["integration"]["id"],
        "order_number": order["order_number"],
        "status": details["status"]["code"],
        "total": Decimal(str(total["value"])),
        "currency": total["currency"],
        "modified_at": datetime.fromisoformat(order["modified_at"]),
        "items": {
            (
                item.get("item_id") or f"#{position}",
                item.get("sku") or None,
                item["quantity"],
                Decimal(str(item["unit_price"]["value"])) if item.get("unit_price") else None,
            )
            for position, item in enumerate(details["order_items"])
        },
    }
