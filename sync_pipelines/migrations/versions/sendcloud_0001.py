"""SendCloud's orders, items and parcels, and the view the warehouse system queries."""

from alembic import op

revision = "sendcloud_0001"
down_revision = None
branch_labels = ("sendcloud",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS sendcloud")
    op.execute(
        """
        CREATE TABLE sendcloud.orders (
            account TEXT NOT NULL,
            order_id TEXT NOT NULL,
            integration_id BIGINT NOT NULL,
            sendcloud_id BIGINT,
            order_number TEXT,
            status TEXT,
            status_message TEXT,
            order_wms_status TEXT,
            payment_status TEXT,
            total_amount NUMERIC,
            currency TEXT,
            delivery_indicator TEXT,
            customer_name TEXT,
            customer_email TEXT,
            ship_to_country TEXT,
            ship_to_postal_code TEXT,
            ship_to_city TEXT,
            order_created_at TIMESTAMP WITH TIME ZONE,
            order_updated_at TIMESTAMP WITH TIME ZONE,
            modified_at TIMESTAMP WITH TIME ZONE,
            source TEXT,
            parcel_wms_status TEXT,
            parcel_status TEXT,
            tracking_number TEXT,
            tracking_url TEXT,
            carrier TEXT,
            shipping_service TEXT,
            shipping_method TEXT,
            parcel_version TIMESTAMP WITH TIME ZONE,
            wms_status TEXT GENERATED ALWAYS AS (coalesce(parcel_wms_status, order_wms_status)) STORED,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, order_id, integration_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_orders_order_number ON sendcloud.orders (order_number)")
    op.execute("CREATE INDEX ix_orders_order_updated_at ON sendcloud.orders (order_updated_at)")
    op.execute("CREATE INDEX ix_orders_sendcloud_id_wms_status ON sendcloud.orders (sendcloud_id, wms_status)")
    op.execute("CREATE INDEX ix_orders_shipping_service ON sendcloud.orders (shipping_service)")
    op.execute("COMMENT ON TABLE sendcloud.orders IS 'Orders of all shop connections, one row whichever API they came by'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.order_id IS 'The shop''s order id'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.integration_id IS 'The shop connection; 0 while known only from a v2 parcel'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.orders.sendcloud_id IS 'SendCloud''s own order id; null while known only from a v2 parcel'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.orders.status IS 'The vendor''s order status code, as it is'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.order_wms_status IS 'Order status mapped by settings.wms_status'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.total_amount IS 'Order total including tax, in currency'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.currency IS 'ISO 4217'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.delivery_indicator IS 'Delivery method the customer chose at the checkout'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.ship_to_country IS 'ISO 3166-1 alpha-2'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.order_created_at IS 'By the shop''s clock'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.order_updated_at IS 'By the shop''s clock; SendCloud''s filters look at this'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.modified_at IS 'By SendCloud''s clock'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.source IS 'v3 or v2: which API the order facts came from'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.parcel_wms_status IS 'Newest parcel''s status mapped by settings.wms_status'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.parcel_status IS 'Newest parcel''s status code'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.carrier IS 'Carrier code of the newest parcel'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.shipping_service IS 'Shipping option code or service of the newest parcel'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.shipping_method IS 'Shipping method''s name of the newest parcel'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.parcel_version IS 'Version of the parcel these columns follow'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.orders.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.order_items (
            account TEXT NOT NULL,
            order_id TEXT NOT NULL,
            integration_id BIGINT NOT NULL,
            item_id TEXT NOT NULL,
            product_id TEXT,
            variant_id TEXT,
            sku TEXT,
            ean TEXT,
            name TEXT,
            description TEXT,
            quantity INTEGER,
            unit_price NUMERIC,
            total_price NUMERIC,
            currency TEXT,
            hs_code TEXT,
            country_of_origin TEXT,
            weight_kg NUMERIC,
            image_url TEXT,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, order_id, integration_id, item_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_order_items_ean ON sendcloud.order_items (ean)")
    op.execute("CREATE INDEX ix_order_items_sku ON sendcloud.order_items (sku)")
    op.execute("COMMENT ON TABLE sendcloud.order_items IS 'Lines of orders'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.order_id IS 'The shop''s order id'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.order_items.integration_id IS 'The shop connection; 0 while known only from a v2 parcel'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.order_items.item_id IS 'The vendor''s item id, or its position where it has none'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.currency IS 'ISO 4217'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.country_of_origin IS 'ISO 3166-1 alpha-2'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.weight_kg IS 'Weight of one piece'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.order_items.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.parcels (
            account TEXT NOT NULL,
            parcel_id BIGINT NOT NULL,
            shipment_id TEXT,
            order_number TEXT,
            order_id TEXT,
            integration_id BIGINT,
            external_reference_id TEXT,
            status_code TEXT,
            status_message TEXT,
            wms_status TEXT,
            tracking_number TEXT,
            tracking_url TEXT,
            carrier TEXT,
            shipping_option TEXT,
            shipping_method TEXT,
            weight_kg NUMERIC,
            label_url TEXT,
            is_return BOOLEAN,
            total_amount NUMERIC,
            currency TEXT,
            parcel_created_at TIMESTAMP WITH TIME ZONE,
            announced_at TIMESTAMP WITH TIME ZONE,
            errors TEXT[],
            source TEXT,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, parcel_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_parcels_order_id ON sendcloud.parcels (order_id)")
    op.execute("CREATE INDEX ix_parcels_order_number ON sendcloud.parcels (order_number)")
    op.execute("CREATE INDEX ix_parcels_shipment_id ON sendcloud.parcels (shipment_id)")
    op.execute("CREATE INDEX ix_parcels_status_code ON sendcloud.parcels (status_code)")
    op.execute("CREATE INDEX ix_parcels_tracking_number ON sendcloud.parcels (tracking_number)")
    op.execute("COMMENT ON TABLE sendcloud.parcels IS 'Parcels with their newest known state'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.order_id IS 'The shop''s order id, where the vendor says it'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.external_reference_id IS 'Our idempotency key, if we announced the parcel'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.status_code IS 'v3 status code; v2 ids are translated where known'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.wms_status IS 'Status mapped by settings.wms_status'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.carrier IS 'Carrier code'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.shipping_option IS 'v3 shipping option code'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.shipping_method IS 'v2 shipping method''s name'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.currency IS 'ISO 4217'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.errors IS 'The vendor''s words on a failed announcement'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.source IS 'v3, v2 or webhook: which way this version came'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.parcels.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE OR REPLACE VIEW public.commande AS
        SELECT account,
               sendcloud_id,
               order_number AS numero_commande,
               wms_status AS statut_wms,
               tracking_number,
               shipping_service AS service_transport,
               shipping_method AS methode_expedition,
               carrier AS transporteur_choisi,
               order_created_at AS date_creation
        FROM sendcloud.orders
        WHERE deleted_at IS NULL
        """
    )
