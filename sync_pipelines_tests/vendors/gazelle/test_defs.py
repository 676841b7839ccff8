"""The night in Dagster: which runs the sensor asks for, and that their configuration fits their jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterInstance, SensorResult, build_sensor_context, validate_run_config

from sync_pipelines import definitions
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.vendors.gazelle import defs as module
from sync_pipelines.vendors.gazelle.settings import Settings

SENSOR = module.nightly_sensor(module._jobs)
MONTREAL, PARIS = "gazelle/montreal", "gazelle/paris"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    zones = {MONTREAL: "America/Montreal", PARIS: "Europe/Paris"}

    def account(name: str, _: Any) -> Any:
        if name not in zones:
            raise ConfigError("its credentials are missing")
        return SimpleNamespace(settings=Settings(timezone=zones[name]))

    @contextmanager
    def runtime() -> Iterator[Any]:
        yield SimpleNamespace(account=account, account_ids=lambda _: list(zones))

    monkeypatch.setattr(module, "runtime", runtime)
    with DagsterInstance.ephemeral() as opened:
        yield opened


def evaluate(instance: DagsterInstance, cursor: dict[str, str] | None) -> SensorResult:
    found = SENSOR(build_sensor_context(instance=instance, cursor=json.dumps(cursor) if cursor is not None else None))
    assert isinstance(found, SensorResult)
    return found


def test_new_accounts_are_synced_at_once_and_known_as_partitions(instance: DagsterInstance) -> None:
    night = evaluate(instance, None)
    requests = night.run_requests or []
    assert len(requests) == 16
    assert {request.tags["sync/account"] for request in requests} == {MONTREAL, PARIS}
    assert set(json.loads(night.cursor or "{}")) == {MONTREAL, PARIS}
    assert set(instance.get_dynamic_partitions("gazelle_accounts")) == {MONTREAL, PARIS}


def test_a_night_is_run_once(instance: DagsterInstance) -> None:
    night = evaluate(instance, None)
    assert not evaluate(instance, json.loads(night.cursor or "{}")).run_requests


def test_after_a_missed_sunday_the_night_reads_everything_in_the_backfill_lane(instance: DagsterInstance) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=9)).date().isoformat()
    requests = evaluate(instance, {MONTREAL: long_ago, PARIS: long_ago}).run_requests or []
    assert len(requests) == 16
    jobs = {job.name: job for job in definitions.defs.resolve_all_job_defs()}
    for request in requests:
        assert request.tags["sync/exclusive"].endswith("#backfill")
        assert "backfill" in str(request.run_config)
        assert request.job_name in jobs
        assert validate_run_config(jobs[request.job_name], request.run_config)
