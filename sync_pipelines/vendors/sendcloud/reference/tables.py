"""Tables of reference data; what the vendor no longer lists stays as a tombstone."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import instant, vendor_table

SCHEMA = "sendcloud"

carriers = vendor_table(
    SCHEMA,
    "carriers",
    key=[Column("code", Text)],
    columns=[Column("name", Text, comment="Where a contract names the carrier")],
    comment="Carriers with service points, and those there is a contract with; the vendor has no general list",
)

contracts = vendor_table(
    SCHEMA,
    "contracts",
    key=[Column("contract_id", BigInteger)],
    columns=[
        Column("carrier", Text, comment="Carrier code"),
        Column("name", Text),
        Column("client_id", Text),
        Column("country", Text, comment="ISO 3166-1 alpha-2"),
        Column("state", Text),
        Column("type", Text),
        Column("is_default", Boolean, comment="The carrier's default contract"),
    ],
    comment="Contracts with carriers",
)

shipping_methods = vendor_table(
    SCHEMA,
    "shipping_methods",
    key=[Column("method_id", BigInteger, comment="Volatile: good for about an hour")],
    columns=[
        Column("name", Text),
        Column("carrier", Text, comment="Carrier code"),
        Column("min_weight_kg", Numeric),
        Column("max_weight_kg", Numeric),
        Column("needs_service_point", Boolean),
        Column("countries", ARRAY(Text), comment="ISO 3166-1 alpha-2 codes of the destinations"),
        Column("prices", JSONB, comment="Price by destination, in the account's currency"),
    ],
    comment="v2 shipping methods",
)

shipping_options = vendor_table(
    SCHEMA,
    "shipping_options",
    key=[
        Column("code", Text, comment="What label requests name"),
        Column("contract_id", BigInteger, comment="0 where the option has none"),
    ],
    columns=[
        Column("name", Text),
        Column("carrier", Text, comment="Carrier code"),
        Column("product", Text, comment="The carrier's product code"),
        Column("min_weight_kg", Numeric),
        Column("max_weight_kg", Numeric),
        Column("needs_service_point", Boolean),
        Column("functionalities", JSONB),
    ],
    comment="v3 shipping options",
)

sender_addresses = vendor_table(
    SCHEMA,
    "sender_addresses",
    key=[Column("sender_address_id", BigInteger)],
    columns=[
        Column("name", Text),
        Column("company_name", Text),
        Column("address_line_1", Text),
        Column("house_number", Text),
        Column("postal_code", Text),
        Column("city", Text),
        Column("country", Text, comment="ISO 3166-1 alpha-2"),
    ],
    comment="Addresses parcels may be sent from",
)

integrations = vendor_table(
    SCHEMA,
    "integrations",
    key=[Column("integration_id", BigInteger)],
    columns=[
        Column("shop_name", Text),
        Column("shop_url", Text),
        Column("type", Text, comment="The shop's system"),
        instant("failing_since"),
        instant("last_fetched_at"),
        instant("updated_at"),
        Column("webhook_active", Boolean),
        Column("webhook_url", Text),
    ],
    comment="Shop connections",
)
