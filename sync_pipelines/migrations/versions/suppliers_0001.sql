-- Frozen: later changes of the schema are migrations of their own.
CREATE TABLE suppliers.attributes (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    attribute_id TEXT NOT NULL,
    language TEXT NOT NULL,
    name TEXT,
    group_id TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, kind, attribute_id, language)
);
COMMENT ON TABLE suppliers.attributes IS 'Attributes and their groups';
COMMENT ON COLUMN suppliers.attributes.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.attributes.kind IS 'attribute or group';
COMMENT ON COLUMN suppliers.attributes.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.attributes.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.attributes.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.attributes.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.attributes.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.attributes.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.attributes.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.brakes (
    account TEXT NOT NULL,
    stream TEXT NOT NULL,
    in_stock BIGINT NOT NULL,
    PRIMARY KEY (account, stream)
);
COMMENT ON TABLE suppliers.brakes IS 'What the brake compares the SKUs that went to 0 with';
COMMENT ON COLUMN suppliers.brakes.in_stock IS 'SKUs in stock among those read since the last judgement';
CREATE TABLE suppliers.doubts (
    account TEXT NOT NULL,
    stream TEXT NOT NULL,
    supplier_sku TEXT NOT NULL,
    reason TEXT NOT NULL,
    known_at TIMESTAMP WITH TIME ZONE,
    held_row JSONB,
    raw JSONB,
    content_hash BYTEA,
    version TIMESTAMP WITH TIME ZONE,
    detail TEXT,
    is_pending BOOLEAN NOT NULL,
    PRIMARY KEY (account, stream, supplier_sku)
);
COMMENT ON TABLE suppliers.doubts IS 'SKUs whose stored value is not what the supplier last said, or not said any more';
COMMENT ON COLUMN suppliers.doubts.reason IS 'missing (not in the last whole read) or held (by the brake)';
COMMENT ON COLUMN suppliers.doubts.known_at IS 'The last time the stored value was confirmed';
COMMENT ON COLUMN suppliers.doubts.held_row IS 'The held record''s columns';
COMMENT ON COLUMN suppliers.doubts.raw IS 'The held record as received';
COMMENT ON COLUMN suppliers.doubts.version IS 'When the held record was read';
COMMENT ON COLUMN suppliers.doubts.detail IS 'What is implausible';
COMMENT ON COLUMN suppliers.doubts.is_pending IS 'Its run has not been judged yet';
CREATE TABLE suppliers.manufacturers (
    account TEXT NOT NULL,
    manufacturer_id TEXT NOT NULL,
    name TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, manufacturer_id)
);
COMMENT ON TABLE suppliers.manufacturers IS 'Makers of products';
COMMENT ON COLUMN suppliers.manufacturers.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.manufacturers.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.manufacturers.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.manufacturers.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.manufacturers.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.manufacturers.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.manufacturers.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.manufacturers.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.offer_rules (
    account TEXT NOT NULL,
    position INTEGER NOT NULL,
    from_cost NUMERIC NOT NULL,
    to_cost NUMERIC,
    margin_percent NUMERIC NOT NULL,
    fixed NUMERIC NOT NULL,
    min_margin NUMERIC NOT NULL,
    vat_in BOOLEAN NOT NULL,
    vat_percent NUMERIC NOT NULL,
    ending NUMERIC,
    PRIMARY KEY (account, position)
);
COMMENT ON TABLE suppliers.offer_rules IS 'Selling price rules of the active configuration, for the view suppliers.offers';
CREATE TABLE suppliers.offer_settings (
    account TEXT NOT NULL,
    max_age_s INTEGER NOT NULL,
    safety_stock INTEGER NOT NULL,
    max_handling_days INTEGER,
    currency TEXT,
    PRIMARY KEY (account)
);
COMMENT ON TABLE suppliers.offer_settings IS 'What the view suppliers.offers needs of the active configuration';
COMMENT ON COLUMN suppliers.offer_settings.currency IS 'Currency offers are made in; null: whatever the cost has';
CREATE TABLE suppliers.order_lines (
    account TEXT NOT NULL,
    supplier_order_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    sku TEXT,
    supplier_product_id TEXT,
    quantity INTEGER,
    price NUMERIC,
    currency TEXT,
    end_reason TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_order_id, line)
);
COMMENT ON TABLE suppliers.order_lines IS 'Lines of supplier orders';
COMMENT ON COLUMN suppliers.order_lines.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.order_lines.currency IS 'ISO 4217';
COMMENT ON COLUMN suppliers.order_lines.end_reason IS 'Why the supplier ended this line';
COMMENT ON COLUMN suppliers.order_lines.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.order_lines.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.order_lines.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.order_lines.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.order_lines.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.order_lines.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.order_lines.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.order_requests (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    account TEXT NOT NULL,
    order_id TEXT,
    reference TEXT,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    found_at TIMESTAMP WITH TIME ZONE,
    asked_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ux_order_requests ON suppliers.order_requests (account, coalesce(order_id, ''), coalesce(reference, ''));
COMMENT ON TABLE suppliers.order_requests IS 'Supplier orders to follow; other programs insert rows here';
COMMENT ON COLUMN suppliers.order_requests.order_id IS 'The supplier''s id';
COMMENT ON COLUMN suppliers.order_requests.reference IS 'Our reference';
COMMENT ON COLUMN suppliers.order_requests.found_at IS 'When the supplier first knew it';
COMMENT ON COLUMN suppliers.order_requests.closed_at IS 'Delivered, cancelled or given up: not asked for any more';
CREATE TABLE suppliers.order_tracking (
    account TEXT NOT NULL,
    supplier_order_id TEXT NOT NULL,
    tracking_number TEXT NOT NULL,
    carrier TEXT,
    status TEXT,
    status_at TIMESTAMP WITH TIME ZONE,
    events JSONB,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_order_id, tracking_number)
);
COMMENT ON TABLE suppliers.order_tracking IS 'Parcels of supplier orders';
COMMENT ON COLUMN suppliers.order_tracking.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.order_tracking.events IS 'Newest first';
COMMENT ON COLUMN suppliers.order_tracking.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.order_tracking.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.order_tracking.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.order_tracking.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.order_tracking.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.order_tracking.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.order_tracking.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.orders (
    account TEXT NOT NULL,
    supplier_order_id TEXT NOT NULL,
    reference TEXT,
    status TEXT,
    common_status TEXT,
    logistics_status TEXT,
    placed_at TIMESTAMP WITH TIME ZONE,
    total NUMERIC,
    currency TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_order_id)
);
CREATE INDEX ix_orders_account_reference ON suppliers.orders (account, reference);
COMMENT ON TABLE suppliers.orders IS 'Supplier orders that are followed';
COMMENT ON COLUMN suppliers.orders.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.orders.reference IS 'Our reference, unique with the account where we place orders';
COMMENT ON COLUMN suppliers.orders.status IS 'The supplier''s word';
COMMENT ON COLUMN suppliers.orders.common_status IS 'placed, unpaid, processing, partly_shipped, shipped, delivered, cancelled, unknown';
COMMENT ON COLUMN suppliers.orders.currency IS 'ISO 4217';
COMMENT ON COLUMN suppliers.orders.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.orders.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.orders.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.orders.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.orders.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.orders.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.orders.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.price_history (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    account TEXT NOT NULL,
    supplier_sku TEXT NOT NULL,
    cost NUMERIC,
    currency TEXT,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_price_history_changed_at ON suppliers.price_history (changed_at);
CREATE INDEX ix_price_history_sku ON suppliers.price_history (account, supplier_sku, changed_at);
COMMENT ON TABLE suppliers.price_history IS 'Every change of suppliers.prices, written by its trigger';
COMMENT ON COLUMN suppliers.price_history.cost IS 'Null: the SKU is gone';
CREATE TABLE suppliers.prices (
    account TEXT NOT NULL,
    supplier_sku TEXT NOT NULL,
    supplier_product_id TEXT,
    item_kind TEXT,
    supplier_variant_id TEXT,
    scope TEXT,
    cost NUMERIC,
    currency TEXT,
    recommended_price NUMERIC,
    cost_includes_tax BOOLEAN,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_sku)
);
CREATE INDEX ix_prices_account_supplier_product_id ON suppliers.prices (account, supplier_product_id);
COMMENT ON TABLE suppliers.prices IS 'Purchase prices as the supplier said';
COMMENT ON COLUMN suppliers.prices.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.prices.supplier_product_id IS 'Null while the variant''s product is not known yet';
COMMENT ON COLUMN suppliers.prices.item_kind IS 'product (without variants, or the sum of them) or variant';
COMMENT ON COLUMN suppliers.prices.scope IS 'The part of the supplier''s list it was read from';
COMMENT ON COLUMN suppliers.prices.cost IS 'What one unit costs us';
COMMENT ON COLUMN suppliers.prices.currency IS 'ISO 4217';
COMMENT ON COLUMN suppliers.prices.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.prices.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.prices.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.prices.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.prices.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.prices.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.prices.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.product_images (
    account TEXT NOT NULL,
    supplier_product_id TEXT NOT NULL,
    cover_url TEXT,
    image_count INTEGER,
    urls JSONB,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_product_id)
);
COMMENT ON TABLE suppliers.product_images IS 'Images of products';
COMMENT ON COLUMN suppliers.product_images.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.product_images.urls IS 'In the supplier''s order';
COMMENT ON COLUMN suppliers.product_images.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.product_images.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.product_images.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.product_images.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.product_images.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.product_images.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.product_images.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.product_information (
    account TEXT NOT NULL,
    supplier_product_id TEXT NOT NULL,
    language TEXT NOT NULL,
    name TEXT,
    description TEXT,
    url TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_product_id, language)
);
COMMENT ON TABLE suppliers.product_information IS 'Names and descriptions by language';
COMMENT ON COLUMN suppliers.product_information.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.product_information.description IS 'HTML';
COMMENT ON COLUMN suppliers.product_information.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.product_information.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.product_information.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.product_information.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.product_information.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.product_information.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.product_information.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.product_scores (
    account TEXT NOT NULL,
    supplier_product_id TEXT NOT NULL,
    score NUMERIC NOT NULL,
    quality NUMERIC NOT NULL,
    parts JSONB NOT NULL,
    inputs JSONB NOT NULL,
    scored_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (account, supplier_product_id)
);
COMMENT ON TABLE suppliers.product_scores IS 'Product performance (vendors/suppliers/score.py)';
COMMENT ON COLUMN suppliers.product_scores.score IS '0 to 100';
COMMENT ON COLUMN suppliers.product_scores.quality IS 'Share of the formula''s weight that had data, 0 to 1';
COMMENT ON COLUMN suppliers.product_scores.parts IS 'Each part''s score, 0 to 1; null without data';
COMMENT ON COLUMN suppliers.product_scores.inputs IS 'What the parts were computed from';
CREATE TABLE suppliers.products (
    account TEXT NOT NULL,
    supplier_product_id TEXT NOT NULL,
    sku TEXT,
    ean TEXT,
    manufacturer_id TEXT,
    taxonomy_id TEXT,
    scope TEXT,
    status TEXT,
    condition TEXT,
    weight_kg NUMERIC,
    vat_rate NUMERIC,
    rating NUMERIC,
    rating_count INTEGER,
    sold TEXT,
    vendor_updated_at TIMESTAMP WITH TIME ZONE,
    name TEXT,
    image_url TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_product_id)
);
CREATE INDEX ix_products_ean ON suppliers.products (ean);
CREATE INDEX ix_products_sku ON suppliers.products (sku);
COMMENT ON TABLE suppliers.products IS 'Products of all suppliers';
COMMENT ON COLUMN suppliers.products.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.products.sku IS 'What one orders a product without variants by';
COMMENT ON COLUMN suppliers.products.taxonomy_id IS 'The product''s own, deepest taxonomy';
COMMENT ON COLUMN suppliers.products.scope IS 'The part of the supplier''s list it was read from';
COMMENT ON COLUMN suppliers.products.status IS 'The supplier''s word';
COMMENT ON COLUMN suppliers.products.vat_rate IS 'Percent';
COMMENT ON COLUMN suppliers.products.rating IS 'The supplier''s own rating, 0 to 5';
COMMENT ON COLUMN suppliers.products.sold IS 'Units sold as the supplier says it: 5000+';
COMMENT ON COLUMN suppliers.products.vendor_updated_at IS 'Shown by the supplier; not dependable enough to be the version';
COMMENT ON COLUMN suppliers.products.name IS 'In the account''s language';
COMMENT ON COLUMN suppliers.products.image_url IS 'Cover image';
COMMENT ON COLUMN suppliers.products.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.products.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.products.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.products.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.products.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.products.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.products.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.reads (
    account TEXT NOT NULL,
    stream TEXT NOT NULL,
    feed TEXT NOT NULL,
    scope TEXT NOT NULL,
    pages INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    as_of TIMESTAMP WITH TIME ZONE,
    read_at TIMESTAMP WITH TIME ZONE NOT NULL,
    suspect_since TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (account, stream, feed, scope)
);
COMMENT ON TABLE suppliers.reads IS 'Freshness of every part of every list: the planner''s memory';
COMMENT ON COLUMN suppliers.reads.pages IS 'Calls the last whole read took; the next plan counts on them';
COMMENT ON COLUMN suppliers.reads.rows IS 'Records of the last whole read';
COMMENT ON COLUMN suppliers.reads.as_of IS 'When the last plausible whole read began: what its rows are true for';
COMMENT ON COLUMN suppliers.reads.read_at IS 'When it was last read, plausible or not';
COMMENT ON COLUMN suppliers.reads.suspect_since IS 'Since when answers are implausible (empty where rows were); null if they are not';
CREATE TABLE suppliers.scopes (
    account TEXT NOT NULL,
    scopes TEXT[] NOT NULL,
    settings TEXT NOT NULL,
    listed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (account)
);
COMMENT ON TABLE suppliers.scopes IS 'The parts into which a supplier divides its lists, where listing them costs scarce calls';
COMMENT ON COLUMN suppliers.scopes.settings IS 'Digest of the settings it was listed under';
CREATE TABLE suppliers.stock (
    account TEXT NOT NULL,
    supplier_sku TEXT NOT NULL,
    supplier_product_id TEXT,
    item_kind TEXT,
    supplier_variant_id TEXT,
    scope TEXT,
    feed TEXT,
    quantity INTEGER,
    handling JSONB,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_sku)
);
CREATE INDEX ix_stock_account_feed_scope ON suppliers.stock (account, feed, scope);
CREATE INDEX ix_stock_account_supplier_product_id ON suppliers.stock (account, supplier_product_id);
COMMENT ON TABLE suppliers.stock IS 'Units on hand as the supplier said; how old that is and what may be sold is in suppliers.offers';
COMMENT ON COLUMN suppliers.stock.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.stock.supplier_product_id IS 'Null while the variant''s product is not known yet';
COMMENT ON COLUMN suppliers.stock.item_kind IS 'product (without variants, or the sum of them) or variant';
COMMENT ON COLUMN suppliers.stock.scope IS 'The part of the supplier''s list it was read from';
COMMENT ON COLUMN suppliers.stock.feed IS 'The supplier''s list it was read from';
COMMENT ON COLUMN suppliers.stock.quantity IS 'Sum over all handling times, as last applied';
COMMENT ON COLUMN suppliers.stock.handling IS 'quantity, min_days, max_days, warehouse';
COMMENT ON COLUMN suppliers.stock.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.stock.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.stock.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.stock.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.stock.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.stock.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.stock.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.stock_history (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    account TEXT NOT NULL,
    supplier_sku TEXT NOT NULL,
    quantity INTEGER,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_stock_history_changed_at ON suppliers.stock_history (changed_at);
CREATE INDEX ix_stock_history_sku ON suppliers.stock_history (account, supplier_sku, changed_at);
COMMENT ON TABLE suppliers.stock_history IS 'Every change of suppliers.stock, written by its trigger';
COMMENT ON COLUMN suppliers.stock_history.quantity IS 'Null: the SKU is gone';
CREATE TABLE suppliers.sync_requests (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    priority INTEGER DEFAULT 0 NOT NULL,
    status TEXT DEFAULT 'pending' NOT NULL,
    requested_by TEXT DEFAULT 'sql' NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    done TEXT[] DEFAULT '{}' NOT NULL,
    totals JSONB,
    error TEXT,
    run_id TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX ix_sync_requests_open ON suppliers.sync_requests (account) WHERE status IN ('pending', 'running');
COMMENT ON TABLE suppliers.sync_requests IS 'Requests of one kind of sync for one supplier account; other programs insert rows here';
COMMENT ON COLUMN suppliers.sync_requests.account IS 'bigbuy/main';
COMMENT ON COLUMN suppliers.sync_requests.kind IS 'supplier_api, inventory_update, price_update or order_sync';
COMMENT ON COLUMN suppliers.sync_requests.priority IS 'Higher first, within the same kind';
COMMENT ON COLUMN suppliers.sync_requests.status IS 'pending, running, completed or failed';
COMMENT ON COLUMN suppliers.sync_requests.not_before IS 'The quota''s next window; null: at once';
COMMENT ON COLUMN suppliers.sync_requests.done IS 'Tables already brought up to date';
COMMENT ON COLUMN suppliers.sync_requests.totals IS 'Counts so far';
COMMENT ON COLUMN suppliers.sync_requests.run_id IS 'The last Dagster run that worked on it';
CREATE TABLE suppliers.taxonomies (
    account TEXT NOT NULL,
    supplier_taxonomy_id TEXT NOT NULL,
    language TEXT NOT NULL,
    name TEXT,
    parent_id TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_taxonomy_id, language)
);
COMMENT ON TABLE suppliers.taxonomies IS 'Product groups';
COMMENT ON COLUMN suppliers.taxonomies.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.taxonomies.parent_id IS 'Null at the top';
COMMENT ON COLUMN suppliers.taxonomies.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.taxonomies.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.taxonomies.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.taxonomies.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.taxonomies.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.taxonomies.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.taxonomies.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.variant_attributes (
    account TEXT NOT NULL,
    supplier_variant_id TEXT NOT NULL,
    attribute_ids JSONB,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_variant_id)
);
COMMENT ON TABLE suppliers.variant_attributes IS 'What tells variants apart, where the supplier lists it separately';
COMMENT ON COLUMN suppliers.variant_attributes.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.variant_attributes.attribute_ids IS 'Into suppliers.attributes';
COMMENT ON COLUMN suppliers.variant_attributes.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.variant_attributes.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.variant_attributes.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.variant_attributes.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.variant_attributes.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.variant_attributes.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.variant_attributes.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.variants (
    account TEXT NOT NULL,
    supplier_product_id TEXT NOT NULL,
    supplier_variant_id TEXT NOT NULL,
    sku TEXT,
    ean TEXT,
    scope TEXT,
    options JSONB,
    order_code TEXT,
    raw JSONB NOT NULL,
    version TIMESTAMP WITH TIME ZONE NOT NULL,
    content_hash BYTEA NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (account, supplier_product_id, supplier_variant_id)
);
CREATE INDEX ix_variants_account_sku ON suppliers.variants (account, sku);
CREATE INDEX ix_variants_ean ON suppliers.variants (ean);
COMMENT ON TABLE suppliers.variants IS 'Variants of products';
COMMENT ON COLUMN suppliers.variants.account IS 'vendor/name';
COMMENT ON COLUMN suppliers.variants.sku IS 'What one orders it by';
COMMENT ON COLUMN suppliers.variants.options IS 'What tells it apart, by name, where the supplier says so with the variant';
COMMENT ON COLUMN suppliers.variants.order_code IS 'What an order has to name besides the SKU';
COMMENT ON COLUMN suppliers.variants.raw IS 'The vendor''s object as received';
COMMENT ON COLUMN suppliers.variants.version IS 'Vendor change time; read time where the vendor has none';
COMMENT ON COLUMN suppliers.variants.content_hash IS 'BLAKE2b-128 of the content';
COMMENT ON COLUMN suppliers.variants.deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
COMMENT ON COLUMN suppliers.variants.first_seen_at IS 'When this row was first stored';
COMMENT ON COLUMN suppliers.variants.synced_at IS 'When this row was last written';
COMMENT ON COLUMN suppliers.variants.run_id IS 'The Dagster run that last wrote this row';
CREATE TABLE suppliers.webhook_deliveries (
    request_id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    given_up_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    PRIMARY KEY (request_id)
);
COMMENT ON TABLE suppliers.webhook_deliveries IS 'Completion webhooks and what became of them';
COMMENT ON COLUMN suppliers.webhook_deliveries.body IS 'Exactly what is signed and sent';
COMMENT ON COLUMN suppliers.webhook_deliveries.error IS 'Kind of the last failure';

CREATE FUNCTION suppliers.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';
COMMENT ON FUNCTION suppliers.now() IS 'The time by which stock ages and windows are planned';

CREATE FUNCTION suppliers.selling_price(
    cost numeric, margin_percent numeric, fixed numeric, min_margin numeric, vat_in boolean, vat_percent numeric, ending numeric
) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ending IS NULL THEN ceil(price * 100) / 100 ELSE round(ceil(price - ending) + ending, 2) END
    FROM (
        SELECT round(
            greatest(cost * (1 + margin_percent / 100) + fixed, cost + min_margin)
            * CASE WHEN vat_in THEN 1 + vat_percent / 100 ELSE 1 END, 6
        ) AS price
    ) AS priced
$$;
COMMENT ON FUNCTION suppliers.selling_price IS 'See PriceRule in vendors/suppliers/settings.py';

CREATE FUNCTION suppliers.note_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO suppliers.stock_history (account, supplier_sku, quantity, changed_at, run_id)
        SELECT account, supplier_sku, CASE WHEN deleted_at IS NULL THEN quantity END, synced_at, run_id FROM new_rows;
    ELSE
        INSERT INTO suppliers.stock_history (account, supplier_sku, quantity, changed_at, run_id)
        SELECT n.account, n.supplier_sku, CASE WHEN n.deleted_at IS NULL THEN n.quantity END, n.synced_at, n.run_id
        FROM new_rows n JOIN old_rows o USING (account, supplier_sku)
        WHERE (n.quantity, n.deleted_at IS NULL) IS DISTINCT FROM (o.quantity, o.deleted_at IS NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER stock_inserted AFTER INSERT ON suppliers.stock
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION suppliers.note_stock();
CREATE TRIGGER stock_updated AFTER UPDATE ON suppliers.stock
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION suppliers.note_stock();

CREATE FUNCTION suppliers.note_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO suppliers.price_history (account, supplier_sku, cost, currency, changed_at, run_id)
        SELECT account, supplier_sku, CASE WHEN deleted_at IS NULL THEN cost END, currency, synced_at, run_id FROM new_rows;
    ELSE
        INSERT INTO suppliers.price_history (account, supplier_sku, cost, currency, changed_at, run_id)
        SELECT n.account, n.supplier_sku, CASE WHEN n.deleted_at IS NULL THEN n.cost END, n.currency, n.synced_at, n.run_id
        FROM new_rows n JOIN old_rows o USING (account, supplier_sku)
        WHERE (n.cost, n.currency, n.deleted_at IS NULL) IS DISTINCT FROM (o.cost, o.currency, o.deleted_at IS NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER price_inserted AFTER INSERT ON suppliers.prices
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION suppliers.note_price();
CREATE TRIGGER price_updated AFTER UPDATE ON suppliers.prices
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION suppliers.note_price();

CREATE VIEW suppliers.offers AS
WITH confirmed AS (
    SELECT account, feed, scope, max(as_of) AS as_of FROM suppliers.reads GROUP BY account, feed, scope
),
aged AS (
    SELECT s.*, d.reason AS doubt,
        make_interval(secs => coalesce(o.max_age_s, 21600)) AS max_age,
        o.currency AS offer_currency,
        CASE WHEN d.account IS NULL THEN greatest(s.version, c.as_of) ELSE greatest(s.version, d.known_at) END AS as_of,
        greatest(0, coalesce((
            SELECT sum((h->>'quantity')::int) FROM jsonb_array_elements(s.handling) h
            WHERE o.max_handling_days IS NULL OR (h->>'max_days')::int <= o.max_handling_days
        ), 0) - coalesce(o.safety_stock, 0))::int AS sellable
    FROM suppliers.stock s
    LEFT JOIN confirmed c USING (account, feed, scope)
    LEFT JOIN suppliers.doubts d ON d.account = s.account AND d.stream = 'stock' AND d.supplier_sku = s.supplier_sku
    LEFT JOIN suppliers.offer_settings o ON o.account = s.account
    WHERE s.item_kind <> 'product' OR NOT EXISTS (
        SELECT FROM suppliers.variants v
        WHERE v.account = s.account AND v.supplier_product_id = s.supplier_product_id AND v.deleted_at IS NULL
    )
),
judged AS (
    SELECT *, CASE
        WHEN deleted_at IS NOT NULL THEN 'gone'
        WHEN as_of IS NULL OR suppliers.now() - as_of > max_age THEN 'unknown'
        WHEN sellable > 0 THEN 'in_stock'
        ELSE 'out_of_stock'
    END AS availability FROM aged
)
SELECT j.account, j.supplier_product_id, j.supplier_variant_id, j.supplier_sku, coalesce(v.ean, p.ean) AS ean, p.name,
    j.availability,
    CASE WHEN j.availability IN ('in_stock', 'out_of_stock') THEN j.sellable END AS sellable_quantity,
    j.quantity AS supplier_quantity, j.as_of, j.max_age, j.doubt AS stock_doubt,
    c.cost, c.currency, c.cost_includes_tax, c.recommended_price, c.version AS price_as_of, pd.detail AS price_doubt,
    CASE WHEN j.offer_currency IS NULL OR j.offer_currency = c.currency THEN suppliers.selling_price(
        CASE WHEN c.cost_includes_tax THEN c.cost / (1 + r.vat_percent / 100) ELSE c.cost END,
        r.margin_percent, r.fixed, r.min_margin, r.vat_in, r.vat_percent, r.ending
    ) END AS selling_price,
    r.vat_in AS selling_price_has_vat
FROM judged j
LEFT JOIN suppliers.variants v
    ON v.account = j.account AND v.supplier_product_id = j.supplier_product_id AND v.supplier_variant_id = j.supplier_variant_id
LEFT JOIN suppliers.products p ON p.account = j.account AND p.supplier_product_id = j.supplier_product_id
LEFT JOIN suppliers.prices c ON c.account = j.account AND c.supplier_sku = j.supplier_sku AND c.deleted_at IS NULL
LEFT JOIN suppliers.doubts pd ON pd.account = j.account AND pd.stream = 'prices' AND pd.supplier_sku = j.supplier_sku
LEFT JOIN LATERAL (
    SELECT * FROM suppliers.offer_rules o
    WHERE o.account = j.account AND o.from_cost <= c.cost AND (o.to_cost IS NULL OR c.cost < o.to_cost)
    ORDER BY o.position LIMIT 1
) r ON true;
COMMENT ON VIEW suppliers.offers IS
    'What may be sold: availability (in_stock, out_of_stock, unknown, gone) with its age, sellable quantity and selling price';

CREATE VIEW suppliers.freshness AS
SELECT account, stream, feed, scope, as_of, suppliers.now() - as_of AS age, rows, pages, read_at, suspect_since,
    CASE WHEN suspect_since IS NOT NULL THEN 'suspect' WHEN as_of IS NULL THEN 'never read' ELSE 'plausible' END AS state
FROM suppliers.reads;
COMMENT ON VIEW suppliers.freshness IS 'Age of every part of every supplier list, and which answers are implausible';
