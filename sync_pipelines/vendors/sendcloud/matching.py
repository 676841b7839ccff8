"""One order is one row: joins what v3, v2 and shipments say about the same order.

v3 knows an order's integration and is the fuller source; a v2 parcel knows neither integration nor all fields, so it only stands in
while v3 cannot be read. Shipping columns follow the newest parcel, whichever way that came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from sync_pipelines.core.stream import WriteContext
from sync_pipelines.core.upsert import Record, upsert
from sync_pipelines.vendors.sendcloud import tables
from sync_pipelines.vendors.sendcloud.mapping import V2
from sync_pipelines.vendors.sendcloud.tables import UNKNOWN_INTEGRATION


def settle_orders(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """Gives v2 orders the key of the row they belong to, and v3 orders the rows that v2 had to make without them."""
    from_v2 = [record for record in records if record.row.get("source") == V2]
    from_v3 = [record for record in records if record.row.get("source") != V2]
    if from_v3:
        _claim(connection, context.account, from_v3)
    return from_v3 + (_stand_in(connection, context.account, _joined(from_v2)) if from_v2 else [])


def store_parcels(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Stores the parcels that came along with orders, and lets the orders follow their newest parcels."""
    parcels = [parcel for record in records for parcel in record.extra or []]
    if parcels:
        upsert(connection, tables.parcels, parcels, account=context.account, run_id=context.run_id, now=context.now)
    follow(connection, context, {record.row.get("order_number") for record in records})


def follow_parcels(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Lets the orders of these parcels follow them."""
    follow(connection, context, {record.row.get("order_number") for record in records})


def follow(connection: Connection[Any], context: WriteContext, order_numbers: Iterable[str | None]) -> int:
    """Copies the newest parcel's state onto the orders with these numbers; an older state never replaces a newer one.

    An order number alone is not unique across integrations: where several orders share it, a parcel must name the shop's order id
    or the integration to be followed.

    Returns:
        How many orders changed.
    """
    numbers = sorted({number for number in order_numbers if number})
    if not numbers:
        return 0
    return connection.execute(
        _FOLLOW, {"account": context.account, "numbers": numbers, "now": context.now, "run_id": context.run_id}
    ).rowcount


_FOLLOW = """
WITH newest AS MATERIALIZED (
    SELECT o.order_id, o.integration_id, p.*
      FROM unnest(%(numbers)s::text[]) AS n(order_number)
     CROSS JOIN LATERAL (
           SELECT x.order_id, x.integration_id
             FROM sendcloud.orders x
            WHERE x.order_number = n.order_number AND x.account IS NOT DISTINCT FROM %(account)s
           OFFSET 0) o
     CROSS JOIN LATERAL (
           SELECT x.wms_status, x.status_code, x.tracking_number, x.tracking_url, x.carrier,
                  coalesce(x.shipping_option, x.shipping_method) AS shipping_service, x.shipping_method, x.version
             FROM sendcloud.parcels x
            WHERE x.order_number = n.order_number AND x.account IS NOT DISTINCT FROM %(account)s
              AND x.deleted_at IS NULL AND x.is_return IS NOT TRUE
              AND (x.order_id IS NULL OR x.order_id = o.order_id)
              AND (x.integration_id IS NULL OR x.integration_id = o.integration_id)
              AND (x.order_id IS NOT NULL OR x.integration_id IS NOT NULL OR NOT EXISTS (
                      SELECT FROM sendcloud.orders twin
                       WHERE twin.order_number = n.order_number AND twin.account IS NOT DISTINCT FROM %(account)s
                         AND (twin.order_id, twin.integration_id) <> (o.order_id, o.integration_id)))
            ORDER BY x.version DESC, x.parcel_id DESC
            LIMIT 1) p
)
UPDATE sendcloud.orders o
   SET parcel_wms_status = n.wms_status, parcel_status = n.status_code, tracking_number = n.tracking_number,
       tracking_url = n.tracking_url, carrier = n.carrier, shipping_service = n.shipping_service,
       shipping_method = n.shipping_method, parcel_version = n.version, synced_at = %(now)s, run_id = %(run_id)s
  FROM newest n
 WHERE o.account = %(account)s AND o.order_id = n.order_id AND o.integration_id = n.integration_id
   AND (o.parcel_version IS NULL OR o.parcel_version <= n.version)
   AND (o.parcel_wms_status, o.parcel_status, o.tracking_number, o.tracking_url, o.carrier, o.shipping_service, o.shipping_method,
        o.parcel_version)
       IS DISTINCT FROM
       (n.wms_status, n.status_code, n.tracking_number, n.tracking_url, n.carrier, n.shipping_service, n.shipping_method, n.version)
"""
"""One probe of the order number's index a number. ``IS NOT DISTINCT FROM`` and ``OFFSET 0`` keep it so: while statistics are young,
the planner takes an account for a handful of rows and would go through all of it again and again."""

_CLAIM = """
WITH claimed AS (
    SELECT DISTINCT ON (o.order_id) o.order_id AS old_id, k.order_id AS new_id, k.integration_id
      FROM unnest(%(ids)b::text[], %(integrations)b::bigint[], %(numbers)b::text[]) AS k(order_id, integration_id, order_number)
      JOIN sendcloud.orders o
        ON o.account = %(account)s AND o.integration_id = %(unknown)s
       AND (o.order_id = k.order_id OR (o.order_number = k.order_number AND o.order_id = o.order_number))
     WHERE NOT EXISTS (SELECT FROM sendcloud.orders x
                        WHERE x.account = %(account)s AND x.order_id = k.order_id AND x.integration_id = k.integration_id)
     ORDER BY o.order_id, (o.order_id = k.order_id) DESC
), items AS (
    UPDATE sendcloud.order_items i SET order_id = c.new_id, integration_id = c.integration_id
      FROM claimed c WHERE i.account = %(account)s AND i.order_id = c.old_id AND i.integration_id = %(unknown)s
)
UPDATE sendcloud.orders o SET order_id = c.new_id, integration_id = c.integration_id, version = '-infinity'
  FROM claimed c WHERE o.account = %(account)s AND o.order_id = c.old_id AND o.integration_id = %(unknown)s
"""
"""Hands rows that v2 made to the v3 orders they stand for; their version makes way for any v3 version."""

_KNOWN = """
SELECT order_id, order_number, integration_id FROM sendcloud.orders
 WHERE account = %(account)s AND (order_id = ANY(%(ids)s) OR order_number = ANY(%(numbers)s))
"""


def _claim(connection: Connection[Any], account: str, records: list[Record]) -> None:
    exists = connection.execute(
        "SELECT 1 FROM sendcloud.orders WHERE account = %s AND integration_id = %s LIMIT 1", [account, UNKNOWN_INTEGRATION]
    ).fetchone()
    if exists is None:
        return
    values = {
        "ids": [record.key[0] for record in records],
        "integrations": [record.key[1] for record in records],
        "numbers": [record.row["order_number"] for record in records],
        "account": account,
        "unknown": UNKNOWN_INTEGRATION,
    }
    connection.execute(_CLAIM, values)


def _stand_in(connection: Connection[Any], account: str, records: list[Record]) -> list[Record]:
    """The v2 orders that no v3 row knows better."""
    ids = [record.key[0] for record in records]
    numbers = [record.row["order_number"] for record in records if record.row["order_number"]]
    integrations: dict[str, set[int]] = defaultdict(set)
    for order_id, order_number, integration in connection.execute(
        _KNOWN, {"account": account, "ids": ids, "numbers": numbers}
    ).fetchall():
        integrations[order_id].add(integration)
        if order_number:
            integrations[order_number].add(integration)

    def is_known(record: Record) -> bool:
        found = integrations[record.key[0]] | integrations[record.row["order_number"] or ""]
        return bool(found - {UNKNOWN_INTEGRATION})

    return [record for record in records if not is_known(record)]


def _joined(records: list[Record]) -> list[Record]:
    """Several parcels of one order in a batch are one order with all their items, as of the newest parcel."""
    by_key: dict[tuple[Any, ...], Record] = {}
    for record in sorted(records, key=lambda one: one.version):
        other = by_key.get(record.key)
        if other is not None:
            items = {item["item_id"]: item for item in other.children["order_items"]}
            items |= {item["item_id"]: item for item in record.children["order_items"]}
            record.children["order_items"] = list(items.values())
        by_key[record.key] = record
    return list(by_key.values())
