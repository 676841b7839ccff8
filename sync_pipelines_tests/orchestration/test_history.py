"""Run history becomes daily volumes: nothing counted twice, nothing lost, whole days the same when counted again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.execution.backfill import BulkActionStatus

from sync_pipelines.core.db import Database
from sync_pipelines.orchestration import history
from sync_pipelines.orchestration.purge import purge_history
from sync_pipelines_tests.orchestration.past import add_backfill, add_schedule, add_tick, live_through, postgres_instance

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
STREAM, ACCOUNT = "toy/things", "toy/one"


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[DagsterInstance]:
    with postgres_instance(database_url, tmp_path) as opened:
        yield opened


def volumes(database: Database) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(
            "select day::text, account, stream, complete, partial, failed, canceled, duration_s::float, fetched, inserted"
            " from sync.daily_volumes order by 1, 2, 3"
        ).fetchall()


@pytest.fixture
def three_days(instance: DagsterInstance, database_url: str) -> None:
    def lived(ended: datetime, **more: Any) -> None:
        live_through(instance, database_url, **{"stream": STREAM, "account": ACCOUNT, "ended": ended, **more})

    lived(NOON - timedelta(days=2), fetched=10, inserted=10, duration_s=5.0)
    lived(NOON - timedelta(days=1), fetched=4, inserted=1, duration_s=2.5)
    lived(NOON - timedelta(days=1, hours=-1), fetched=3, inserted=0, duration_s=1.0, dead_lettered=1)
    lived(NOON - timedelta(days=1, hours=-2), status=DagsterRunStatus.FAILURE, took=timedelta(seconds=7))
    lived(NOON - timedelta(hours=1), account="", stream="", job="house_work", status=DagsterRunStatus.CANCELED)


EXPECTED = [
    ("2026-03-08", ACCOUNT, STREAM, 1, 0, 0, 0, 5.0, 10, 10),
    ("2026-03-09", ACCOUNT, STREAM, 1, 1, 1, 0, 10.5, 7, 1),
    ("2026-03-10", "", "house_work", 0, 0, 0, 1, 30.0, 0, 0),
]


@pytest.mark.usefixtures("three_days")
def test_every_ended_run_is_counted_once_however_often_one_looks(instance: DagsterInstance, database: Database) -> None:
    assert history.count_new(instance, database, now=NOON - timedelta(days=1, minutes=-1)) == 2
    assert history.count_new(instance, database, now=NOON) == 3
    assert history.count_new(instance, database, now=NOON) == 0
    assert volumes(database) == EXPECTED


@pytest.mark.usefixtures("three_days")
def test_whole_days_counted_again_are_the_same_and_heal_what_was_not_seen_in_time(
    instance: DagsterInstance, database: Database, database_url: str
) -> None:
    history.count_new(instance, database, now=NOON)
    assert history.recount(instance, database, now=NOON) == 4
    assert volumes(database) == EXPECTED
    live_through(instance, database_url, stream=STREAM, account=ACCOUNT, ended=NOON - timedelta(days=1), fetched=100)
    assert history.count_new(instance, database, now=NOON) == 0
    history.recount(instance, database, now=NOON)
    assert volumes(database)[1][8] == 107


@pytest.mark.usefixtures("three_days")
def test_purged_runs_leave_their_volumes_and_nothing_else(instance: DagsterInstance, database: Database, tmp_path: Path) -> None:
    history.count_new(instance, database, now=NOON)
    logs = [tmp_path / one.run_id / "compute_logs" for one in instance.get_runs()]
    for folder in logs:
        folder.mkdir(parents=True)
    purged = purge_history(instance, NOON - timedelta(hours=2))
    assert (purged.runs, purged.check_results) == (4, 2)
    assert len(instance.get_runs()) == 1
    assert sum(folder.exists() for folder in logs) == 1
    history.recount(instance, database, now=NOON + timedelta(days=10))
    assert volumes(database) == EXPECTED
    with database.connect() as connection:
        rows = connection.execute("select count(distinct run_id) from dagster.event_logs").fetchone()
    assert rows == (1,)


def test_backfills_go_when_they_are_over_old_and_without_runs(
    instance: DagsterInstance, database: Database, database_url: str
) -> None:
    old, young = NOON - timedelta(days=9), NOON - timedelta(days=1)
    add_backfill(instance, old)
    kept = [
        add_backfill(instance, young),
        add_backfill(instance, old, BulkActionStatus.REQUESTED),
        with_run := add_backfill(instance, old),
    ]
    run_id = live_through(instance, database_url, stream=STREAM, account=ACCOUNT, ended=young)
    instance.add_run_tags(run_id, {"dagster/backfill": with_run.backfill_id})
    with database.connect() as connection:
        connection.execute("update dagster.runs set update_timestamp = %s", [young.replace(tzinfo=None)])
    assert purge_history(instance, NOON - timedelta(days=5)).backfills == 1
    assert {one.backfill_id for one in instance.get_backfills()} == {one.backfill_id for one in kept}
    with database.connect() as connection:
        assert connection.execute("select count(*) from dagster.backfill_tags").fetchone() == (3,)
    assert purge_history(instance, NOON).backfills == 2
    assert [one.status for one in instance.get_backfills()] == [BulkActionStatus.REQUESTED]


def test_ticks_go_by_their_own_age(instance: DagsterInstance, database: Database) -> None:
    schedule = add_schedule(instance)
    for days in (9, 3, 1):
        add_tick(instance, schedule, NOON - timedelta(days=days))
    purge_history(instance, NOON - timedelta(days=5), ticks_before=NOON - timedelta(days=2))
    with database.connect() as connection:
        assert connection.execute("select count(*) from dagster.job_ticks").fetchone() == (1,)
