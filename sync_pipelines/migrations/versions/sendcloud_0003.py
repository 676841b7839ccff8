"""SendCloud's reference data."""

from alembic import op

revision = "sendcloud_0003"
down_revision = "sendcloud_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sendcloud.carriers (
            account TEXT NOT NULL,
            code TEXT NOT NULL,
            name TEXT,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, code)
        )
        """
    )
    op.execute(
        "COMMENT ON TABLE sendcloud.carriers IS 'Carriers with service points, and those there is a contract with; the vendor has no general list'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.carriers.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.name IS 'Where a contract names the carrier'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.carriers.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.contracts (
            account TEXT NOT NULL,
            contract_id BIGINT NOT NULL,
            carrier TEXT,
            name TEXT,
            client_id TEXT,
            country TEXT,
            state TEXT,
            type TEXT,
            is_default BOOLEAN,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, contract_id)
        )
        """
    )
    op.execute("COMMENT ON TABLE sendcloud.contracts IS 'Contracts with carriers'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.carrier IS 'Carrier code'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.country IS 'ISO 3166-1 alpha-2'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.is_default IS 'The carrier''s default contract'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.contracts.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.shipping_methods (
            account TEXT NOT NULL,
            method_id BIGINT NOT NULL,
            name TEXT,
            carrier TEXT,
            min_weight_kg NUMERIC,
            max_weight_kg NUMERIC,
            needs_service_point BOOLEAN,
            countries TEXT[],
            prices JSONB,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, method_id)
        )
        """
    )
    op.execute("COMMENT ON TABLE sendcloud.shipping_methods IS 'v2 shipping methods'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.method_id IS 'Volatile: good for about an hour'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.carrier IS 'Carrier code'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.countries IS 'ISO 3166-1 alpha-2 codes of the destinations'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.prices IS 'Price by destination, in the account''s currency'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.shipping_methods.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_methods.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.shipping_options (
            account TEXT NOT NULL,
            code TEXT NOT NULL,
            contract_id BIGINT NOT NULL,
            name TEXT,
            carrier TEXT,
            product TEXT,
            min_weight_kg NUMERIC,
            max_weight_kg NUMERIC,
            needs_service_point BOOLEAN,
            functionalities JSONB,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, code, contract_id)
        )
        """
    )
    op.execute("COMMENT ON TABLE sendcloud.shipping_options IS 'v3 shipping options'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.code IS 'What label requests name'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.contract_id IS '0 where the option has none'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.carrier IS 'Carrier code'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.product IS 'The carrier''s product code'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.shipping_options.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.shipping_options.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.sender_addresses (
            account TEXT NOT NULL,
            sender_address_id BIGINT NOT NULL,
            name TEXT,
            company_name TEXT,
            address_line_1 TEXT,
            house_number TEXT,
            postal_code TEXT,
            city TEXT,
            country TEXT,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, sender_address_id)
        )
        """
    )
    op.execute("COMMENT ON TABLE sendcloud.sender_addresses IS 'Addresses parcels may be sent from'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.country IS 'ISO 3166-1 alpha-2'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.sender_addresses.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.sender_addresses.run_id IS 'The Dagster run that last wrote this row'")
    op.execute(
        """
        CREATE TABLE sendcloud.integrations (
            account TEXT NOT NULL,
            integration_id BIGINT NOT NULL,
            shop_name TEXT,
            shop_url TEXT,
            type TEXT,
            failing_since TIMESTAMP WITH TIME ZONE,
            last_fetched_at TIMESTAMP WITH TIME ZONE,
            updated_at TIMESTAMP WITH TIME ZONE,
            webhook_active BOOLEAN,
            webhook_url TEXT,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, integration_id)
        )
        """
    )
    op.execute("COMMENT ON TABLE sendcloud.integrations IS 'Shop connections'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.account IS 'vendor/name'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.type IS 'The shop''s system'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.raw IS 'The vendor''s object as received'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.version IS 'Vendor change time; read time where the vendor has none'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.content_hash IS 'BLAKE2b-128 of the content'")
    op.execute(
        "COMMENT ON COLUMN sendcloud.integrations.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone'"
    )
    op.execute("COMMENT ON COLUMN sendcloud.integrations.first_seen_at IS 'When this row was first stored'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.synced_at IS 'When this row was last written'")
    op.execute("COMMENT ON COLUMN sendcloud.integrations.run_id IS 'The Dagster run that last wrote this row'")
