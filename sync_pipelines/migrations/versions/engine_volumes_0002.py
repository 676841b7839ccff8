"""Daily volumes of every stream, and what its last reconciliations found."""

from alembic import op

revision = "engine_volumes_0002"
down_revision = "engine_volumes_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sync.daily_volumes (
            day DATE NOT NULL,
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            complete BIGINT DEFAULT 0 NOT NULL,
            partial BIGINT DEFAULT 0 NOT NULL,
            failed BIGINT DEFAULT 0 NOT NULL,
            canceled BIGINT DEFAULT 0 NOT NULL,
            duration_s NUMERIC DEFAULT 0 NOT NULL,
            fetched BIGINT DEFAULT 0 NOT NULL,
            inserted BIGINT DEFAULT 0 NOT NULL,
            updated BIGINT DEFAULT 0 NOT NULL,
            unchanged BIGINT DEFAULT 0 NOT NULL,
            stale BIGINT DEFAULT 0 NOT NULL,
            deleted BIGINT DEFAULT 0 NOT NULL,
            dead_lettered BIGINT DEFAULT 0 NOT NULL,
            api_calls BIGINT DEFAULT 0 NOT NULL,
            throttled BIGINT DEFAULT 0 NOT NULL,
            waited_s NUMERIC DEFAULT 0 NOT NULL,
            PRIMARY KEY (day, account, stream)
        );
        COMMENT ON TABLE sync.daily_volumes IS 'Runs and volumes of each stream and account by day, kept without limit';
        COMMENT ON COLUMN sync.daily_volumes.day IS 'UTC day on which the runs ended';
        COMMENT ON COLUMN sync.daily_volumes.stream IS 'Stream or job, vendor/name';
        COMMENT ON COLUMN sync.daily_volumes.complete IS 'Runs that did all they were asked for';
        COMMENT ON COLUMN sync.daily_volumes.partial IS 'Runs that succeeded in part: stopped cleanly to be resumed, or left dead letters';
        COMMENT ON COLUMN sync.daily_volumes.failed IS 'Runs that failed';
        COMMENT ON COLUMN sync.daily_volumes.duration_s IS 'Seconds of all the runs together';
        CREATE TABLE sync.reconciliations (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            scope TEXT NOT NULL,
            equal BIGINT NOT NULL,
            repaired BIGINT NOT NULL,
            different BIGINT NOT NULL,
            samples JSONB NOT NULL,
            PRIMARY KEY (account, stream, checked_at)
        );
        COMMENT ON TABLE sync.reconciliations IS 'How far our tables were found equal to what the vendor lists';
        COMMENT ON COLUMN sync.reconciliations.scope IS 'What was compared: a UTC day, a key range, or everything';
        COMMENT ON COLUMN sync.reconciliations.equal IS 'Records found equal';
        COMMENT ON COLUMN sync.reconciliations.repaired IS 'Records missing or different here, read again and stored';
        COMMENT ON COLUMN sync.reconciliations.different IS 'Records still different, or here and unknown to the vendor: for a person to look at';
        COMMENT ON COLUMN sync.reconciliations.samples IS 'Keys by kind: missing, altered, invented';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE sync.reconciliations; DROP TABLE sync.daily_volumes")
