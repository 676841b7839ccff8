"""When each kind of supplier sync is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cronsim import CronSim

from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines.vendors.suppliers.connectors import CONNECTORS

CRONS = {
    Kind.INVENTORY_UPDATE: "*/30 * * * *",
    Kind.PRICE_UPDATE: "15 */6 * * *",
    Kind.ORDER_SYNC: "5 * * * *",
    Kind.SUPPLIER_API: "30 2 * * *",
}
"""In UTC; a kind that is still open is not asked for again."""


def next_beat(stream: str, account: str, _settings: Any, after: datetime) -> datetime | None:
    """When a table of an account is asked for next; ``None`` if that supplier does not have it."""
    kinds = CONNECTORS[account.split("/", 1)[0]].kinds
    return min((next(iter(CronSim(CRONS[kind], after))) for kind, tables in kinds.items() if stream in tables), default=None)
