"""The daily job follows the configuration's retention and erases personal data for every account it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

from sync_pipelines.core import partitions
from sync_pipelines.core.db import Database
from sync_pipelines.core.erasures import Erasing, Rule
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.retention import Retention
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.orchestration.engine import assemble
from sync_pipelines.orchestration.maintenance import definitions
from sync_pipelines_tests.orchestration.past import live_through, postgres_instance

NOW = datetime.now(UTC)


def _rule(erase: Any = lambda erasing: {"toy.things": erasing.days}) -> Rule:
    return Rule(name="personal_data_days", days=lambda settings: settings, erase=erase)


TOY = Vendor(name="toy", streams=(), connect=lambda _: None, check=lambda _: [], erasures=(_rule(),))


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[DagsterInstance]:
    with postgres_instance(database_url, tmp_path) as opened:
        yield opened


def run(instance: DagsterInstance, url: str, retention: Retention, config: Any = None, vendor: Vendor = TOY) -> Any:
    """One run of the job; answers what each step told."""
    settings = {"toy/one": 3, "toy/two": None}

    def opened() -> Runtime:
        return Runtime(
            database=Database(url),
            account=lambda *_: pytest.fail("no credentials are needed"),
            account_ids=lambda _: list(settings),
            settings_of=settings.__getitem__,
            retention=retention,
        )

    job = assemble([definitions([vendor])], opened).get_job_def("maintenance")
    result = job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
    told = {
        event.step_key: {name: value.value for name, value in event.step_output_data.metadata.items()}
        for event in result.all_events
        if event.is_successful_output
    }
    return result.success, told


def _lived(instance: DagsterInstance, url: str) -> None:
    for days in (100, 50, 20):
        live_through(instance, url, stream="toy/things", account="toy/one", ended=NOW - timedelta(days=days))


def test_the_configuration_says_how_long_and_a_launch_may_say_otherwise(
    instance: DagsterInstance, database: Database, database_url: str
) -> None:
    _lived(instance, database_url)
    with database.connect() as connection:
        partitions.ensure_days(connection, "archive", first=(NOW - timedelta(days=20)).date(), days=20)
    success, told = run(instance, database_url, Retention(archive_days=15))
    assert success
    assert told["purge_runs"]["runs"] == 1
    assert told["keep_house"]["archive_days_dropped"] == 5
    assert told["erase_personal_data"] == {"toy.things": 3}
    wishes = {"purge_runs": {"config": {"runs_days": 30}}, "keep_house": {"config": {"archive_days": 4}}}
    _, told = run(instance, database_url, Retention(archive_days=15), {"ops": wishes})
    assert told["purge_runs"]["runs"] == 1
    assert told["keep_house"]["archive_days_dropped"] == 11


def test_an_account_that_cannot_be_erased_fails_its_step_and_none_of_the_others(
    instance: DagsterInstance, database: Database, database_url: str
) -> None:
    def erase(erasing: Erasing) -> dict[str, int]:
        raise ConfigError("its shop is closed", account=erasing.account)

    success, told = run(instance, database_url, Retention(), vendor=replace(TOY, erasures=(_rule(), _rule(erase))))
    assert not success
    assert set(told) == {"keep_house", "fail_orphaned_runs", "count_runs", "purge_runs"}
    with database.connect() as connection:
        assert connection.execute("select account, rule, rows from sync.erasures").fetchall() == [
            ("toy/one", "personal_data_days=3", 3)
        ]
