"""Alerts and who was told."""

from alembic import op

revision = "engine_alerts_0001"
down_revision = None
branch_labels = ("engine_alerts",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute("CREATE SEQUENCE sync.alert_changes AS BIGINT")
    op.execute(
        """
        CREATE TABLE sync.alerts (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            rule TEXT NOT NULL,
            subject TEXT NOT NULL,
            severity TEXT NOT NULL,
            summary TEXT NOT NULL,
            opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
            last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            seen_count BIGINT NOT NULL,
            risen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            closed_at TIMESTAMP WITH TIME ZONE,
            run_id TEXT,
            opened_change BIGINT NOT NULL,
            closed_change BIGINT,
            PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_alerts_closed_change ON sync.alerts (closed_change)")
    op.execute("CREATE UNIQUE INDEX ix_alerts_open ON sync.alerts (rule, subject) WHERE closed_at IS NULL")
    op.execute("CREATE INDEX ix_alerts_opened_change ON sync.alerts (opened_change)")
    op.execute("COMMENT ON TABLE sync.alerts IS 'What is or was wrong'")
    op.execute("COMMENT ON COLUMN sync.alerts.subject IS 'Account and stream, link, queue or process'")
    op.execute("COMMENT ON COLUMN sync.alerts.severity IS 'info, warning or error'")
    op.execute("COMMENT ON COLUMN sync.alerts.summary IS 'One sentence, without secrets and personal data'")
    op.execute("COMMENT ON COLUMN sync.alerts.last_seen_at IS 'When it was last found; to the minute'")
    op.execute("COMMENT ON COLUMN sync.alerts.seen_count IS 'How many failures, letters, … it stands for'")
    op.execute("COMMENT ON COLUMN sync.alerts.risen_at IS 'When seen_count last rose'")
    op.execute("COMMENT ON COLUMN sync.alerts.closed_at IS 'When it was no longer found'")
    op.execute("COMMENT ON COLUMN sync.alerts.run_id IS 'The latest run concerned'")
    op.execute("COMMENT ON COLUMN sync.alerts.opened_change IS 'Number of the opening'")
    op.execute("COMMENT ON COLUMN sync.alerts.closed_change IS 'Number of the closing'")
    op.execute(
        """
        CREATE TABLE sync.alert_deliveries (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            person TEXT NOT NULL,
            channel TEXT NOT NULL,
            state TEXT NOT NULL,
            is_urgent BOOLEAN NOT NULL,
            covers BIGINT NOT NULL,
            alerts INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
            intended_at TIMESTAMP WITH TIME ZONE NOT NULL,
            next_attempt_at TIMESTAMP WITH TIME ZONE,
            sent_at TIMESTAMP WITH TIME ZONE,
            error TEXT,
            PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_alert_deliveries_sent ON sync.alert_deliveries (person, channel, sent_at)")
    op.execute("CREATE UNIQUE INDEX ix_alert_deliveries_unsent ON sync.alert_deliveries (person, channel) WHERE state <> 'sent'")
    op.execute("COMMENT ON TABLE sync.alert_deliveries IS 'Which messages about alerts each person was sent'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.person IS 'Name, or the Slack channel that several share'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.channel IS 'email or slack'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.state IS 'sending, waiting for another attempt, or sent'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.is_urgent IS 'Sent at once, whenever the message before was'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.covers IS 'Changes of sync.alerts up to this number are in it'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.alerts IS 'Openings and closings it tells'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.intended_at IS 'Written before the latest attempt'")
    op.execute("COMMENT ON COLUMN sync.alert_deliveries.error IS 'Why the latest attempt failed'")


def downgrade() -> None:
    op.execute("DROP TABLE sync.alert_deliveries, sync.alerts")
    op.execute("DROP SEQUENCE sync.alert_changes")
