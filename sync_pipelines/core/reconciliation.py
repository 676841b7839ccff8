"""How far our tables equal what the vendor lists: compared, repaired where the vendor knows better, reported where it does not."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

reconciliations_table = Table(
    "reconciliations",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    instant("checked_at", primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("scope", Text, nullable=False, comment="What was compared: a UTC day, a key range, or everything"),
    Column("equal", BigInteger, nullable=False, comment="Records found equal"),
    Column("repaired", BigInteger, nullable=False, comment="Records missing or different here, read again and stored"),
    Column(
        "different",
        BigInteger,
        nullable=False,
        comment="Records still different, or here and unknown to the vendor: for a person to look at",
    ),
    Column("samples", JSONB, nullable=False, comment="Keys by kind: missing, altered, invented"),
    schema=SYNC_SCHEMA,
    comment="How far our tables were found equal to what the vendor lists",
)
