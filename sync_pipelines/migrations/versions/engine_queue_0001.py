"""Queue and webhook deliveries."""

from alembic import op

revision = "engine_queue_0001"
down_revision = None
branch_labels = ("engine_queue",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE SEQUENCE sync.task_fence AS bigint;
        CREATE TABLE sync.tasks (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            queue TEXT NOT NULL,
            account TEXT NOT NULL,
            key TEXT NOT NULL,
            payload JSONB NOT NULL,
            priority SMALLINT NOT NULL,
            lane TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER DEFAULT 0 NOT NULL,
            lost_leases INTEGER DEFAULT 0 NOT NULL,
            superseded INTEGER DEFAULT 0 NOT NULL,
            fence BIGINT DEFAULT 0 NOT NULL,
            due_at TIMESTAMP WITH TIME ZONE,
            worker TEXT,
            error TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            PRIMARY KEY (id)
        ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
        CREATE INDEX ix_tasks_due ON sync.tasks (queue, due_at) WHERE due_at IS NOT NULL;
        CREATE INDEX ix_tasks_key ON sync.tasks (queue, account, key, state, id);
        CREATE INDEX ix_tasks_new ON sync.tasks (queue, id) WHERE state = 'new';
        CREATE INDEX ix_tasks_ready ON sync.tasks (queue, account, priority, id) WHERE state = 'ready';
        COMMENT ON TABLE sync.tasks IS 'Work that waits or is being done';
        COMMENT ON COLUMN sync.tasks.queue IS 'Name of the queue';
        COMMENT ON COLUMN sync.tasks.account IS 'vendor/name, or the link: takes fair turns with others';
        COMMENT ON COLUMN sync.tasks.key IS 'Tasks of one key are done one at a time, in order';
        COMMENT ON COLUMN sync.tasks.payload IS 'What the worker needs to know';
        COMMENT ON COLUMN sync.tasks.priority IS 'Smaller is earlier within an account';
        COMMENT ON COLUMN sync.tasks.lane IS 'Whose quota the work uses';
        COMMENT ON COLUMN sync.tasks.state IS 'new, behind, ready, leased or retrying';
        COMMENT ON COLUMN sync.tasks.attempts IS 'Claims so far';
        COMMENT ON COLUMN sync.tasks.lost_leases IS 'How often a worker vanished with it';
        COMMENT ON COLUMN sync.tasks.superseded IS 'Older tasks this one took the place of';
        COMMENT ON COLUMN sync.tasks.fence IS 'Number of the last claim';
        COMMENT ON COLUMN sync.tasks.due_at IS 'leased: end of the lease; retrying: time of the next attempt';
        COMMENT ON COLUMN sync.tasks.worker IS 'Who has the lease';
        COMMENT ON COLUMN sync.tasks.error IS 'Why the last attempt failed';
        CREATE TABLE sync.tasks_done (
            finished_at TIMESTAMP WITH TIME ZONE NOT NULL,
            id BIGINT NOT NULL,
            queue TEXT NOT NULL,
            account TEXT NOT NULL,
            key TEXT NOT NULL,
            payload JSONB NOT NULL,
            priority SMALLINT NOT NULL,
            lane TEXT NOT NULL,
            outcome TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            superseded INTEGER NOT NULL,
            worker TEXT,
            error TEXT,
            created_at TIMESTAMP WITH TIME ZONE NOT NULL
        ) PARTITION BY RANGE (finished_at);
        CREATE INDEX ix_tasks_done_key ON sync.tasks_done (queue, account, key);
        COMMENT ON TABLE sync.tasks_done IS 'Finished work, by day, for look-up and replay';
        COMMENT ON COLUMN sync.tasks_done.outcome IS 'done, dead or purged';
        COMMENT ON COLUMN sync.tasks_done.superseded IS 'Older tasks this one took the place of';
        COMMENT ON COLUMN sync.tasks_done.error IS 'Why it is dead, or why an earlier attempt failed';
        CREATE TABLE sync.tasks_done_rest PARTITION OF sync.tasks_done DEFAULT;
        CREATE TABLE sync.deliveries (
            account TEXT NOT NULL,
            received_at TIMESTAMP WITH TIME ZONE NOT NULL,
            identity BYTEA NOT NULL,
            route TEXT NOT NULL,
            event_id TEXT,
            headers JSONB NOT NULL,
            size INTEGER NOT NULL,
            body BYTEA NOT NULL,
            PRIMARY KEY (account, received_at, identity)
        ) PARTITION BY RANGE (received_at);
        COMMENT ON TABLE sync.deliveries IS 'Webhook deliveries as received, by day';
        COMMENT ON COLUMN sync.deliveries.account IS 'vendor/name';
        COMMENT ON COLUMN sync.deliveries.identity IS 'Digest of the event id, or of the body where there is none';
        COMMENT ON COLUMN sync.deliveries.route IS 'Path of the webhook it came by';
        COMMENT ON COLUMN sync.deliveries.event_id IS 'The vendor''s id of the event';
        COMMENT ON COLUMN sync.deliveries.headers IS 'Headers that help and carry no secret';
        COMMENT ON COLUMN sync.deliveries.size IS 'Bytes before compression';
        COMMENT ON COLUMN sync.deliveries.body IS 'As received; zstd';
        CREATE TABLE sync.deliveries_rest PARTITION OF sync.deliveries DEFAULT;
        CREATE TABLE sync.delivery_identities (
            identity BYTEA NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (identity)
        );
        CREATE INDEX ix_delivery_identities_expires ON sync.delivery_identities USING brin (expires_at);
        COMMENT ON TABLE sync.delivery_identities IS 'Deliveries that would be repeats';
        COMMENT ON COLUMN sync.delivery_identities.expires_at IS 'Until then the same identity is a repeat';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE sync.delivery_identities, sync.deliveries, sync.tasks_done, sync.tasks")
    op.execute("DROP SEQUENCE sync.task_fence")
