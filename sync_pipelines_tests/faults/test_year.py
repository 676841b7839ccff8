"""A year of volume through daily maintenance, by a fast clock: everything stays at its retention's size, every run is counted."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance

from sync_pipelines.core import archive, intake, partitions, queue
from sync_pipelines.core.db import Database
from sync_pipelines.core.intake import Delivery
from sync_pipelines.core.maintenance import maintain
from sync_pipelines.core.retention import Retention
from sync_pipelines.orchestration import history
from sync_pipelines.orchestration.purge import purge_history
from sync_pipelines_tests.orchestration.past import add_backfill, add_schedule, add_tick, live_through, postgres_instance

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
IS_FULL = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
RUNS_A_DAY, DAYS = (24, 365) if IS_FULL else (1, 10)
SHORT = Retention(runs_days=4, ticks_days=4, resolved_letters_days=2, archive_days=3, deliveries_days=3, finished_work_days=3)
RETENTION = Retention() if IS_FULL else SHORT
"""Usually ten days with as much less retention."""

STEADY = 2 + max(days for name, days in RETENTION if name != "reconciliations_days")
"""From this day on nothing grows any more; results of comparisons are kept for longer than a year."""

DAGSTERS = ("runs", "run_tags", "event_logs", "asset_check_executions", "asset_event_tags", "job_ticks", "bulk_actions")
OURS = ("archive", "dead_letters", "tasks_done", "deliveries", "reconciliations")


def sizes(database: Database) -> dict[str, int]:
    tables = [f"dagster.{table}" for table in DAGSTERS] + [f"sync.{table}" for table in OURS]
    with database.connect() as connection:
        return {table: connection.execute(f"select count(*) from {table}".encode()).fetchone()[0] for table in tables}  # type: ignore[index]


def partition_days(database: Database) -> int:
    with database.connect() as connection:
        return sum(len(partitions.existing_days(connection, table)) for table in ("archive", "tasks_done", "deliveries"))


@pytest.mark.timeout(3600)
def test_a_year_leaves_what_its_retention_allows_and_every_run_is_counted(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    seen, days = [], []
    with postgres_instance(database_url, tmp_path) as instance:
        schedule = add_schedule(instance)
        for number in range(DAYS):
            today = FIRST + timedelta(days=number)
            _live_a_day(database, instance, today)
            for run in range(RUNS_A_DAY):
                ended = today + timedelta(days=1) * (run + 0.5) / RUNS_A_DAY
                live_through(
                    instance, database_url, stream="toy/things", account="toy/one", ended=ended, fetched=100, duration_s=1.5
                )
                add_tick(instance, schedule, ended)
            night = today + timedelta(days=1, hours=3)
            history.count_new(instance, database, now=night)
            history.recount(instance, database, now=night)
            ticks_before = night - timedelta(days=RETENTION.ticks_days)
            purge_history(instance, night - timedelta(days=RETENTION.runs_days), ticks_before=ticks_before)
            maintain(database, RETENTION, now=night)
            seen.append(sizes(database))
            days.append(partition_days(database))
    steady = seen[STEADY:]
    for table in steady[0]:
        if table != "sync.reconciliations":
            assert max(size[table] for size in steady) == min(size[table] for size in steady), table
    last = steady[-1]
    past = RUNS_A_DAY // 8
    """Runs of the first three hours of the oldest day are gone by the time of the nightly maintenance."""
    assert last["dagster.runs"] == last["dagster.job_ticks"] == RETENTION.runs_days * RUNS_A_DAY - past
    assert last["dagster.bulk_actions"] == RETENTION.runs_days
    assert last["sync.dead_letters"] == RETENTION.resolved_letters_days
    assert last["sync.archive"] == RETENTION.archive_days
    assert last["sync.deliveries"] == 10 * RETENTION.deliveries_days
    assert last["sync.tasks_done"] == 20 * RETENTION.finished_work_days
    assert max(days[STEADY:]) == min(days[STEADY:])
    with database.connect() as connection:
        counted = connection.execute("select count(*), sum(complete), sum(fetched), sum(duration_s)::float from sync.daily_volumes")
        assert counted.fetchone() == (DAYS, DAYS * RUNS_A_DAY, DAYS * RUNS_A_DAY * 100, DAYS * RUNS_A_DAY * 1.5)


def _live_a_day(database: Database, instance: DagsterInstance, day: datetime) -> None:
    """A page, deliveries with their finished work, a comparison, a backfill, and a letter resolved the same day."""
    noon = day + timedelta(hours=12)
    with database.transaction() as connection:
        partitions.ensure_days(connection, "archive", first=day.date())
        queue.ensure_partitions(connection, now=day)
        intake.ensure_partitions(connection, now=day)
        page = {"account": "toy/one", "stream": "toy/things", "run_id": "r", "source": "toy", "request": "GET /"}
        archive.keep(connection, **page, body=b"{}", received_at=noon)
        deliveries = [
            Delivery(account="toy/one", route="/webhooks/toy", body=f"{day:%F} {number}".encode(), received_at=noon)
            for number in range(10)
        ]
        intake.store(connection, deliveries)
        connection.execute(
            "insert into sync.tasks_done (finished_at, id, queue, account, key, payload, priority, lane, outcome, attempts,"
            " superseded, created_at)"
            " select %(at)s, (%(at)s::date - date '2020-01-01') * 100 + n, 'toy', 'toy/one', n::text, '{}', 0, 'live', 'done', 1,"
            " 0, %(at)s from generate_series(1, 20) n",
            {"at": noon},
        )
        connection.execute(
            "insert into sync.dead_letters"
            " (account, subject, key, state, cause, error, payload, request, opened_at, last_seen_at, resolved_at, run_id)"
            " values ('toy/one', 'toy/things', %(key)s, 'resolved', 'X', 'x', '', '', %(at)s, %(at)s, %(at)s, 'r')",
            {"key": day.isoformat(), "at": noon},
        )
        connection.execute(
            "insert into sync.reconciliations values ('toy/one', 'toy/things', %s, 'r', 'yesterday', 100, 0, 0, '{}')", [noon]
        )
    add_backfill(instance, noon)
