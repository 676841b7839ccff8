"""A run on a real instance: rows, metadata that the UI plots, check results, the days it touched, and clear failures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetKey, AssetRecordsFilter, DagsterInstance, DagsterRunStatus

from sync_pipelines.config import Environment
from sync_pipelines.core.windows import Window
from sync_pipelines.definitions import defs
from sync_pipelines.orchestration.launch import Launched, run_stream_here
from sync_pipelines.preparation import prepare
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines_tests.sandboxes import RunningSandbox

ACCOUNT = "sendcloud/main"
KEY = AssetKey(["sendcloud", "orders"])
ACCOUNTS = (
    "accounts:\n  - id: {id}\n    base_url: {url}/api\n    credentials: {{public_key: sandbox-public, secret_key: {secret}}}\n"
)


def write_accounts(folder: Path, sandbox: RunningSandbox, secret: str = "sandbox-secret") -> None:
    start = f"{datetime.now(UTC) - timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}"
    (folder / "accounts.yaml").write_text(ACCOUNTS.format(id=ACCOUNT, url=sandbox.base_url, secret=secret, start=start))


def run(instance: DagsterInstance, window: Window | None = None) -> Launched:
    return run_stream_here(defs, instance, VENDOR, orders, ACCOUNT, window=window)


@pytest.mark.slow
def test_a_run_stores_rows_and_leaves_metadata_checks_and_partitions(
    database_url: str, sandbox: Callable[..., RunningSandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = sandbox("sendcloud", orders=60)
    write_accounts(tmp_path, vendor)
    environment = Environment.read(
        {"DATABASE_URL": database_url, "SYNC_PIPELINES_CONFIG": "accounts.yaml", "SYNC_PIPELINES_STATE": "state"}, here=tmp_path
    )
    for name, value in environment.variables(prepare(environment).database_url).items():
        monkeypatch.setenv(name, value)

    with DagsterInstance.get() as instance:
        first = run(instance)
        assert first.is_success, first.error
        assert first.totals is not None
        assert first.totals.inserted > 0

        (event,) = [one for one in records(instance) if one.run_id == first.run_id and "fetched" in one.metadata]
        numbers = {name: event.metadata[name].value for name in ("fetched", "inserted", "updated", "api_calls", "duration_s")}
        assert numbers["inserted"] == first.totals.inserted
        assert event.partition == f"{ACCOUNT}|{datetime.now(UTC).date()}"

        checks = {check.check_name: check.passed for check in check_results(instance, first.run_id)}
        assert checks == {"coverage": True, "no_open_dead_letters": True}

        stored = instance.get_run_by_id(first.run_id)
        assert stored is not None
        assert stored.status is DagsterRunStatus.SUCCESS
        assert stored.tags["sync/account"] == ACCOUNT
        touched = {one.partition for one in records(instance)}
        assert f"{ACCOUNT}|{(datetime.now(UTC) - timedelta(days=4)).date()}" in touched

        day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
        again = run(instance, Window(day, day + timedelta(days=1)))
        assert again.is_success, again.error
        assert again.totals is not None
        assert (again.totals.inserted, again.totals.updated) == (0, 0)

        write_accounts(tmp_path, vendor, secret="wrong")
        refused = run(instance)
        assert not refused.is_success
        assert ACCOUNT in (refused.error or "")
        assert "Traceback" not in (refused.error or "")


class Materialization:
    """The parts of an event record that tests look at."""

    def __init__(self, record: object) -> None:
        entry = record.event_log_entry  # type: ignore[attr-defined]
        self.run_id: str = entry.run_id
        self.partition: str = str(entry.asset_materialization.partition)
        self.metadata = entry.asset_materialization.metadata


def records(instance: DagsterInstance) -> list[Materialization]:
    found = instance.fetch_materializations(AssetRecordsFilter(asset_key=KEY), limit=500)
    return [Materialization(one) for one in found.records]


def check_results(instance: DagsterInstance, run_id: str) -> list[object]:
    return [
        event.dagster_event.asset_check_evaluation_data
        for event in instance.all_logs(run_id)
        if event.dagster_event and event.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
