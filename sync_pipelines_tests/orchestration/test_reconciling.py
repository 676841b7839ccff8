"""The check ``reconciled``: what was planted by hand is found, mended, reported, and the check says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance, Definitions

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.orchestration import engine as engines
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.reconciling import reconcile_here
from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.sendcloud.reference.streams import integrations, shipping_methods
from sync_pipelines.vendors.sendcloud.streams import orders, parcels
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines_tests.damage import Damage
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

PLANTED = (parcels, orders, shipping_methods)


@pytest.fixture
def shop(sandbox: Callable[..., RunningSandbox], database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(database, sandbox("sendcloud"))

    def opened() -> Runtime:
        own = Database(database_url, application_name="tests")

        def account(_: str, lane: Lane) -> AccountContext:
            credentials = {"public_key": "sandbox-public", "secret_key": "sandbox-secret"}
            return AccountContext(ACCOUNT, f"{made.sandbox.base_url}/api", None, credentials, made.settings, own, None, lane)

        return Runtime(own, account, lambda _: [ACCOUNT])

    monkeypatch.setattr(engines, "_open_runtime", opened)
    return made


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp() as temporary:
        yield temporary


def definitions() -> Definitions:
    return Definitions.merge(vendor_definitions(VENDOR), Definitions(resources={"engine": Engine()}))


def test_differences_planted_in_three_tables_are_found_mended_and_told(shop: Shop, instance: DagsterInstance) -> None:
    for stream in PLANTED:
        shop.sync(stream) if stream.is_windowed else shop.sync(stream, Request(Mode.FULL))
    recent = "now() - interval '6 days'"
    planted = {
        parcels.key: Damage(shop.database, parcels, ("status_message", "'by hand'"), f"version > {recent}"),
        orders.key: Damage(shop.database, orders, ("total_amount", "0.01"), f"order_updated_at > {recent}"),
        shipping_methods.key: Damage(shop.database, shipping_methods, ("name", "'by hand'")),
    }
    config = {"streams": [stream.key for stream in PLANTED]}
    rehearsal, found = reconcile_here(definitions(), instance, VENDOR, ACCOUNT, config | {"is_dry_run": True})
    assert rehearsal.is_success
    assert found is not None
    assert (found.repaired, found.different) == (0, 3)
    with shop.database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM sync.reconciliations").fetchone() == (0,)

    launched, _ = reconcile_here(definitions(), instance, VENDOR, ACCOUNT, config)
    assert launched.is_success, launched.error
    for stream in PLANTED:
        damage = planted[stream.key]
        key = AssetCheckKey(AssetKey([stream.vendor, stream.name]), "reconciled")
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        assert record.event is not None
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        told = {name: value.value for name, value in evaluation.metadata.items()}
        assert not evaluation.passed
        assert (told["repaired"], told["different"]) == (2, 1)
        names = told["keys"][ACCOUNT]
        assert {kind: len(keys) for kind, keys in names.items()} == {"missing": 1, "altered": 1, "invented": 1}
        assert names["invented"][0].startswith(str(damage.invented[1]))
        assert names["invented"][0] in (evaluation.description or "")

    again, found = reconcile_here(definitions(), instance, VENDOR, ACCOUNT, config | {"is_due_only": True})
    assert (again.is_success, found) == (True, None)


def test_every_stream_that_can_be_listed_is_compared_and_a_clean_one_passes(shop: Shop, instance: DagsterInstance) -> None:
    shop.sync(integrations, Request(Mode.FULL))
    day = datetime.now(UTC).date()
    reach = {"start": day.isoformat(), "end": (day + timedelta(days=1)).isoformat()}
    launched, found = reconcile_here(definitions(), instance, VENDOR, ACCOUNT, {"streams": [integrations.key], **reach})
    assert launched.is_success, launched.error
    assert found is not None
    assert (found.scope, found.repaired, found.different) == ("everything", 0, 0)
    key = AssetCheckKey(AssetKey(["sendcloud", "integrations"]), "reconciled")
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    assert record.event.dagster_event.asset_check_evaluation_data.passed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "2026-03-01"}, "end: empty, although start is '2026-03-01'; give both or neither, end as an ISO 8601 instant"),
        ({"end": "2026-03-01"}, "start: empty, although end is '2026-03-01'; give both or neither, start as an ISO 8601 instant"),
        ({"start": "yesterday", "end": "2026-03-01"}, "start: 'yesterday' is not an ISO 8601 instant"),
        ({"start": "2026-03-02", "end": "2026-03-01"}, "start: '2026-03-02' is not before end, '2026-03-01'"),
    ],
)
def test_a_time_that_cannot_be_compared_ends_the_run_before_anything_is_read(
    shop: Shop, instance: DagsterInstance, given: dict[str, str], message: str
) -> None:
    launched, found = reconcile_here(definitions(), instance, VENDOR, ACCOUNT, given)
    assert (launched.is_success, found) == (False, None)
    assert (launched.error or "").startswith(message)
    assert shop.sandbox.control.log() == []
