"""Schema ``suppliers``: one table of each kind over all suppliers, and the state that keeps them fresh and plausible."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Identity, Index, Integer, LargeBinary, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import child_table, instant, kept_by, metadata, vendor_table

SCHEMA = "suppliers"


def _t(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, Text, comment=comment)


def _money(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, Numeric, comment=comment)


products = vendor_table(
    SCHEMA,
    "products",
    key=[_t("supplier_product_id")],
    columns=[
        _t("sku", "What one orders a product without variants by"),
        _t("ean"),
        _t("manufacturer_id"),
        _t("taxonomy_id", "The product's own, deepest taxonomy"),
        _t("scope", "The part of the supplier's list it was read from"),
        _t("status", "The supplier's word"),
        _t("condition"),
        Column("weight_kg", Numeric),
        Column("vat_rate", Numeric, comment="Percent"),
        Column("rating", Numeric, comment="The supplier's own rating, 0 to 5"),
        Column("rating_count", Integer),
        _t("sold", "Units sold as the supplier says it: 5000+"),
        instant("vendor_updated_at", comment="Shown by the supplier; not dependable enough to be the version"),
        *kept_by("suppliers/product_information", _t("name", "In the account's language")),
        *kept_by("suppliers/product_images", _t("image_url", "Cover image")),
    ],
    comment="Products of all suppliers",
    indexes=[["sku"], ["ean"]],
)

product_information = vendor_table(
    SCHEMA,
    "product_information",
    key=[_t("supplier_product_id"), _t("language")],
    columns=[_t("name"), _t("description", "HTML"), _t("url")],
    comment="Names and descriptions by language",
)

product_images = vendor_table(
    SCHEMA,
    "product_images",
    key=[_t("supplier_product_id")],
    columns=[_t("cover_url"), Column("image_count", Integer), Column("urls", JSONB, comment="In the supplier's order")],
    comment="Images of products",
)

variants = vendor_table(
    SCHEMA,
    "variants",
    key=[_t("supplier_product_id"), _t("supplier_variant_id")],
    columns=[
        _t("sku", "What one orders it by"),
        _t("ean"),
        _t("scope"),
        Column("options", JSONB, comment="What tells it apart, by name, where the supplier says so with the variant"),
        _t("order_code", "What an order has to name besides the SKU"),
    ],
    comment="Variants of products",
    indexes=[["account", "sku"], ["ean"]],
)

variant_attributes = vendor_table(
    SCHEMA,
    "variant_attributes",
    key=[_t("supplier_variant_id")],
    columns=[Column("attribute_ids", JSONB, comment="Into suppliers.attributes")],
    comment="What tells variants apart, where the supplier lists it separately",
)

taxonomies = vendor_table(
    SCHEMA,
    "taxonomies",
    key=[_t("supplier_taxonomy_id"), _t("language")],
    columns=[_t("name"), _t("parent_id", "Null at the top")],
    comment="Product groups",
)

manufacturers = vendor_table(
    SCHEMA, "manufacturers", key=[_t("manufacturer_id")], columns=[_t("name")], comment="Makers of products"
)

attributes = vendor_table(
    SCHEMA,
    "attributes",
    key=[_t("kind", "attribute or group"), _t("attribute_id"), _t("language")],
    columns=[_t("name"), _t("group_id")],
    comment="Attributes and their groups",
)


def _item() -> list[Column[Any]]:
    return [
        _t("supplier_product_id", "Null while the variant's product is not known yet"),
        _t("item_kind", "product (without variants, or the sum of them) or variant"),
        _t("supplier_variant_id"),
        _t("scope", "The part of the supplier's list it was read from"),
    ]


stock = vendor_table(
    SCHEMA,
    "stock",
    key=[_t("supplier_sku")],
    columns=[
        *_item(),
        _t("feed", "The supplier's list it was read from"),
        Column("quantity", Integer, comment="Sum over all handling times, as last applied"),
        Column("handling", JSONB, comment="quantity, min_days, max_days, warehouse"),
    ],
    comment="Units on hand as the supplier said; how old that is and what may be sold is in suppliers.offers",
    indexes=[["account", "supplier_product_id"], ["account", "feed", "scope"]],
)

prices = vendor_table(
    SCHEMA,
    "prices",
    key=[_t("supplier_sku")],
    columns=[
        *_item(),
        _money("cost", "What one unit costs us"),
        _t("currency", "ISO 4217"),
        _money("recommended_price"),
        Column("cost_includes_tax", Boolean),
    ],
    comment="Purchase prices as the supplier said",
    indexes=[["account", "supplier_product_id"]],
)

orders = vendor_table(
    SCHEMA,
    "orders",
    key=[_t("supplier_order_id")],
    columns=[
        _t("reference", "Our reference, unique with the account where we place orders"),
        _t("status", "The supplier's word"),
        _t("common_status", "placed, unpaid, processing, partly_shipped, shipped, delivered, cancelled, unknown"),
        _t("logistics_status"),
        instant("placed_at"),
        _money("total"),
        _t("currency", "ISO 4217"),
    ],
    comment="Supplier orders that are followed",
    indexes=[["account", "reference"]],
)

order_lines = child_table(
    orders,
    "order_lines",
    key=[Column("line", Integer)],
    columns=[
        _t("sku"),
        _t("supplier_product_id"),
        Column("quantity", Integer),
        _money("price"),
        _t("currency", "ISO 4217"),
        _t("end_reason", "Why the supplier ended this line"),
    ],
    comment="Lines of supplier orders",
)

order_tracking = vendor_table(
    SCHEMA,
    "order_tracking",
    key=[_t("supplier_order_id"), _t("tracking_number")],
    columns=[_t("carrier"), _t("status"), instant("status_at"), Column("events", JSONB, comment="Newest first")],
    comment="Parcels of supplier orders",
)


def _state(name: str, *columns: Any, comment: str) -> Table:
    return Table(name, metadata, *columns, schema=SCHEMA, comment=comment)


stock_history = _state(
    "stock_history",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Text, nullable=False),
    Column("supplier_sku", Text, nullable=False),
    Column("quantity", Integer, comment="Null: the SKU is gone"),
    instant("changed_at", nullable=False),
    Column("run_id", Text, nullable=False),
    Index("ix_stock_history_sku", "account", "supplier_sku", "changed_at"),
    Index("ix_stock_history_changed_at", "changed_at"),
    comment="Every change of suppliers.stock, written by its trigger",
)

price_history = _state(
    "price_history",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Text, nullable=False),
    Column("supplier_sku", Text, nullable=False),
    Column("cost", Numeric, comment="Null: the SKU is gone"),
    Column("currency", Text),
    instant("changed_at", nullable=False),
    Column("run_id", Text, nullable=False),
    Index("ix_price_history_sku", "account", "supplier_sku", "changed_at"),
    Index("ix_price_history_changed_at", "changed_at"),
    comment="Every change of suppliers.prices, written by its trigger",
)

reads = _state(
    "reads",
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("pages", Integer, nullable=False, comment="Calls the last whole read took; the next plan counts on them"),
    Column("rows", Integer, nullable=False, comment="Records of the last whole read"),
    instant("as_of", comment="When the last plausible whole read began: what its rows are true for"),
    instant("read_at", nullable=False, comment="When it was last read, plausible or not"),
    instant("suspect_since", comment="Since when answers are implausible (empty where rows were); null if they are not"),
    comment="Freshness of every part of every list: the planner's memory",
)

doubts = _state(
    "doubts",
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("supplier_sku", Text, primary_key=True),
    Column("reason", Text, nullable=False, comment="missing (not in the last whole read) or held (by the brake)"),
    instant("known_at", comment="The last time the stored value was confirmed"),
    Column("held_row", JSONB, comment="The held record's columns"),
    Column("raw", JSONB, comment="The held record as received"),
    Column("content_hash", LargeBinary),
    instant("version", comment="When the held record was read"),
    Column("detail", Text, comment="What is implausible"),
    Column("is_pending", Boolean, nullable=False, comment="Its run has not been judged yet"),
    comment="SKUs whose stored value is not what the supplier last said, or not said any more",
)

brakes = _state(
    "brakes",
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("in_stock", BigInteger, nullable=False, comment="SKUs in stock among those read since the last judgement"),
    comment="What the brake compares the SKUs that went to 0 with",
)

scopes = _state(
    "scopes",
    Column("account", Text, primary_key=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("settings", Text, nullable=False, comment="Digest of the settings it was listed under"),
    instant("listed_at", nullable=False),
    comment="The parts into which a supplier divides its lists, where listing them costs scarce calls",
)

offer_rules = _state(
    "offer_rules",
    Column("account", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("from_cost", Numeric, nullable=False),
    Column("to_cost", Numeric),
    Column("margin_percent", Numeric, nullable=False),
    Column("fixed", Numeric, nullable=False),
    Column("min_margin", Numeric, nullable=False),
    Column("vat_in", Boolean, nullable=False),
    Column("vat_percent", Numeric, nullable=False),
    Column("ending", Numeric),
    comment="Selling price rules of the active configuration, for the view suppliers.offers",
)

offer_settings = _state(
    "offer_settings",
    Column("account", Text, primary_key=True),
    Column("max_age_s", Integer, nullable=False),
    Column("safety_stock", Integer, nullable=False),
    Column("max_handling_days", Integer),
    Column("currency", Text, comment="Currency offers are made in; null: whatever the cost has"),
    comment="What the view suppliers.offers needs of the active configuration",
)

sync_requests = _state(
    "sync_requests",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account", Text, nullable=False, comment="bigbuy/main"),
    Column("kind", Text, nullable=False, comment="supplier_api, inventory_update, price_update or order_sync"),
    Column("priority", Integer, nullable=False, server_default=text("0"), comment="Higher first, within the same kind"),
    Column("status", Text, nullable=False, server_default=text("'pending'"), comment="pending, running, completed or failed"),
    Column("requested_by", Text, nullable=False, server_default=text("'sql'")),
    instant("requested_at", nullable=False, server_default=text("clock_timestamp()")),
    instant("not_before", comment="The quota's next window; null: at once"),
    instant("started_at"),
    instant("ended_at"),
    Column("done", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="Tables already brought up to date"),
    Column("totals", JSONB, comment="Counts so far"),
    Column("error", Text),
    Column("run_id", Text, comment="The last Dagster run that worked on it"),
    Index("ix_sync_requests_open", "account", postgresql_where=text("status IN ('pending', 'running')")),
    comment="Requests of one kind of sync for one supplier account; other programs insert rows here",
)

webhook_deliveries = _state(
    "webhook_deliveries",
    Column("request_id", BigInteger, primary_key=True),
    Column("account", Text, nullable=False),
    Column("body", Text, nullable=False, comment="Exactly what is signed and sent"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("next_at", nullable=False),
    instant("delivered_at"),
    instant("given_up_at"),
    Column("error", Text, comment="Kind of the last failure"),
    comment="Completion webhooks and what became of them",
)

order_requests = _state(
    "order_requests",
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account", Text, nullable=False),
    Column("order_id", Text, comment="The supplier's id"),
    Column("reference", Text, comment="Our reference"),
    instant("requested_at", nullable=False, server_default=text("clock_timestamp()")),
    instant("found_at", comment="When the supplier first knew it"),
    instant("asked_at"),
    instant("closed_at", comment="Delivered, cancelled or given up: not asked for any more"),
    Index("ux_order_requests", "account", text("coalesce(order_id, '')"), text("coalesce(reference, '')"), unique=True),
    comment="Supplier orders to follow; other programs insert rows here",
)

product_scores = _state(
    "product_scores",
    Column("account", Text, primary_key=True),
    Column("supplier_product_id", Text, primary_key=True),
    Column("score", Numeric, nullable=False, comment="0 to 100"),
    Column("quality", Numeric, nullable=False, comment="Share of the formula's weight that had data, 0 to 1"),
    Column("parts", JSONB, nullable=False, comment="Each part's score, 0 to 1; null without data"),
    Column("inputs", JSONB, nullable=False, comment="What the parts were computed from"),
    instant("scored_at", nullable=False),
    comment="Product performance (vendors/suppliers/score.py)",
)

BY_NAME: dict[str, Table] = {
    table.name: table
    for table in (
        products,
        product_information,
        product_images,
        variants,
        variant_attributes,
        taxonomies,
        manufacturers,
        attributes,
        stock,
        prices,
        orders,
        order_tracking,
    )
}
"""The tables that streams fill."""
