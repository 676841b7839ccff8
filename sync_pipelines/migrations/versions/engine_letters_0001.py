"""Dead letters."""

from alembic import op

revision = "engine_letters_0001"
down_revision = None
branch_labels = ("engine_letters",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sync.dead_letters (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            account TEXT NOT NULL,
            subject TEXT NOT NULL,
            key TEXT NOT NULL,
            state TEXT NOT NULL,
            cause TEXT NOT NULL,
            error TEXT NOT NULL,
            payload BYTEA NOT NULL,
            original BYTEA,
            request TEXT NOT NULL,
            response BYTEA,
            queue TEXT,
            attempts INTEGER DEFAULT 0 NOT NULL,
            seen INTEGER DEFAULT 1 NOT NULL,
            next_attempt_at TIMESTAMP WITH TIME ZONE,
            opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
            last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            resolved_at TIMESTAMP WITH TIME ZONE,
            resolved_by TEXT,
            run_id TEXT NOT NULL,
            PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_dead_letters_due ON sync.dead_letters (queue, next_attempt_at) WHERE state = 'retrying'")
    op.execute(
        "CREATE UNIQUE INDEX ix_dead_letters_unresolved ON sync.dead_letters (account, subject, key) WHERE state <> 'resolved'"
    )
    op.execute("COMMENT ON TABLE sync.dead_letters IS 'What could not be stored or done, until it is'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.subject IS 'Stream or queue the letter belongs to'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.key IS 'The vendor''s key, or a digest of the payload where there is none'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.state IS 'retrying, open or resolved'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.cause IS 'Class of the error; an open vocabulary'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.error IS 'What is wrong, without values'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.payload IS 'The record or task as received, or as edited'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.original IS 'The payload before the first edit'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.request IS 'Source or request the payload belongs to, without secrets'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.response IS 'The vendor''s answer, cut'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.queue IS 'Retry queue'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.attempts IS 'Retries so far'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.seen IS 'How often the same record was found broken'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.resolved_by IS 'newer version, retry, or a person'")
    op.execute("COMMENT ON COLUMN sync.dead_letters.run_id IS 'The run that found it'")
