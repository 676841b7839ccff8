"""A year of volume through daily maintenance, by a fast clock: everything stays at its retention's size, every run is counted."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sync_pipelines.core import archive, partitions
from sync_pipelines.core.db import Database
from sync_pipelines.core.maintenance import Retention, maintain
from sync_pipelines.orchestration import history
from sync_pipelines.orchestration.purge import purge_history
from sync_pipelines_tests.orchestration.past import live_through, postgres_instance

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
IS_FULL = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
RUNS_A_DAY, RUNS_DAYS, DAYS = (24, 90, 365) if IS_FULL else (1, 6, 14)
"""Usually two weeks with as much less retention."""

DAGSTERS = ("runs", "run_tags", "event_logs", "asset_check_executions", "asset_event_tags", "job_ticks")
OURS = ("archive", "dead_letters", "tasks_done", "deliveries")


def sizes(database: Database) -> dict[str, int]:
    tables = [f"dagster.{table}" for table in DAGSTERS] + [f"sync.{table}" for table in OURS]
    with database.connect() as connection:
        return {table: connection.execute(f"select count(*) from {table}".encode()).fetchone()[0] for table in tables}  # type: ignore[index]


@pytest.mark.timeout(3600)
def test_a_year_leaves_what_its_retention_allows_and_every_run_is_counted(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    retention = Retention(archive_days=7, resolved_letters_days=RUNS_DAYS // 3)
    seen = []
    with postgres_instance(database_url, tmp_path) as instance:
        for number in range(DAYS):
            today = FIRST + timedelta(days=number)
            _live_a_day(database, today)
            for run in range(RUNS_A_DAY):
                ended = today + timedelta(days=1) * (run + 0.5) / RUNS_A_DAY
                live_through(
                    instance, database_url, stream="toy/things", account="toy/one", ended=ended, fetched=100, duration_s=1.5
                )
            night = today + timedelta(days=1, hours=3)
            history.count_new(instance, database, now=night)
            history.recount(instance, database, now=night)
            purge_history(instance, night - timedelta(days=RUNS_DAYS))
            maintain(database, retention, now=night)
            seen.append(sizes(database))
    steady = seen[RUNS_DAYS + 2 :]
    for table in steady[0]:
        assert max(size[table] for size in steady) == min(size[table] for size in steady), table
    assert steady[-1]["dagster.runs"] == RUNS_DAYS * RUNS_A_DAY - RUNS_A_DAY // 8
    assert steady[-1]["sync.archive"] <= 8
    with database.connect() as connection:
        counted = connection.execute("select count(*), sum(complete), sum(fetched), sum(duration_s)::float from sync.daily_volumes")
        assert counted.fetchone() == (DAYS, DAYS * RUNS_A_DAY, DAYS * RUNS_A_DAY * 100, DAYS * RUNS_A_DAY * 1.5)


def _live_a_day(database: Database, day: datetime) -> None:
    """A page, and a letter resolved the same day."""
    with database.connect() as connection:
        partitions.ensure_days(connection, "archive", first=day.date())
        page = {"account": "toy/one", "stream": "toy/things", "run_id": "r", "source": "toy", "request": "GET /"}
        archive.keep(connection, **page, body=b"{}", received_at=day)
        connection.execute(
            "insert into sync.dead_letters"
            " (account, subject, key, state, cause, error, payload, request, opened_at, last_seen_at, resolved_at, run_id)"
            " values ('toy/one', 'toy/things', %(key)s, 'resolved', 'X', 'x', '', '', %(at)s, %(at)s, %(at)s, 'r')",
            {"key": day.isoformat(), "at": day},
        )
