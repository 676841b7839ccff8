"""``sendcloud.products``: what order and parcel items say about each SKU, derived in the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sync_pipelines.core.db import Database


@dataclass(frozen=True, slots=True)
class ProductTotals:
    """What a refresh did: SKUs looked at, rows written, rows with conflicting values."""

    looked_at: int
    written: int
    conflicting: int

    def as_metadata(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)


def refresh(database: Database, account: str, *, everything: bool = False) -> ProductTotals:
    """Derives products anew whose items were stored since the last refresh, or all of them."""
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('sendcloud/products' || %s, 0))", [account])
        connection.execute(_ITEMS, {"account": account, "everything": everything})
        looked_at = connection.execute("SELECT count(DISTINCT sku) FROM seen").fetchone() or (0,)
        written = connection.execute(_MERGE, {"account": account}).rowcount
        conflicting = connection.execute(
            "SELECT count(*) FROM sendcloud.products WHERE account = %s AND conflicts <> '{}'", [account]
        ).fetchone() or (0,)
    return ProductTotals(looked_at[0], written, conflicting[0])


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

_NEWEST = "(array_agg({0} ORDER BY at DESC) FILTER (WHERE {0} IS NOT NULL))[1] AS {0}"
_VALUES = ("name", "ean", "hs_code", "origin_country", "weight_kg", "price", "currency", "image_url")
_REPORTED = ("ean", "hs_code", "origin_country", "weight_kg")
_WRITTEN = (*_VALUES, "orders_seen", "first_seen_at", "last_seen_at", "conflicts")

_CONFLICT = "'{0}', CASE WHEN count(DISTINCT {0}) > 1 THEN to_jsonb(array_remove(array_agg(DISTINCT {0}), NULL)) END"

_MERGE = f"""
INSERT INTO sendcloud.products AS t (account, sku, {", ".join(_WRITTEN)}, refreshed_at)
SELECT account, sku, {", ".join(_NEWEST.format(name) for name in _VALUES)}, count(DISTINCT of_order), min(at), max(at),
       jsonb_strip_nulls(jsonb_build_object({", ".join(_CONFLICT.format(name) for name in _REPORTED)})), clock_timestamp()
  FROM seen GROUP BY account, sku
ON CONFLICT (account, sku) DO UPDATE
   SET {", ".join(f"{name} = excluded.{name}" for name in _WRITTEN)}, refreshed_at = excluded.refreshed_at
 WHERE ({", ".join(f"t.{name}" for name in _WRITTEN)}) IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _WRITTEN)})
"""  # noqa: S608 - constant column names
