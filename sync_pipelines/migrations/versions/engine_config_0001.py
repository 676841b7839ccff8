"""Applied configurations."""

from alembic import op

revision = "engine_config_0001"
down_revision = None
branch_labels = ("engine_config",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sync.config_versions (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            document JSONB NOT NULL,
            digest BYTEA NOT NULL,
            applied_at TIMESTAMP WITH TIME ZONE NOT NULL,
            applied_by TEXT NOT NULL,
            comment TEXT NOT NULL,
            changes JSONB NOT NULL,
            restores BIGINT,
            PRIMARY KEY (id)
        );
        COMMENT ON TABLE sync.config_versions IS 'Every configuration that was ever active';
        COMMENT ON COLUMN sync.config_versions.document IS 'As written, with references to secrets instead of secrets';
        COMMENT ON COLUMN sync.config_versions.digest IS 'BLAKE2b-128 of the document';
        COMMENT ON COLUMN sync.config_versions.changes IS 'What changed against the version before';
        COMMENT ON COLUMN sync.config_versions.restores IS 'The version a rollback went back to';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE sync.config_versions")
