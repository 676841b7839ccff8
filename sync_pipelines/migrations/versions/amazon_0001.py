"""Amazon's tables: orders and their lines, reports asked for, polls, and the view of each tenant's state."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "amazon_0001"
down_revision = None
branch_labels = ("amazon",)
depends_on = ("engine_0001", "engine_stream_0001")

SYNC_STATE = """
create view amazon.sync_state as
select accounts.account as tenant,
    (select upper(w.confirmed) from sync.windows w
     where w.account = accounts.account and w.stream = 'amazon/orders') as last_updated_after,
    p.last_polled_at,
    p.last_success_at,
    p.last_error,
    p.failing_since,
    (select count(*) from amazon.orders o where o.account = accounts.account and o.deleted_at is null) as orders,
    (select count(*) from amazon.order_items i where i.account = accounts.account and i.deleted_at is null) as order_items
from (select account from amazon.polls union select account from sync.windows where stream = 'amazon/orders') as accounts
left join amazon.polls p using (account)
"""
"""One row a tenant: how far it is read, when it was last asked and with what result, and how much is stored."""


def upgrade() -> None:
    op.execute("create schema if not exists amazon")
    op.create_table(
        "order_items",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("order_id", sa.Text(), nullable=False, comment="Amazon's order id, 3-7-7 digits"),
        sa.Column(
            "order_item_id", sa.Text(), nullable=False, comment="Amazon's id; report-<n> in rows from a report that has none"
        ),
        sa.Column("asin", sa.Text()),
        sa.Column("sku", sa.Text()),
        sa.Column("title", sa.Text()),
        sa.Column("quantity", sa.Integer(), comment="Pieces ordered"),
        sa.Column("quantity_shipped", sa.Integer()),
        sa.Column("item_price", sa.Numeric(), comment="Of all pieces together"),
        sa.Column("item_tax", sa.Numeric()),
        sa.Column("shipping_price", sa.Numeric()),
        sa.Column("promotion_discount", sa.Numeric(), comment="On the item, without the discount on shipping"),
        sa.Column("currency", sa.Text(), comment="ISO 4217"),
        sa.Column("raw", postgresql.JSONB(), nullable=False, comment="The vendor's object as received"),
        sa.Column(
            "version", sa.DateTime(timezone=True), nullable=False, comment="Vendor change time; read time where the vendor has none"
        ),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="BLAKE2b-128 of the content"),
        sa.Column("deleted_at", sa.DateTime(timezone=True), comment="Set on a tombstone: when the vendor's copy was found gone"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When this row was first stored"),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=False, comment="When this row was last written"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="The Dagster run that last wrote this row"),
        sa.PrimaryKeyConstraint("account", "order_id", "order_item_id"),
        schema="amazon",
        comment="Lines of orders",
    )
    op.create_index("ix_order_items_asin", "order_items", ["asin"], schema="amazon")
    op.create_index("ix_order_items_sku", "order_items", ["sku"], schema="amazon")
    op.create_table(
        "orders",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("order_id", sa.Text(), nullable=False, comment="Amazon's order id, 3-7-7 digits"),
        sa.Column("marketplace_id", sa.Text()),
        sa.Column("status", sa.Text(), comment="In the words of API 2026-01-01, whichever version it was read with"),
        sa.Column("fulfillment", sa.Text(), comment="AMAZON or MERCHANT"),
        sa.Column("sales_channel", sa.Text(), comment="Amazon.fr"),
        sa.Column("purchased_at", sa.DateTime(timezone=True)),
        sa.Column("last_updated_at", sa.DateTime(timezone=True), comment="As Amazon tells it; v0 tells whole seconds"),
        sa.Column("order_total", sa.Numeric(), comment="What the buyer pays, in currency; null while pending and in report rows"),
        sa.Column("currency", sa.Text(), comment="ISO 4217"),
        sa.Column("items_shipped", sa.Integer(), comment="Pieces"),
        sa.Column("items_unshipped", sa.Integer(), comment="Pieces"),
        sa.Column(
            "latest_ship_at", sa.DateTime(timezone=True), comment="Promised; the retention of personal data counts from here"
        ),
        sa.Column("source", sa.Text(), comment="2026-01-01, v0 or report: what this row was last written from"),
        sa.Column("buyer_name", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("buyer_email", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("recipient_name", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("address_line_1", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("address_line_2", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("address_line_3", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("city", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("region", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("postal_code", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("country_code", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("phone", sa.Text(), comment="Personal data: empty unless asked for"),
        sa.Column("raw", postgresql.JSONB(), nullable=False, comment="The vendor's object as received"),
        sa.Column(
            "version", sa.DateTime(timezone=True), nullable=False, comment="Vendor change time; read time where the vendor has none"
        ),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="BLAKE2b-128 of the content"),
        sa.Column("deleted_at", sa.DateTime(timezone=True), comment="Set on a tombstone: when the vendor's copy was found gone"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When this row was first stored"),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=False, comment="When this row was last written"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="The Dagster run that last wrote this row"),
        sa.PrimaryKeyConstraint("account", "order_id"),
        schema="amazon",
        comment="Orders of all seller tenants",
    )
    op.create_index("ix_orders_account_last_updated_at", "orders", ["account", "last_updated_at"], schema="amazon")
    op.create_index("ix_orders_account_purchased_at", "orders", ["account", "purchased_at"], schema="amazon")
    op.create_index("ix_orders_status", "orders", ["status"], schema="amazon")
    op.create_table(
        "polls",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("last_polled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text(), comment="Of the last poll, if it failed; without secrets and personal data"),
        sa.Column("failing_since", sa.DateTime(timezone=True), comment="Start of the first failure after the last success"),
        sa.PrimaryKeyConstraint("account"),
        schema="amazon",
        comment="The live polls of each tenant",
    )
    op.create_table(
        "report_requests",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("range_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("range_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False, comment="Amazon's; a backfill that was interrupted goes on with it"),
        sa.Column("state", sa.Text(), nullable=False, comment="requested, stored, empty or failed"),
        sa.Column("orders", sa.Integer(), comment="Orders stored from it"),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("account", "range_start", "range_end"),
        schema="amazon",
        comment="Reports asked for by bulk backfills",
    )
    op.execute(SYNC_STATE)
