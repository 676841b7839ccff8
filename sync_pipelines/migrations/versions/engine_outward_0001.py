"""What the engine needs on the way out: rate budgets, secrets, ages of OAuth tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "engine_outward_0001"
down_revision = None
branch_labels = ("engine_outward",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("bucket", sa.Text(), nullable=False, comment="The quota's name within the account"),
        sa.Column("spec", postgresql.JSON(), nullable=False, comment="The quota as the code declares it"),
        sa.Column(
            "state", postgresql.JSON(), nullable=False, comment="What is spent, in flight, waiting and blocked (core/buckets.py)"
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="When the state last changed"),
        sa.PrimaryKeyConstraint("account", "bucket"),
        schema="sync",
        comment="Calls each account may still make, shared by all processes",
    )
    # A row is rewritten with every call: room on its page keeps that cheap (HOT updates).
    op.execute(
        "alter table sync.budgets set (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)"
    )
    op.create_table(
        "secrets",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name, or empty for a shared secret"),
        sa.Column("name", sa.Text(), nullable=False, comment="What `secret:NAME` refers to"),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False, comment="The value under its data key (nonce first)"),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False, comment="The data key under the master key (nonce first)"),
        sa.Column("key_id", sa.Text(), nullable=False, comment="Which master key wraps it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When the secret was first set"),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False, comment="When the value last changed"),
        sa.Column("rewrapped_at", sa.DateTime(timezone=True), nullable=False, comment="When the data key was last wrapped"),
        sa.Column("expires_at", sa.DateTime(timezone=True), comment="When the vendor stops accepting the value, if known"),
        sa.PrimaryKeyConstraint("account", "name"),
        schema="sync",
        comment="Encrypted credentials and tokens",
    )
    op.create_table(
        "oauth_tokens",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("seed", sa.LargeBinary(), comment="Digest of the configured credentials the tokens come from"),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), comment="When the access token was obtained"),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), comment="When the access token ends"),
        sa.Column("refresh_set_at", sa.DateTime(timezone=True), comment="When the refresh token was configured or last rotated"),
        sa.Column("refresh_expires_at", sa.DateTime(timezone=True), comment="When the refresh token ends, if the vendor says"),
        sa.Column("refused_at", sa.DateTime(timezone=True), comment="When the vendor last refused to refresh"),
        sa.Column("refusal", sa.Text(), comment="The OAuth error code of that refusal"),
        sa.PrimaryKeyConstraint("account"),
        schema="sync",
        comment="Ages of every account's OAuth tokens; the tokens are in sync.secrets",
    )


def downgrade() -> None:
    for table in ("oauth_tokens", "secrets", "budgets"):
        op.drop_table(table, schema="sync")
