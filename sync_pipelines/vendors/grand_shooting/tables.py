"""Grand Shooting's tables: the mirror of the main catalogue, and what every secondary account holds of it."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Identity, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import instant, metadata, vendor_table

SCHEMA = "grand_shooting"

references = vendor_table(
    SCHEMA,
    "references",
    key=[Column("ref", Text, comment="Unique in the catalogue")],
    columns=[
        Column("reference_id", BigInteger, comment="Assigned by the vendor; a re-created ref gets another one"),
        Column("ean", Text, comment="Main barcode, unique in the catalogue"),
        Column("brand", Text),
        Column("collection", Text, comment="Season or collection"),
        Column("univers", Text, comment="Category, level 1"),
        Column("gamme", Text, comment="Category, level 2"),
        Column("family", Text, comment="Category, level 3"),
        Column("category_id", BigInteger, comment="Specification category"),
        Column("sku", Text),
        Column("smalltext", Text, comment="Label of the reference"),
        Column("product_ref", Text, comment="Groups the variants of one product"),
        Column("product_smalltext", Text, comment="Label of the product"),
        Column("gender", Text),
        Column("color", Text),
        Column("hexa_color", Text),
        Column("size", Text),
        Column("online", Text, comment="Online date, free text"),
        instant("created_at", comment="date_cre"),
        instant("changed_at", comment="date_mod; the row's version where it says more than a day"),
    ],
    comment="The main account's catalogue, as last read",
    indexes=[["account", "reference_id"], ["account", "product_ref"], ["account", "changed_at"]],
)

replicas = Table(
    "replicas",
    metadata,
    Column("link", Text, primary_key=True, comment="Id of the link"),
    Column("ref", Text, primary_key=True, comment="The main account's ref"),
    Column("target_ref", Text, comment="The secondary's ref, if the mapping changes it"),
    Column("secondary_reference_id", BigInteger, comment="The secondary's id; null while it is not there"),
    Column("state", Text, nullable=False, comment="applied, known, absent, writing, held or failed"),
    Column("seen", LargeBinary, comment="Mirror content and link configuration this state was decided from"),
    Column("applied_hash", LargeBinary, comment="BLAKE2b-128 of what was last written"),
    instant("applied_version", comment="Version of the mirror's row that was last written"),
    Column("applied", JSONB, comment="What was last written"),
    instant("applied_at"),
    instant("foreign_at", comment="When the secondary was last found changed by somebody else"),
    Column("last_error", Text),
    Column("run_id", Text),
    Index("ix_replicas_id", "link", "secondary_reference_id"),
    Index("ix_replicas_state", "link", "state", postgresql_where=text("state in ('held', 'failed')")),
    schema=SCHEMA,
    comment="What each secondary account holds of the main catalogue, as last written",
    postgresql_with={"fillfactor": "85"},
)

intents = Table(
    "intents",
    metadata,
    Column("link", Text, primary_key=True),
    Column("batch", BigInteger, primary_key=True, autoincrement=False, comment="Fence of the claim"),
    Column("refs", ARRAY(Text), nullable=False, comment="The main account's refs"),
    Column("target_refs", ARRAY(Text), nullable=False, comment="The secondary's refs"),
    schema=SCHEMA,
    comment="What batches under way may create; outlives only a killed one",
)

links = Table(
    "links",
    metadata,
    Column("link", Text, primary_key=True),
    Column("main", Text, nullable=False, comment="Main account"),
    Column("secondary", Text, nullable=False, comment="Secondary account"),
    Column("is_followed", Boolean, nullable=False, comment="Whether changes become tasks at once, or at the next batch"),
    Column("configuration", LargeBinary, nullable=False, comment="Digest of filter and mapping"),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="Failures in a row of the secondary account"),
    instant("open_until", comment="The circuit is open until then; afterwards one probe decides"),
    Column("trouble", Text, comment="Why the circuit is open"),
    instant("paused_at", comment="Since when a person holds it; its tasks collect"),
    Column("paused_by", Text),
    instant("audited_at", comment="When the secondary was last searched for foreign changes"),
    schema=SCHEMA,
    comment="Links as the fan-out knows them, and the state of their circuits",
)

plans = Table(
    "plans",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("link", Text, nullable=False),
    Column("state", Text, nullable=False, comment="planned, running or dropped"),
    Column("counts", JSONB, nullable=False, comment="create, update, delete, unchanged, failed, and the size of both sides"),
    Column("samples", JSONB, nullable=False, comment="A few refs of each kind, before and after"),
    Column("brake", Text, comment="Why it needs to be confirmed by its id"),
    instant("created_at", nullable=False),
    instant("started_at"),
    Index("ix_plans_link", "link", "id"),
    schema=SCHEMA,
    comment="What initialising a secondary account would do",
)

plan_items = Table(
    "plan_items",
    metadata,
    Column("plan", BigInteger, primary_key=True),
    Column("ref", Text, primary_key=True, comment="The main account's ref; for a delete the secondary's"),
    Column("action", Text, nullable=False, comment="create, update, delete or unchanged"),
    Column("target_ref", Text, nullable=False, comment="The secondary's ref"),
    Column("secondary_reference_id", BigInteger, comment="The secondary's id, if it exists there"),
    Column("seen", LargeBinary, comment="Mirror content and link configuration it was compared by"),
    Column("digest", LargeBinary, comment="Of what it should be"),
    instant("version", comment="Of the mirror's row"),
    schema=SCHEMA,
    comment="The references of a plan that was not started yet",
)
