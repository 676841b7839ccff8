"""Amazon in Dagster: the stream's asset and every job beside it, run on an instance against the look-alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Definitions, Failure, build_schedule_context

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.orchestration import engine as engines
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.partitions import partition_key, register_accounts
from sync_pipelines.vendors.amazon.defs import defs
from sync_pipelines.vendors.amazon.settings import Settings
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines.vendors.amazon.vendor import VENDOR, check, connect
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.amazon.shop import MARKETPLACES

ACCOUNT = "amazon/alpha"


class Installation:
    """The product around one look-alike: a runtime, an instance, and Amazon's definitions."""

    def __init__(self, sandbox: RunningSandbox, database_url: str, instance: DagsterInstance) -> None:
        self.sandbox, self.url, self.instance = sandbox, database_url, instance
        self._keys = MasterKeys.parse(MasterKeys.new())
        self.defs = Definitions.merge(defs, Definitions(resources={"engine": Engine()}))

    def open(self) -> Runtime:
        database = Database(self.url, application_name="tests")
        return Runtime(database, lambda account, lane: self.context(database, account, lane), lambda _: [ACCOUNT])

    def context(self, database: Database, account: str, lane: Lane) -> AccountContext:
        tenant = account.removeprefix("amazon/")
        credentials = {
            "client_id": "amzn1.application-oa2-client.sandbox",
            "client_secret": "sandbox-secret",
            "refresh_token": f"Atzr|sandbox-{tenant}",
        }
        return AccountContext(
            id=account,
            base_url=self.sandbox.base_url,
            auth_url=f"{self.sandbox.base_url}/auth/o2/token",
            credentials=credentials,
            settings=Settings(marketplaces=MARKETPLACES[tenant], personal_data=True, min_call_interval_s=0),
            database=database,
            secrets=Secrets(database, self._keys),
            lane=lane,
        )

    def run(self, job: str, op: str | None = None, partition: str | None = None, **config: Any) -> Any:
        run_config = {"ops": {op: {"config": config}}} if op else {}
        found = self.defs.get_job_def(job)
        result = found.execute_in_process(instance=self.instance, run_config=run_config, partition_key=partition)
        assert result.success
        return result


@pytest.fixture
def installation(
    sandbox: Callable[..., RunningSandbox], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    with DagsterInstance.local_temp() as instance:
        made = Installation(sandbox("amazon", seed=3, size="demo"), database_url, instance)
        monkeypatch.setattr(engines, "_open_runtime", made.open)
        register_accounts(instance, VENDOR, [ACCOUNT])
        yield made


def test_the_asset_is_materialized_with_its_numbers_and_checks(installation: Installation) -> None:
    partition = partition_key(orders, ACCOUNT, datetime.now(UTC).date())
    result = installation.run("amazon_orders", partition=partition)
    event = installation.instance.get_latest_materialization_event(AssetKey(["amazon", "orders"]))
    assert event is not None
    metadata = event.asset_materialization.metadata if event.asset_materialization else {}
    assert (metadata["inserted"].value, metadata["api_calls"].value, metadata["status"].value) == (80, 1, "complete")
    checks = {item.check_name: item.passed for item in result.get_asset_check_evaluations()}
    assert checks == {"coverage": True, "no_open_dead_letters": True}


def test_a_day_is_read_again_in_the_backfill_lane(installation: Installation) -> None:
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    installation.run("amazon_orders", partition=partition_key(orders, ACCOUNT, day))
    (call,) = [entry for entry in installation.sandbox.control.log() if "/orders/" in entry["path"]]
    assert f"lastUpdatedAfter={day}T00%3A00%3A00.000Z" in call["query"]


def test_the_jobs_beside_the_beat_run_and_tell_what_they_did(installation: Installation) -> None:
    installation.run("amazon_orders", partition=partition_key(orders, ACCOUNT, datetime.now(UTC).date()))
    installation.run("amazon_sync_missing_items", "sync_missing_items", account=ACCOUNT)
    installation.run("amazon_orders_sweep", "sweep_orders", account=ACCOUNT, hours=48)
    start, end = datetime.now(UTC) - timedelta(days=3), datetime.now(UTC) - timedelta(hours=1)
    bulk = {"start": start.isoformat(), "end": end.isoformat(), "poll_s": 0}
    installation.run("amazon_backfill_reports", "backfill_reports", account=ACCOUNT, **bulk)
    with installation.open().database as database, database.connect() as connection:
        assert connection.execute("select count(*), count(distinct source) from amazon.orders").fetchone() == (80, 1)
        assert connection.execute("select state, orders > 5 from amazon.report_requests").fetchall() == [("stored", True)]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("", "", "start and end: empty"),
        ("2026-03-01", "", "end: empty, although start is '2026-03-01'"),
        ("yesterday", "2026-03-01", "start: 'yesterday' is not an ISO 8601 instant"),
        ("2026-03-02", "2026-03-01", "start: '2026-03-02' is not before end"),
    ],
)
def test_reports_of_a_wrong_time_are_refused_by_field(installation: Installation, start: str, end: str, message: str) -> None:
    with pytest.raises(Failure, match=message):
        installation.run("amazon_backfill_reports", "backfill_reports", account=ACCOUNT, start=start, end=end)
    assert installation.sandbox.control.log() == []


def test_every_schedule_asks_for_each_account(installation: Installation) -> None:
    repository = installation.defs.get_repository_def()
    for schedule in repository.schedule_defs:
        with build_schedule_context(installation.instance, repository_def=repository) as context:
            requests = schedule.evaluate_tick(context).run_requests
        assert schedule.name == "retry_amazon_dlq_schedule" or [request.tags["sync/account"] for request in requests] == [ACCOUNT]


def test_check_tells_what_works(installation: Installation) -> None:
    with installation.open().database as database:
        with connect(installation.context(database, ACCOUNT, Lane.LIVE)) as reader:
            assert [(item.what, item.is_ok) for item in check(reader)] == [
                ("credentials", True),
                ("marketplaces", True),
                ("permission to read orders", True),
                ("permission to see persons", True),
            ]
        installation.sandbox.control.post("tenant", tenant="gamma", is_revoked=True)
        with connect(installation.context(database, "amazon/gamma", Lane.LIVE)) as reader:
            (item,) = check(reader)
    assert (item.is_ok, "invalid_grant" in item.detail) == (False, True)
