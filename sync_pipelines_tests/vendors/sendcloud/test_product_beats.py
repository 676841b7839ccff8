"""Master data and derived products flow by themselves, as often as the account's settings say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRequest, build_schedule_context

from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.orchestration import schedules, tags
from sync_pipelines.vendors.sendcloud.catalogue.defs import SCHEDULES
from sync_pipelines.vendors.sendcloud.settings import Settings

QUARTER = datetime(2026, 3, 1, 12, 15, tzinfo=UTC)
SETTINGS = {
    "sendcloud/often": Settings.model_validate({"products": {"push_minutes": 5, "refresh_minutes": 15}}),
    "sendcloud/usual": Settings(),
    "sendcloud/never": Settings.model_validate({"products": {"push_minutes": 0, "refresh_minutes": 0}}),
}


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp() as opened:
        yield opened


@pytest.fixture(autouse=True)
def accounts(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_runtime() -> Runtime:
        def account(name: str, _: Any) -> Any:
            return SimpleNamespace(settings=SETTINGS[name])

        return Runtime(Database(database_url), account=account, account_ids=lambda _: list(SETTINGS))

    monkeypatch.setattr(schedules, "open_runtime", open_runtime)
    with database.connect() as connection:
        connection.execute("INSERT INTO wms.products (sku, updated_at) VALUES ('A', now())")


def tick(instance: DagsterInstance, name: str, at: datetime) -> list[str]:
    schedule: Any = next(one for one in SCHEDULES if one.name == name)
    answer = schedule(build_schedule_context(instance=instance, scheduled_execution_time=at))
    return [request.tags[tags.ACCOUNT] for request in answer] if isinstance(answer, list) else []


def an_hour(instance: DagsterInstance, name: str) -> dict[str, list[str]]:
    """Accounts to their beats of an hour."""
    beats: dict[str, list[str]] = {}
    for minutes in range(0, 60, 5):
        at = QUARTER.replace(minute=0) + timedelta(minutes=minutes)
        for account in tick(instance, name, at):
            beats.setdefault(account, []).append(f"{at:%M}")
    return beats


def test_each_account_has_its_own_pace_five_minutes_after_its_orders(instance: DagsterInstance) -> None:
    pushes = an_hour(instance, "sendcloud_push_products")
    assert pushes["sendcloud/usual"] == ["05", "20", "35", "50"]
    assert len(pushes["sendcloud/often"]) == 12
    refreshes = an_hour(instance, "sendcloud_refresh_products")
    assert refreshes == {"sendcloud/usual": ["05"], "sendcloud/often": ["05", "20", "35", "50"]}
    assert "sendcloud/never" not in pushes


def test_nothing_is_pushed_without_master_data_or_while_a_push_is_under_way(instance: DagsterInstance, database: Database) -> None:
    at = QUARTER + timedelta(minutes=5)
    busy = tags.exclusive("sendcloud/products", "sendcloud/usual", "push_products")
    instance.add_run(DagsterRun(job_name="push_products", status=DagsterRunStatus.STARTED, tags={tags.EXCLUSIVE: busy}))
    assert tick(instance, "sendcloud_push_products", at) == ["sendcloud/often"]
    with database.connect() as connection:
        connection.execute("DELETE FROM wms.products")
    assert tick(instance, "sendcloud_push_products", at) == []
    assert tick(instance, "sendcloud_refresh_products", at) == ["sendcloud/often"]


def test_the_requested_run_has_the_account_s_config(instance: DagsterInstance) -> None:
    schedule: Any = next(one for one in SCHEDULES if one.name == "sendcloud_push_products")
    (often, usual) = schedule(build_schedule_context(instance=instance, scheduled_execution_time=QUARTER + timedelta(minutes=5)))
    assert isinstance(usual, RunRequest)
    assert usual.run_config == {"ops": {"push_products_op": {"config": {"account": "sendcloud/usual"}}}}
    assert often.tags[tags.EXCLUSIVE] == "sendcloud/products@sendcloud/often#push_products"
