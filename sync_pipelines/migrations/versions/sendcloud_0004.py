"""Products seen at SendCloud, and the shop's master data."""

from alembic import op

revision = "sendcloud_0004"
down_revision = "sendcloud_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS wms")
    op.execute(
        """
        CREATE TABLE sendcloud.products (
            account TEXT NOT NULL,
            sku TEXT NOT NULL,
            name TEXT,
            ean TEXT,
            hs_code TEXT,
            origin_country TEXT,
            weight_kg NUMERIC,
            price NUMERIC,
            currency TEXT,
            image_url TEXT,
            orders_seen INTEGER NOT NULL,
            first_seen_at TIMESTAMP WITH TIME ZONE,
            last_seen_at TIMESTAMP WITH TIME ZONE,
            conflicts JSONB NOT NULL,
            refreshed_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (account, sku)
        )
        """
    )
    op.execute(
        "COMMENT ON TABLE sendcloud.products IS 'Products as order and parcel items name them; SendCloud has no product list'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.products.account IS 'vendor/name'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.products.name IS 'As the newest order or parcel has it, like all columns down to image_url'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.products.origin_country IS 'ISO 3166-1 alpha-2'")
    op.execute("COMMENT ON COLUMN sendcloud.products.weight_kg IS 'Of one piece'")
    op.execute("COMMENT ON COLUMN sendcloud.products.price IS 'Of one piece'")
    op.execute("COMMENT ON COLUMN sendcloud.products.currency IS 'ISO 4217'")
    op.execute("COMMENT ON COLUMN sendcloud.products.orders_seen IS 'Orders that contain it'")
    op.execute("COMMENT ON COLUMN sendcloud.products.first_seen_at IS 'Of the oldest order or parcel that contains it'")
    op.execute("COMMENT ON COLUMN sendcloud.products.last_seen_at IS 'Of the newest one'")
    op.execute("COMMENT ON COLUMN sendcloud.products.conflicts IS 'Column to all its values, where they differ'")
    op.execute("COMMENT ON COLUMN sendcloud.products.refreshed_at IS 'When this row last changed'")
    op.execute(
        """
        CREATE TABLE sendcloud.product_writes (
            account TEXT NOT NULL,
            order_id TEXT NOT NULL,
            integration_id BIGINT NOT NULL,
            item TEXT NOT NULL,
            field TEXT NOT NULL,
            value TEXT,
            written_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (account, order_id, integration_id, item, field)
        )
        """
    )
    op.execute("COMMENT ON TABLE sendcloud.product_writes IS 'Fields of order items that hold what we wrote from wms.products'")
    op.execute("COMMENT ON COLUMN sendcloud.product_writes.item IS 'The item''s id, or its position'")
    op.execute("COMMENT ON COLUMN sendcloud.product_writes.value IS 'What we wrote; another value there now is somebody else''s'")
    op.execute(
        """
        CREATE TABLE wms.products (
            sku TEXT NOT NULL,
            name TEXT,
            ean TEXT,
            hs_code TEXT,
            origin_country TEXT,
            weight_g NUMERIC,
            price NUMERIC,
            currency TEXT,
            updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (sku)
        )
        """
    )
    op.execute(
        "COMMENT ON TABLE wms.products IS 'The shop''s product master data; a column that is null is left as the order has it'"
    )
    op.execute("COMMENT ON COLUMN wms.products.origin_country IS 'ISO 3166-1 alpha-2'")
    op.execute("COMMENT ON COLUMN wms.products.weight_g IS 'Of one piece'")
    op.execute("COMMENT ON COLUMN wms.products.price IS 'Of one piece'")
    op.execute("COMMENT ON COLUMN wms.products.currency IS 'ISO 4217'")
    op.execute("COMMENT ON COLUMN wms.products.updated_at IS 'Set by whoever changes the row'")
