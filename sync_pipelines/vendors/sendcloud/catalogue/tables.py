"""Tables of products: seen in SendCloud's orders, kept by the shop, and written by us onto orders."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import instant, metadata

products = Table(
    "products",
    metadata,
    Column("account", Text, primary_key=True, comment="vendor/name"),
    Column("sku", Text, primary_key=True),
    Column("name", Text, comment="As the newest order or parcel has it, like all columns down to image_url"),
    Column("ean", Text),
    Column("hs_code", Text),
    Column("origin_country", Text, comment="ISO 3166-1 alpha-2"),
    Column("weight_kg", Numeric, comment="Of one piece"),
    Column("price", Numeric, comment="Of one piece"),
    Column("currency", Text, comment="ISO 4217"),
    Column("image_url", Text),
    Column("orders_seen", Integer, nullable=False, comment="Orders that contain it"),
    instant("first_seen_at", comment="Of the oldest order or parcel that contains it"),
    instant("last_seen_at", comment="Of the newest one"),
    Column("conflicts", JSONB, nullable=False, comment="Column to all its values, where they differ"),
    instant("refreshed_at", nullable=False, comment="When this row last changed"),
    schema="sendcloud",
    comment="Products as order and parcel items name them; SendCloud has no product list",
)

product_writes = Table(
    "product_writes",
    metadata,
    Column("account", Text, primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("integration_id", BigInteger, primary_key=True),
    Column("item", Text, primary_key=True, comment="The item's id, or its position"),
    Column("field", Text, primary_key=True),
    Column("value", Text, comment="What we wrote; another value there now is somebody else's"),
    instant("written_at", nullable=False),
    schema="sendcloud",
    comment="Fields of order items that hold what we wrote from wms.products",
)

wms_products = Table(
    "products",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("name", Text),
    Column("ean", Text),
    Column("hs_code", Text),
    Column("origin_country", Text, comment="ISO 3166-1 alpha-2"),
    Column("weight_g", Numeric, comment="Of one piece"),
    Column("price", Numeric, comment="Of one piece"),
    Column("currency", Text, comment="ISO 4217"),
    instant("updated_at", nullable=False, comment="Set by whoever changes the row"),
    schema="wms",
    comment="The shop's product master data; a column that is null is left as the order has it",
)
