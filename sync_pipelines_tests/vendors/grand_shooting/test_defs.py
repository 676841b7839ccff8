"""The fan-out as Dagster runs it: lineage, batch, drain by sensor, plan and initialise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    build_sensor_context,
    in_process_executor,
)

from sync_pipelines.core.budget import read_budgets
from sync_pipelines.core.db import Database
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.orchestration import engine
from sync_pipelines.orchestration.engine import Engine, use_runtime
from sync_pipelines.vendors.grand_shooting import defs as gs
from sync_pipelines.vendors.grand_shooting.fan_out.rounds import LOOK_S, watch
from sync_pipelines_tests.vendors.grand_shooting.worlds import MAIN, FanOutWorld

World = Callable[..., FanOutWorld]
QUICK = {"linger_s": 0.2, "max_runtime_s": 30.0}


class Stage:
    """A world, and a Dagster instance that works on it."""

    def __init__(self, one: FanOutWorld, instance: DagsterInstance) -> None:
        self.world, self.instance = one, instance
        self.definitions = Definitions.merge(gs.defs, Definitions(resources={"engine": Engine()}, executor=in_process_executor))
        use_runtime(self._open)
        gs.register_partitions(instance, list(one.links))

    def _open(self) -> Runtime:
        links = tuple(working.link for working in self.world.links.values())
        database = Database(self.world.database.url, max_connections=10)
        return Runtime(database=database, account=self.world.context, account_ids=lambda _: [MAIN], links=links)

    def run(self, job: str, config: dict[str, Any] | None = None, **options: Any) -> Any:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config={"ops": config} if config else None, raise_on_error=False, **options
        )

    def tick(self, sensor: Any, cursor: str | None = None) -> Any:
        return sensor(build_sensor_context(instance=self.instance, cursor=cursor))

    def metadata(self, key: AssetKey, partition: str) -> dict[str, Any]:
        event = self.instance.get_latest_materialization_event(key)
        assert event is not None
        materialization = event.asset_materialization
        assert materialization is not None
        assert materialization.partition == partition
        return {name: entry.value for name, entry in materialization.metadata.items()}


@pytest.fixture
def stage(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stage]]:
    monkeypatch.setattr(gs, "WATCH_S", 0.0)
    before = engine._open_runtime
    with DagsterInstance.ephemeral() as instance:
        yield lambda **links: Stage(world(**links), instance)
    engine._open_runtime = before


def test_lineage_goes_from_the_main_catalogue_over_the_mirror_to_the_replicas() -> None:
    graph = Definitions.merge(gs.defs, Definitions(resources={"engine": Engine()})).resolve_asset_graph()
    mirror = AssetKey(["grand_shooting", "references"])
    assert graph.get(gs.REPLICAS).parent_keys == {mirror}
    assert graph.get(mirror).parent_keys == {AssetKey(["grand_shooting", "api", "references"])}


def test_a_batch_run_brings_a_link_up_and_says_what_it_did(stage: Callable[..., Stage]) -> None:
    one = stage(paris={"batch": {"schedule": "*/15 * * * *"}})
    assert one.run("grand_shooting_batch", partition_key="paris").success
    one.world.expect("paris")
    found = one.metadata(gs.REPLICAS, "paris")
    assert (found["written"], found["waiting"], found["dead_lettered"]) == (120, 0, 0)


def test_the_sensor_requests_one_drain_while_there_is_work(stage: Callable[..., Stage]) -> None:
    one = stage(paris={})
    one.world.mirror()
    (request,) = one.tick(gs.fan_out_work)
    assert isinstance(request, RunRequest)
    assert request.run_config["ops"]["drain"]["config"] == {"main": MAIN}
    one.instance.add_run(DagsterRun("drain_fan_out", tags=request.tags, status=DagsterRunStatus.STARTED))
    assert not isinstance(one.tick(gs.fan_out_work), list)
    assert one.run("drain_fan_out", {"drain": {"config": {"main": MAIN, **QUICK}}}).success
    one.world.expect("paris")
    assert one.metadata(gs.REPLICAS, "paris")["written"] == 120


def test_a_link_with_a_pace_of_its_own_keeps_it_beside_the_quota(stage: Callable[..., Stage]) -> None:
    one = stage(paris={"requests_per_second": 50})
    one.world.mirror()
    assert one.run("drain_fan_out", {"drain": {"config": {"main": MAIN, **QUICK}}}).success
    one.world.expect("paris")
    assert {report.bucket for report in read_budgets(one.world.database, "grand_shooting/paris")} == {"calls", "pace"}


def test_a_tick_looks_for_work_until_shortly_before_the_next_one() -> None:
    time = [0.0]
    found = iter([[], [], [MAIN]])
    clock = {"monotonic": lambda: time[0], "sleep": lambda seconds: time.__setitem__(0, time[0] + seconds)}
    assert watch(lambda: next(found), 4.0, **clock) == [MAIN]
    assert time == [2 * LOOK_S]
    assert watch(list, 4.0, **clock) == []
    assert time[0] < 4.0 + 3 * LOOK_S


def test_paused_links_and_open_circuits_do_not_start_runs(stage: Callable[..., Stage]) -> None:
    one = stage(paris={})
    one.world.mirror()
    with one.world.database.connect() as connection:
        gs_links = "update grand_shooting.links set "
        connection.execute(gs_links + "paused_at = clock_timestamp()")
        assert not isinstance(one.tick(gs.fan_out_work), list)
        connection.execute(gs_links + "paused_at = null, failures = 1, open_until = clock_timestamp() + interval '1 hour'")
        assert not isinstance(one.tick(gs.fan_out_work), list)
        connection.execute(gs_links + "open_until = clock_timestamp() - interval '1 second'")
    assert isinstance(one.tick(gs.fan_out_work), list)


def test_a_batch_time_missed_while_nothing_ran_is_made_up_for_once(stage: Callable[..., Stage]) -> None:
    one = stage(paris={"batch": {"schedule": "0 3 * * *", "timezone": "Europe/Paris"}}, lyon={})
    assert one.tick(gs.batch_times).run_requests == []
    result = one.tick(gs.batch_times, cursor="2026-01-01T00:00:00+00:00")
    assert [request.partition_key for request in result.run_requests] == ["paris"]
    assert one.tick(gs.batch_times, cursor=result.cursor).run_requests == []


def test_a_plan_is_an_asset_with_a_table_and_initialise_starts_it(stage: Callable[..., Stage]) -> None:
    one = stage(paris={"webhooks": False})
    for number in range(5):
        one.world.edit("paris", f"STRANGER-{number}", {"brand": "Other"})
    assert one.run("grand_shooting_plan", partition_key="paris").success
    found = one.metadata(AssetKey(["grand_shooting", "plans"]), "paris")
    assert (found["create"], found["delete"]) == (120, 5)
    assert found["samples"]
    assert not one.run("initialise_link", {"initialise_op": {"config": {"link": "paris"}}}).success
    assert one.run("initialise_link", {"initialise_op": {"config": {"link": "paris", "confirm": found["plan"]}}}).success
    assert one.run("drain_fan_out", {"drain": {"config": {"main": MAIN, **QUICK}}}).success
    one.world.expect("paris")


def test_two_readings_of_all_keys_find_what_no_webhook_told(stage: Callable[..., Stage]) -> None:
    one = stage(paris={})
    one.world.mirror()
    one.world.drain()
    one.world.edit("main", "GS-000009", None)
    for _ in range(2):
        assert one.run("grand_shooting_compare_keys", {"compare_keys_op": {"config": {"main": MAIN}}}).success
    assert one.run("grand_shooting_batch", partition_key="paris").success
    one.world.expect("paris")
