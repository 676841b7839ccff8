"""SendCloud's tables, and the view under whose names the warehouse system already queries orders."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Computed, Integer, Numeric, Text

from sync_pipelines.core.tables import child_table, instant, kept_by, vendor_table

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
