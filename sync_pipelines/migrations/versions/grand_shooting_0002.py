"""What a batch is about to create at a secondary account, in one row a batch."""

from alembic import op

revision = "grand_shooting_0002"
down_revision = "grand_shooting_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE grand_shooting.intents (
            link TEXT NOT NULL,
            batch BIGINT NOT NULL,
            refs TEXT[] NOT NULL,
            target_refs TEXT[] NOT NULL,
            PRIMARY KEY (link, batch)
        );
        COMMENT ON TABLE grand_shooting.intents IS 'What batches under way may create; outlives only a killed one';
        COMMENT ON COLUMN grand_shooting.intents.batch IS 'Fence of the claim';
        COMMENT ON COLUMN grand_shooting.intents.refs IS 'The main account''s refs';
        COMMENT ON COLUMN grand_shooting.intents.target_refs IS 'The secondary''s refs';
        COMMENT ON COLUMN grand_shooting.replicas.state IS 'applied, known, absent, writing, held or failed';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE grand_shooting.intents")
