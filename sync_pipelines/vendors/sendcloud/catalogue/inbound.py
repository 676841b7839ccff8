"""``sendcloud.products``: what order and parcel items say about each SKU, derived in the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from sync_pipelines.core.db import Database
from sync_pipelines.core.store import Storer
from sync_pipelines.core.upsert import Record
from sync_pipelines.vendors.sendcloud import streams
from sync_pipelines.vendors.sendcloud.client import SendCloudClient


@dataclass(frozen=True, slots=True)
class ProductTotals:
    """What a refresh did: SKUs looked at, rows written, rows with conflicting values."""

    looked_at: int
    written: int
    conflicting: int

    def as_metadata(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SurveyTotals(ProductTotals):
    """What a survey did besides: orders looked at, orders that could not be read."""

    orders: int
    unreadable: int


def refresh(database: Database, account: str, *, everything: bool = False) -> ProductTotals:
    """Derives products anew whose items were stored since the last refresh, or all of them."""
    with database.transaction() as connection:
        connection.execute(_ALONE, [account])
        connection.execute(_ITEMS, {"account": account, "everything": everything})
        return ProductTotals(*_merge(connection, account))


def survey(database: Database, account: str, client: SendCloudClient, settings: Any) -> SurveyTotals:
    """Derives the products of every order the vendor still lists, without storing the orders.

    Items are gathered in a temporary table of one connection, so that no transaction lasts as long as the reading.
    """
    orders = unreadable = 0
    storer = Storer(streams.orders, account, "survey", settings)
    with database.connect() as connection:
        connection.execute(_GATHERED)
        try:
            for page in streams.all_orders(client, None):
                raws = streams.orders.records(page.body, page.source)
                records, broken = storer.parse(raws, source=page.source, received_at=datetime.now(UTC))
                orders, unreadable = orders + len(raws), unreadable + len(broken)
                with connection.cursor() as cursor, cursor.copy(f"COPY seen ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
                    for row in _seen_in(account, records):
                        copy.write_row(row)
            with connection.transaction():
                connection.execute(_ALONE, [account])
                totals = _merge(connection, account)
        finally:
            if not connection.broken:
                connection.execute("DROP TABLE IF EXISTS seen")
    return SurveyTotals(*totals, orders, unreadable)


def _seen_in(account: str, records: list[Record]) -> Iterator[list[Any]]:
    for record in records:
        at, number = record.row["order_created_at"] or record.version, record.row["order_number"]
        for item in record.children["order_items"]:
            if item.get("sku"):
                named = item | {
                    "account": account,
                    "origin_country": item.get("country_of_origin"),
                    "price": item.get("unit_price"),
                }
                yield [(named | {"of_order": number, "at": at}).get(name) for name in _COLUMNS]


def _merge(connection: Connection[Any], account: str) -> tuple[int, int, int]:
    """Turns what was seen into products; answers SKUs looked at, rows written, rows with conflicting values."""
    looked_at = connection.execute("SELECT count(DISTINCT sku) FROM seen").fetchone() or (0,)
    written = connection.execute(_MERGE).rowcount
    conflicting = connection.execute(
        "SELECT count(*) FROM sendcloud.products WHERE account = %s AND conflicts <> '{}'", [account]
    ).fetchone() or (0,)
    return looked_at[0], written, conflicting[0]


_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('sendcloud/products' || %s, 0))"

_PARCEL_ITEMS = """
    SELECT p.account, i ->> 'sku' AS sku, i ->> 'description' AS name, NULL AS ean, nullif(i ->> 'hs_code', '') AS hs_code,
           nullif(i ->> 'origin_country', '') AS origin_country,
           CASE i -> 'weight' ->> 'unit' WHEN 'kg' THEN (i -> 'weight' ->> 'value')::numeric
                WHEN 'g' THEN (i -> 'weight' ->> 'value')::numeric / 1000 END AS weight_kg,
           (i -> 'price' ->> 'value')::numeric AS price, i -> 'price' ->> 'currency' AS currency, NULL AS image_url,
           p.order_number AS of_order, coalesce(p.parcel_created_at, p.version) AS at, p.synced_at
      FROM sendcloud.parcels p, jsonb_array_elements(CASE jsonb_typeof(p.raw -> 'parcel_items') WHEN 'array'
                                                     THEN p.raw -> 'parcel_items' ELSE '[]' END) i
     WHERE p.account = %(account)s AND p.deleted_at IS NULL AND p.source = 'v3' AND i ->> 'sku' <> ''
"""

_ITEMS = f"""
CREATE TEMPORARY TABLE seen ON COMMIT DROP AS
WITH items AS (
    SELECT i.account, i.sku, i.name, i.ean, i.hs_code, i.country_of_origin AS origin_country, i.weight_kg, i.unit_price AS price,
           i.currency, i.image_url, o.order_number AS of_order, coalesce(o.order_created_at, i.version) AS at, i.synced_at
      FROM sendcloud.order_items i JOIN sendcloud.orders o USING (account, order_id, integration_id)
     WHERE i.account = %(account)s AND o.deleted_at IS NULL AND i.sku <> ''
    UNION ALL {_PARCEL_ITEMS}
), due AS (
    SELECT DISTINCT sku FROM items
     WHERE %(everything)s OR synced_at >= (SELECT coalesce(max(refreshed_at), '-infinity') - interval '10 minutes'
                                             FROM sendcloud.products WHERE account = %(account)s)
)
SELECT items.* FROM items JOIN due USING (sku)
"""  # noqa: S608 - a constant

_COLUMNS = (
    "account", "sku", "name", "ean", "hs_code", "origin_country", "weight_kg", "price", "currency", "image_url", "of_order", "at",
)  # fmt: skip

_GATHERED = """
CREATE TEMPORARY TABLE seen (account text, sku text, name text, ean text, hs_code text, origin_country text, weight_kg numeric,
                             price numeric, currency text, image_url text, of_order text, at timestamptz)
"""

_NEWEST = "(array_agg({0} ORDER BY at DESC) FILTER (WHERE {0} IS NOT NULL))[1] AS {0}"
_VALUES = ("name", "ean", "hs_code", "origin_country", "weight_kg", "price", "currency", "image_url")
_REPORTED = ("ean", "hs_code", "origin_country", "weight_kg")
_WRITTEN = (*_VALUES, "orders_seen", "first_seen_at", "last_seen_at", "conflicts")

_CONFLICT = "'{0}', CASE WHEN count(DISTINCT {0}) > 1 THEN to_jsonb(array_remove(array_agg(DISTINCT {0}), NULL)) END"

_KEPT = {
    "orders_seen": "greatest(t.orders_seen, excluded.orders_seen)",
    "first_seen_at": "least(t.first_seen_at, excluded.first_seen_at)",
}
"""Orders that were seen once and are not stored still count."""

_NEW = [_KEPT.get(name, f"excluded.{name}") for name in _WRITTEN]

_MERGE = f"""
INSERT INTO sendcloud.products AS t (account, sku, {", ".join(_WRITTEN)}, refreshed_at)
SELECT account, sku, {", ".join(_NEWEST.format(name) for name in _VALUES)}, count(DISTINCT of_order), min(at), max(at),
       jsonb_strip_nulls(jsonb_build_object({", ".join(_CONFLICT.format(name) for name in _REPORTED)})), clock_timestamp()
  FROM seen GROUP BY account, sku
ON CONFLICT (account, sku) DO UPDATE
   SET {", ".join(f"{name} = {new}" for name, new in zip(_WRITTEN, _NEW, strict=True))}, refreshed_at = excluded.refreshed_at
 WHERE ({", ".join(f"t.{name}" for name in _WRITTEN)}) IS DISTINCT FROM ({", ".join(_NEW)})
"""  # noqa: S608 - constant column names
