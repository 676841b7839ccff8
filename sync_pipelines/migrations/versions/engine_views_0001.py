"""Views that answer the old services' dashboards from the daily volumes."""

from alembic import op

revision = "engine_views_0001"
down_revision = None
branch_labels = ("engine_views",)
depends_on = "engine_volumes_0002"


def upgrade() -> None:
    op.execute(
        """
        CREATE VIEW sync.daily_success AS
        SELECT day, account, stream, complete, partial, failed, canceled,
               (complete + partial)::numeric / nullif(complete + partial + failed, 0) AS success_share,
               round(duration_s / nullif(complete + partial + failed, 0), 1) AS average_duration_s,
               inserted + updated + deleted AS rows_written, fetched
        FROM sync.daily_volumes;
        COMMENT ON VIEW sync.daily_success IS 'Runs by outcome, success rate, average duration and rows written of each stream by day';

        CREATE VIEW sync.weekly_timeline AS
        SELECT day, sum(complete)::bigint AS complete, sum(partial)::bigint AS partial, sum(failed)::bigint AS failed,
               sum(inserted + updated + deleted)::bigint AS rows_written, sum(fetched)::bigint AS fetched
        FROM sync.daily_volumes
        WHERE day > (now() AT TIME ZONE 'UTC')::date - 7
        GROUP BY day;
        COMMENT ON VIEW sync.weekly_timeline IS 'The last seven UTC days of all streams together';

        CREATE VIEW sync.monthly_volumes AS
        SELECT account, stream, sum(complete)::bigint AS complete, sum(partial)::bigint AS partial, sum(failed)::bigint AS failed,
               sum(complete + partial)::numeric / nullif(sum(complete + partial + failed), 0) AS success_share,
               round(sum(duration_s) / nullif(sum(complete + partial + failed), 0), 1) AS average_duration_s,
               sum(inserted + updated + deleted)::bigint AS rows_written, sum(api_calls)::bigint AS api_calls
        FROM sync.daily_volumes
        WHERE day > (now() AT TIME ZONE 'UTC')::date - 30
        GROUP BY account, stream;
        COMMENT ON VIEW sync.monthly_volumes IS 'The last thirty UTC days of each stream or job: runs, success rate, duration, rows';

        CREATE VIEW sync.daily_link_volumes AS
        SELECT (hour AT TIME ZONE 'UTC')::date AS day, subject AS link, sum(received)::bigint AS received,
               sum(processed)::bigint AS processed, sum(failed)::bigint AS failed, sum(dropped)::bigint AS dropped
        FROM sync.hourly_volumes
        GROUP BY 1, 2;
        COMMENT ON VIEW sync.daily_link_volumes IS 'What passed through each link, queue or account by UTC day';
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW sync.daily_success, sync.weekly_timeline, sync.monthly_volumes, sync.daily_link_volumes")
