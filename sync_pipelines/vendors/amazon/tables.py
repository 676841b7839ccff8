"""Amazon's tables; both versions of the Orders API and the reports feed the same rows."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Numeric, Table, Text

from sync_pipelines.core.tables import child_table, instant, metadata, vendor_table

SCHEMA = "amazon"

PERSONAL_COLUMNS = (
    "buyer_name",
    "buyer_email",
    "recipient_name",
    "address_line_1",
    "address_line_2",
    "address_line_3",
    "city",
    "region",
    "postal_code",
    "country_code",
    "phone",
)
"""Filled only with ``settings.personal_data``, and erased after its retention."""

orders = vendor_table(
    SCHEMA,
    "orders",
    key=[Column("order_id", Text, comment="Amazon's order id, 3-7-7 digits")],
    columns=[
        Column("marketplace_id", Text),
        Column("status", Text, comment="In the words of API 2026-01-01, whichever version it was read with"),
        Column("fulfillment", Text, comment="AMAZON or MERCHANT"),
        Column("sales_channel", Text, comment="Amazon.fr"),
        instant("purchased_at"),
        instant("last_updated_at", comment="As Amazon tells it; v0 tells whole seconds"),
        Column("order_total", Numeric, comment="What the buyer pays, in currency; null while pending and in report rows"),
        Column("currency", Text, comment="ISO 4217"),
        Column("items_shipped", Integer, comment="Pieces"),
        Column("items_unshipped", Integer, comment="Pieces"),
        instant("latest_ship_at", comment="Promised; the retention of personal data counts from here"),
        Column("source", Text, comment="2026-01-01, v0 or report: what this row was last written from"),
        *(Column(name, Text, comment="Personal data: empty unless asked for") for name in PERSONAL_COLUMNS),
    ],
    comment="Orders of all seller tenants",
    indexes=[["account", "last_updated_at"], ["account", "purchased_at"], ["status"]],
)

order_items = child_table(
    orders,
    "order_items",
    key=[Column("order_item_id", Text, comment="Amazon's id; report-<n> in rows from a report that has none")],
    columns=[
        Column("asin", Text),
        Column("sku", Text),
        Column("title", Text),
        Column("quantity", Integer, comment="Pieces ordered"),
        Column("quantity_shipped", Integer),
        Column("item_price", Numeric, comment="Of all pieces together"),
        Column("item_tax", Numeric),
        Column("shipping_price", Numeric),
        Column("promotion_discount", Numeric, comment="On the item, without the discount on shipping"),
        Column("currency", Text, comment="ISO 4217"),
    ],
    comment="Lines of orders",
    indexes=[["sku"], ["asin"]],
)

report_requests = Table(
    "report_requests",
    metadata,
    Column("account", Text, primary_key=True),
    instant("range_start", primary_key=True),
    instant("range_end", primary_key=True),
    Column("report_id", Text, nullable=False, comment="Amazon's; a backfill that was interrupted goes on with it"),
    Column("state", Text, nullable=False, comment="requested, stored, empty or failed"),
    Column("orders", Integer, comment="Orders stored from it"),
    instant("requested_at", nullable=False),
    instant("finished_at"),
    schema=SCHEMA,
    comment="Reports asked for by bulk backfills",
)

polls = Table(
    "polls",
    metadata,
    Column("account", Text, primary_key=True),
    instant("last_polled_at", nullable=False),
    instant("last_success_at"),
    Column("last_error", Text, comment="Of the last poll, if it failed; without secrets and personal data"),
    instant("failing_since", comment="Start of the first failure after the last success"),
    schema=SCHEMA,
    comment="The live polls of each tenant",
)
