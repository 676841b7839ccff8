"""Comparisons with vendors' lists, what was erased, and how far the run history is rolled up."""

from alembic import op

revision = "engine_upkeep_0001"
down_revision = None
branch_labels = ("engine_upkeep",)
depends_on = "engine_volumes_0002"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE sync.reconciliations ADD COLUMN newer BIGINT DEFAULT 0 NOT NULL;
        ALTER TABLE sync.reconciliations ADD COLUMN parts JSONB DEFAULT '[]' NOT NULL;
        COMMENT ON COLUMN sync.reconciliations.newer IS 'Records changed since our last reading; stored';
        COMMENT ON COLUMN sync.reconciliations.parts IS 'Counts by UTC day, for windowed streams';
        CREATE TABLE sync.comparisons (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            scope_start TIMESTAMP WITH TIME ZONE,
            scope_end TIMESTAMP WITH TIME ZONE,
            started_at TIMESTAMP WITH TIME ZONE NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
            next_token TEXT,
            is_listed BOOLEAN NOT NULL,
            noted BIGINT NOT NULL,
            PRIMARY KEY (account, stream)
        );
        COMMENT ON TABLE sync.comparisons IS 'Comparisons with a vendor''s list under way';
        COMMENT ON COLUMN sync.comparisons.stream IS 'With a suffix for a dry run';
        COMMENT ON COLUMN sync.comparisons.scope_start IS 'Null when everything is compared';
        COMMENT ON COLUMN sync.comparisons.next_token IS 'Where the vendor''s list goes on; null before its first page is compared';
        COMMENT ON COLUMN sync.comparisons.is_listed IS 'The vendor''s list is read to its end';
        COMMENT ON COLUMN sync.comparisons.noted IS 'Rows in compared_keys, to notice that those were lost';
        CREATE TABLE sync.roll_ups (
            name TEXT NOT NULL,
            through TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (name)
        );
        COMMENT ON TABLE sync.roll_ups IS 'How far the run history has been counted';
        COMMENT ON COLUMN sync.roll_ups.through IS 'Everything that ended before is counted';
        CREATE TABLE sync.erasures (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            erased_at TIMESTAMP WITH TIME ZONE NOT NULL,
            account TEXT NOT NULL,
            rule TEXT NOT NULL,
            place TEXT NOT NULL,
            rows BIGINT NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (id)
        );
        COMMENT ON TABLE sync.erasures IS 'Personal data erased by rule: when, where and how much, never what; kept without limit';
        COMMENT ON COLUMN sync.erasures.rule IS 'Why it had to go';
        COMMENT ON COLUMN sync.erasures.place IS 'Table it was erased from';
        CREATE UNLOGGED TABLE sync.compared_keys (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            key TEXT[] NOT NULL,
            part TEXT NOT NULL,
            verdict TEXT NOT NULL,
            PRIMARY KEY (account, stream, key)
        );
        COMMENT ON TABLE sync.compared_keys IS 'What the comparison under way has found; unlogged, because losing it only means comparing again';
        COMMENT ON COLUMN sync.compared_keys.part IS 'UTC day by which the vendor lists the record, or everything';
        """
    )


def downgrade() -> None:
    op.execute(
        """
        DROP TABLE sync.compared_keys; DROP TABLE sync.comparisons; DROP TABLE sync.erasures; DROP TABLE sync.roll_ups;
        ALTER TABLE sync.reconciliations DROP COLUMN parts; ALTER TABLE sync.reconciliations DROP COLUMN newer
        """
    )
