"""Hourly volumes, kept without limit."""

from alembic import op

revision = "engine_volumes_0001"
down_revision = None
branch_labels = ("engine_volumes",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sync.hourly_volumes (
            hour TIMESTAMP WITH TIME ZONE NOT NULL,
            subject TEXT NOT NULL,
            received BIGINT DEFAULT 0 NOT NULL,
            processed BIGINT DEFAULT 0 NOT NULL,
            failed BIGINT DEFAULT 0 NOT NULL,
            dropped BIGINT DEFAULT 0 NOT NULL,
            PRIMARY KEY (hour, subject)
        );
        COMMENT ON TABLE sync.hourly_volumes IS 'Work received, processed and failed by hour';
        COMMENT ON COLUMN sync.hourly_volumes.hour IS 'Start of the hour, UTC';
        COMMENT ON COLUMN sync.hourly_volumes.subject IS 'A link, queue or account';
        COMMENT ON COLUMN sync.hourly_volumes.dropped IS 'Echoes and changes without effect';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE sync.hourly_volumes")
