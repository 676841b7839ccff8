"""Windows, scans, holds and the archive."""

from alembic import op

revision = "engine_stream_0001"
down_revision = None
branch_labels = ("engine_stream",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sync.windows (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            origin TIMESTAMP WITH TIME ZONE NOT NULL,
            confirmed TSTZMULTIRANGE NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (account, stream)
        )
        """
    )
    op.execute("COMMENT ON TABLE sync.windows IS 'Confirmed windows of vendor change time per account and stream'")
    op.execute(
        "COMMENT ON COLUMN sync.windows.origin IS 'Where the stream''s history begins; earlier time is not expected to be covered'"
    )
    op.execute("COMMENT ON COLUMN sync.windows.confirmed IS 'Vendor time whose every page is stored'")
    op.execute(
        """
        CREATE TABLE sync.window_progress (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            lane_group TEXT NOT NULL,
            window_start TIMESTAMP WITH TIME ZONE NOT NULL,
            window_end TIMESTAMP WITH TIME ZONE NOT NULL,
            next_token TEXT NOT NULL,
            pages INTEGER NOT NULL,
            confirmed_until TIMESTAMP WITH TIME ZONE,
            updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (account, stream, lane_group, window_start, window_end)
        )
        """
    )
    op.execute("COMMENT ON TABLE sync.window_progress IS 'Windows read in part: where to go on'")
    op.execute("COMMENT ON COLUMN sync.window_progress.lane_group IS 'live or backfill: the two never share progress'")
    op.execute("COMMENT ON COLUMN sync.window_progress.next_token IS 'Where the vendor''s paging goes on'")
    op.execute(
        "COMMENT ON COLUMN sync.window_progress.confirmed_until IS 'Upper bound the vendor echoed, if it narrows the window'"
    )
    op.execute(
        """
        CREATE TABLE sync.archive (
            received_at TIMESTAMP WITH TIME ZONE NOT NULL,
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            run_id TEXT NOT NULL,
            source TEXT NOT NULL,
            request TEXT NOT NULL,
            size INTEGER NOT NULL,
            body BYTEA NOT NULL,
            PRIMARY KEY (received_at, id)
        )
         PARTITION BY RANGE (received_at)
        """
    )
    op.execute("CREATE INDEX ix_archive_stream ON sync.archive (stream, account, received_at, id)")
    op.execute("COMMENT ON TABLE sync.archive IS 'Response pages as received, for replay and for evidence'")
    op.execute("COMMENT ON COLUMN sync.archive.source IS 'Which shape of the vendor''s API the page has'")
    op.execute("COMMENT ON COLUMN sync.archive.request IS 'What was asked, without secrets'")
    op.execute("COMMENT ON COLUMN sync.archive.size IS 'Bytes before compression'")
    op.execute("COMMENT ON COLUMN sync.archive.body IS 'zstd'")
    op.execute(
        """
        CREATE TABLE sync.scans (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            started_at TIMESTAMP WITH TIME ZONE NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
            next_token TEXT,
            seen BIGINT NOT NULL,
            PRIMARY KEY (account, stream)
        )
        """
    )
    op.execute("COMMENT ON TABLE sync.scans IS 'Full scans under way'")
    op.execute("COMMENT ON COLUMN sync.scans.next_token IS 'Where the scan goes on; null before its first page is stored'")
    op.execute("COMMENT ON COLUMN sync.scans.seen IS 'Keys noted in scan_keys, to notice that those were lost'")
    op.execute(
        """
        CREATE UNLOGGED TABLE sync.scan_keys (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            key TEXT[] NOT NULL,
            PRIMARY KEY (account, stream, key)
        )
        """
    )
    op.execute(
        "COMMENT ON TABLE sync.scan_keys IS 'Keys the scan under way has seen; unlogged, because losing them only means scanning again'"
    )
    op.execute(
        """
        CREATE TABLE sync.absences (
            account TEXT NOT NULL,
            stream TEXT NOT NULL,
            key TEXT[] NOT NULL,
            times INTEGER NOT NULL,
            first_missed_at TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (account, stream, key)
        )
        """
    )
    op.execute("COMMENT ON TABLE sync.absences IS 'Rows that the latest full scans did not contain'")
    op.execute("COMMENT ON COLUMN sync.absences.times IS 'Complete scans in a row that missed this row'")
    op.execute(
        """
        CREATE TABLE sync.holds (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            account TEXT NOT NULL,
            subject TEXT NOT NULL,
            kind TEXT NOT NULL,
            detail JSONB NOT NULL,
            opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
            confirmed_at TIMESTAMP WITH TIME ZONE,
            confirmed_by TEXT,
            closed_at TIMESTAMP WITH TIME ZONE,
            PRIMARY KEY (id)
        )
        """
    )
    op.execute("COMMENT ON TABLE sync.holds IS 'Implausible changes that wait for a person'")
    op.execute("COMMENT ON COLUMN sync.holds.subject IS 'Stream or link that is held'")
    op.execute("COMMENT ON COLUMN sync.holds.kind IS 'What is held: deletes, stock, prices, …'")
    op.execute("COMMENT ON COLUMN sync.holds.detail IS 'Counts and a sample, without personal data'")
    op.execute("COMMENT ON COLUMN sync.holds.confirmed_at IS 'When a person said: go ahead'")
    op.execute("COMMENT ON COLUMN sync.holds.closed_at IS 'When it was carried out, or no longer applied'")
