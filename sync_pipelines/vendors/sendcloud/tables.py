"""SendCloud's tables, and the view under whose names the warehouse system already queries orders."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import child_table, instant, kept_by, metadata, vendor_table

SCHEMA = "sendcloud"

UNKNOWN_INTEGRATION = 0
"""Integration of an order that so far is known only from a v2 parcel, which does not say."""

orders = vendor_table(
    SCHEMA,
    "orders",
    key=[
        Column("order_id", Text, comment="The shop's order id"),
        Column("integration_id", BigInteger, comment="The shop connection; 0 while known only from a v2 parcel"),
    ],
    columns=[
        Column("sendcloud_id", BigInteger, comment="SendCloud's own order id; null while known only from a v2 parcel"),
        Column("order_number", Text),
        Column("status", Text, comment="The vendor's order status code, as it is"),
        Column("status_message", Text),
        Column("order_wms_status", Text, comment="Order status mapped by settings.wms_status"),
        Column("payment_status", Text),
        Column("total_amount", Numeric, comment="Order total including tax, in currency"),
        Column("currency", Text, comment="ISO 4217"),
        Column("delivery_indicator", Text, comment="Delivery method the customer chose at the checkout"),
        Column("customer_name", Text),
        Column("customer_email", Text),
        Column("ship_to_country", Text, comment="ISO 3166-1 alpha-2"),
        Column("ship_to_postal_code", Text),
        Column("ship_to_city", Text),
        instant("order_created_at", comment="By the shop's clock"),
        instant("order_updated_at", comment="By the shop's clock; SendCloud's filters look at this"),
        instant("modified_at", comment="By SendCloud's clock"),
        Column("source", Text, comment="v3 or v2: which API the order facts came from"),
        *kept_by(
            "parcels.follow",
            Column("parcel_wms_status", Text, comment="Newest parcel's status mapped by settings.wms_status"),
            Column("parcel_status", Text, comment="Newest parcel's status code"),
            Column("tracking_number", Text),
            Column("tracking_url", Text),
            Column("carrier", Text, comment="Carrier code of the newest parcel"),
            Column("shipping_service", Text, comment="Shipping option code or service of the newest parcel"),
            Column("shipping_method", Text, comment="Shipping method's name of the newest parcel"),
            instant("parcel_version", comment="Version of the parcel these columns follow"),
        ),
        Column("wms_status", Text, Computed("coalesce(parcel_wms_status, order_wms_status)", persisted=True)),
    ],
    comment="Orders of all shop connections, one row whichever API they came by",
    indexes=[["sendcloud_id", "wms_status"], ["order_number"], ["shipping_service"], ["order_updated_at"]],
)

order_items = child_table(
    orders,
    "order_items",
    key=[Column("item_id", Text, comment="The vendor's item id, or its position where it has none")],
    columns=[
        Column("product_id", Text),
        Column("variant_id", Text),
        Column("sku", Text),
        Column("ean", Text),
        Column("name", Text),
        Column("description", Text),
        Column("quantity", Integer),
        Column("unit_price", Numeric),
        Column("total_price", Numeric),
        Column("currency", Text, comment="ISO 4217"),
        Column("hs_code", Text),
        Column("country_of_origin", Text, comment="ISO 3166-1 alpha-2"),
        Column("weight_kg", Numeric, comment="Weight of one piece"),
        Column("image_url", Text),
    ],
    comment="Lines of orders",
    indexes=[["sku"], ["ean"]],
)

parcels = vendor_table(
    SCHEMA,
    "parcels",
    key=[Column("parcel_id", BigInteger)],
    columns=[
        Column("shipment_id", Text),
        Column("order_number", Text),
        Column("order_id", Text, comment="The shop's order id, where the vendor says it"),
        Column("integration_id", BigInteger),
        Column("external_reference_id", Text, comment="Our idempotency key, if we announced the parcel"),
        Column("status_code", Text, comment="v3 status code; v2 ids are translated where known"),
        Column("status_message", Text),
        Column("wms_status", Text, comment="Status mapped by settings.wms_status"),
        Column("tracking_number", Text),
        Column("tracking_url", Text),
        Column("carrier", Text, comment="Carrier code"),
        Column("shipping_option", Text, comment="v3 shipping option code"),
        Column("shipping_method", Text, comment="v2 shipping method's name"),
        Column("weight_kg", Numeric),
        Column("label_url", Text),
        Column("is_return", Boolean),
        Column("total_amount", Numeric),
        Column("currency", Text, comment="ISO 4217"),
        instant("parcel_created_at"),
        instant("announced_at"),
        Column("errors", ARRAY(Text), comment="The vendor's words on a failed announcement"),
        Column("source", Text, comment="v3, v2 or webhook: which way this version came"),
    ],
    comment="Parcels with their newest known state",
    indexes=[["order_number"], ["order_id"], ["tracking_number"], ["shipment_id"], ["status_code"]],
)

COMMANDE_VIEW = """
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
"""Names that users of the warehouse system already query."""

tracking_events = vendor_table(
    SCHEMA,
    "tracking_events",
    key=[
        Column("parcel_id", BigInteger),
        Column("event_id", Text, comment="Epoch milliseconds and status: the vendor numbers no events"),
    ],
    columns=[
        instant("event_at", comment="When it happened, by the vendor's clock"),
        Column("status_code", Text, comment="v3 status code, or the carrier's word"),
        Column("status_message", Text),
        Column("wms_status", Text, comment="Status mapped by settings.wms_status"),
        Column("tracking_number", Text),
        Column("carrier", Text, comment="Carrier code"),
        Column("order_number", Text),
        Column("phase", Text, comment="Of a subscription event: pre-transit, in transit, delivered, …"),
        Column("exception", Text),
        Column("source", Text, comment="webhook or subscription"),
    ],
    comment="What parcels went through, as webhooks told it",
    indexes=[["event_at"], ["tracking_number"]],
)

label_requests = Table(
    "label_requests",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account", Text, nullable=False, comment="vendor/name"),
    Column("order_id", Text, comment="The shop's order id; or else order_number"),
    Column("integration_id", BigInteger, comment="The shop connection, where the order's id or number is not unique"),
    Column("order_number", Text),
    Column("shipping_option", Text, comment="v3 shipping option code; null: chosen by settings.labels.rules"),
    Column("contract_id", BigInteger, comment="Carrier contract; null: the account's default"),
    Column("service", Text, comment="A word for settings.labels.rules; null: the order's delivery_indicator"),
    Column("weight_kg", Numeric, comment="Of the whole parcel; null: the order's"),
    Column("parcels", JSONB, comment="Parcels in the vendor's words instead of one with the whole order"),
    Column("sender_address_id", BigInteger, comment="null: settings.labels.sender_address_id"),
    Column("is_additional", Boolean, nullable=False, server_default=text("false"), comment="A further label for a labelled order"),
    Column("requested_by", Text),
    instant("requested_at", nullable=False, server_default=text("now()")),
    Column(
        "external_reference_id",
        Text,
        nullable=False,
        unique=True,
        server_default=text("'sp-' || gen_random_uuid()"),
        comment="Our idempotency key at the vendor; stands here before the call is made",
    ),
    Column(
        "state",
        Text,
        nullable=False,
        server_default=text("'waiting'"),
        comment="waiting, sending, announcing, done, failed, cancelling or cancelled",
    ),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="Times the call was about to be made"),
    instant("next_attempt_at", nullable=False, server_default=text("now()"), comment="Not to be touched before; also the lease"),
    instant("sent_at", comment="When the call was last about to be made"),
    instant("settled_at", comment="When the outcome was known"),
    Column("chosen_option", Text, comment="The shipping option that was sent"),
    Column("shipment_id", Text),
    Column("parcel_ids", ARRAY(BigInteger)),
    Column("tracking_number", Text, comment="Of the first parcel"),
    Column("error", Text, comment="The vendor's words, or ours where the request could not be sent"),
    Column("missing_documents", ARRAY(Text), comment="parcel/kind of documents still to be fetched"),
    instant("cancel_requested_at", comment="Set by whoever wants the label taken back"),
    Column("cancel_outcome", Text, comment="cancelled, queued, deleted, gone or refused"),
    Column("cancel_message", Text, comment="The vendor's words"),
    Column("run_id", Text, comment="The Dagster run that last touched this row"),
    CheckConstraint(
        "state in ('waiting', 'sending', 'announcing', 'done', 'failed', 'cancelling', 'cancelled')", name="label_requests_state"
    ),
    CheckConstraint("order_id is not null or order_number is not null", name="label_requests_order"),
    Index("ix_label_requests_due", "account", "state", "next_attempt_at"),
    Index(
        "ix_label_requests_one_per_order",
        "account",
        "order_id",
        "integration_id",
        unique=True,
        postgresql_where=text("state in ('sending', 'announcing', 'done', 'cancelling') and not is_additional"),
    ),
    schema=SCHEMA,
    comment="Labels that are wanted: inserted by the warehouse system, the launchpad or the command line, and what became of them",
)

label_documents = Table(
    "label_documents",
    metadata,
    Column("account", Text, primary_key=True, comment="vendor/name"),
    Column("parcel_id", BigInteger, primary_key=True),
    Column("kind", Text, primary_key=True, comment="label, customs-declaration or air-waybill"),
    Column("media_type", Text, nullable=False, comment="application/pdf, application/zpl or image/png"),
    Column("content", LargeBinary, comment="The document; null if it is in a file"),
    Column("path", Text, comment="The file below settings.labels.directory"),
    Column("size", BigInteger, nullable=False, comment="Bytes"),
    Column("sha256", LargeBinary, nullable=False),
    instant("fetched_at", nullable=False),
    Column("request_id", BigInteger, comment="The label request it belongs to"),
    Index("ix_label_documents_request_id", "request_id"),
    schema=SCHEMA,
    comment="Labels and customs papers as the vendor made them",
)
