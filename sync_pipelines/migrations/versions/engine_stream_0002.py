"""When a full scan last read everything there is, so that one that was cut off is not taken for it."""

from alembic import op

revision = "engine_stream_0002"
down_revision = "engine_stream_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE sync.scans ADD COLUMN whole_at TIMESTAMP WITH TIME ZONE;
        COMMENT ON TABLE sync.scans IS
            'Full scans: the one under way or the latest, and since when everything is known to have been read once';
        COMMENT ON COLUMN sync.scans.next_token IS
            'Where the scan goes on; null before its first page is stored and after its last';
        COMMENT ON COLUMN sync.scans.whole_at IS
            'When the latest finished scan began that left nothing out; null before the first';
        """
    )


def downgrade() -> None:
    op.execute(
        """
        DELETE FROM sync.scans WHERE next_token IS NULL;
        ALTER TABLE sync.scans DROP COLUMN whole_at;
        COMMENT ON TABLE sync.scans IS 'Full scans under way';
        COMMENT ON COLUMN sync.scans.next_token IS 'Where the scan goes on; null before its first page is stored';
        """
    )
