"""Which orders have all their lines, by what the order itself says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sync_pipelines.core.db import Database

INCOMPLETE = (
    "NOT EXISTS (SELECT FROM amazon.order_items i WHERE i.account = o.account AND i.order_id = o.order_id)"
    " OR (SELECT sum(i.quantity) FROM amazon.order_items i WHERE i.account = o.account AND i.order_id = o.order_id)"
    " < coalesce(o.items_shipped, 0) + coalesce(o.items_unshipped, 0)"
)
"""Condition on ``amazon.orders o``: no lines, or fewer pieces in them than the order says."""


def known_versions(database: Database, account: str, order_ids: Iterable[str]) -> dict[str, datetime]:
    """Versions of stored orders whose lines are complete."""
    with database.connect() as connection:
        rows = connection.execute(
            f"SELECT order_id, version FROM amazon.orders o WHERE account = %s AND order_id = ANY(%s)"  # noqa: S608
            f" AND deleted_at IS NULL AND NOT ({INCOMPLETE})",
            [account, list(order_ids)],
        ).fetchall()
    return dict(rows)


def incomplete_orders(database: Database, account: str) -> list[str]:
    """Orders without lines or with fewer pieces in them than the order says, youngest change first."""
    with database.connect() as connection:
        rows = connection.execute(
            f"SELECT order_id FROM amazon.orders o WHERE account = %s AND deleted_at IS NULL AND ({INCOMPLETE})"  # noqa: S608
            " ORDER BY last_updated_at DESC",
            [account],
        ).fetchall()
    return [row[0] for row in rows]
