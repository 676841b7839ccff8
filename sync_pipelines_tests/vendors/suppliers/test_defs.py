"""The suppliers in Dagster: requests become runs, runs become materializations, implausible lists become a failed check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    Definitions,
    RunRequest,
    SkipReason,
    TableMetadataValue,
    build_schedule_context,
    build_sensor_context,
)

from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.orchestration import engine
from sync_pipelines.vendors.suppliers import requests
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines.vendors.suppliers.defs import REQUEST_SCHEDULES, defs, suppliers_requests_due
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.desk import Desk


@pytest.fixture
def desk(database: Database, sandbox: Callable[..., RunningSandbox]) -> Desk:
    return Desk("http_json", database, sandbox("http_json"))


@pytest.fixture
def instance(desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DagsterInstance]:
    def opener() -> Runtime:
        return Runtime(Database(database_url), lambda _id, _lane: desk.context, lambda _vendors: [desk.account])

    monkeypatch.setattr(engine, "_open_runtime", opener)
    with DagsterInstance.local_temp(str(tmp_path)) as temporary:
        temporary.add_dynamic_partitions("suppliers_accounts", [desk.account])
        yield temporary


def whole() -> Definitions:
    return Definitions.merge(defs, Definitions(resources={"engine": engine.Engine()}))


def test_a_due_request_becomes_one_run_and_its_tables_are_materialized(desk: Desk, instance: DagsterInstance) -> None:
    requests.request_sync(desk.database, desk.account, Kind.INVENTORY_UPDATE, by="test")
    with build_sensor_context(instance=instance) as context:
        (wanted,) = suppliers_requests_due(context)
    assert isinstance(wanted, RunRequest)
    result = (
        whole().resolve_job_def("suppliers_requests").execute_in_process(wanted.run_config, instance=instance, tags=wanted.tags)
    )
    assert result.success
    assert desk.stock() == desk.sandbox.control.truth(stream="stock")
    event = instance.get_latest_materialization_event(AssetKey(["suppliers", "stock"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["inserted"].value == 25
    with build_sensor_context(instance=instance) as context:
        assert isinstance(suppliers_requests_due(context), SkipReason)


def test_a_person_asks_in_the_ui(desk: Desk, instance: DagsterInstance) -> None:
    job = whole().resolve_job_def("suppliers_request")

    def ask(account: str, kind: str = "price_update") -> bool:
        config = {"account": account, "kind": kind, "priority": 3}
        run_config = {"ops": {"request_supplier_sync": {"config": config}}}
        return job.execute_in_process(run_config, instance=instance, raise_on_error=False).success

    assert ask(desk.account)
    assert not ask("http_json/other")
    assert not ask(desk.account, "prices")
    made = desk.rows("SELECT account, kind, priority, requested_by, status FROM suppliers.sync_requests")
    assert made == [(desk.account, "price_update", 3, "ui", "pending")]


def test_a_run_tells_completion_webhooks_and_gives_up_what_nobody_wants_any_more(desk: Desk, instance: DagsterInstance) -> None:
    def work_off() -> None:
        requests.request_sync(desk.database, desk.account, Kind.INVENTORY_UPDATE, by="test")
        run_config = {"ops": {"work_off_requests": {"config": {"account": desk.account}}}}
        assert whole().resolve_job_def("suppliers_requests").execute_in_process(run_config, instance=instance).success

    desk.given["completion_webhook"] = {"url": "https://127.0.0.1/hook", "secret": "sandbox-hook-secret"}
    work_off()
    state = "SELECT error, given_up_at IS NOT NULL FROM suppliers.webhook_deliveries"
    assert desk.rows(state) == [("127.0.0.1 is inside a private network", False)]
    del desk.given["completion_webhook"]
    work_off()
    assert desk.rows(state) == [("no webhook is configured any more", True)]


def test_the_plan_of_scarce_calls_is_shown_with_the_stock(
    database: Database, database_url: str, sandbox: Callable[..., RunningSandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    desk = Desk("bigbuy", database, sandbox("bigbuy"), {"language": "en"})
    monkeypatch.setattr(
        engine, "_open_runtime", lambda: Runtime(Database(database_url), lambda _id, _lane: desk.context, lambda _: [desk.account])
    )
    requests.request_sync(database, desk.account, Kind.INVENTORY_UPDATE, by="test")
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_config = {"ops": {"work_off_requests": {"config": {"account": desk.account}}}}
        assert whole().resolve_job_def("suppliers_requests").execute_in_process(run_config, instance=instance).success
        event = instance.get_latest_materialization_event(AssetKey(["suppliers", "stock"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    plan = metadata["plan"]
    assert isinstance(plan, TableMetadataValue)
    shown = [record.data for record in plan.records]
    assert {row["scope"] for row in shown} == {row[0] for row in desk.rows("SELECT scope FROM suppliers.freshness")}
    assert all(row["windows"] and row["age_s"] is not None for row in shown)
    assert metadata["worst_age_s"].value == max(row["worst_age_s"] for row in shown)


def test_a_schedule_asks_for_its_kind_once(desk: Desk, instance: DagsterInstance) -> None:
    for _ in range(2):
        with build_schedule_context(instance=instance) as context:
            assert isinstance(REQUEST_SCHEDULES[Kind.PRICE_UPDATE](context), SkipReason)
    assert desk.rows("SELECT kind, requested_by FROM suppliers.sync_requests") == [("price_update", "schedule")]


def test_stock_that_became_unknown_fails_the_check_by_name(desk: Desk, instance: DagsterInstance) -> None:
    desk.sync("products", "stock")
    desk.age("7 hours")
    result = whole().resolve_job_def("suppliers_checks").execute_in_process(instance=instance)
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert "http_json/main: stock of 25 SKUs is unknown" in (check.description or "")


def test_scores_are_an_asset(desk: Desk, instance: DagsterInstance) -> None:
    desk.sync("products", "stock", "prices")
    job = whole().resolve_job_def("suppliers_scores")
    result = job.execute_in_process(instance=instance, partition_key=desk.account)
    assert result.success
    assert desk.rows("SELECT count(*) FROM suppliers.product_scores") == [(25,)]
