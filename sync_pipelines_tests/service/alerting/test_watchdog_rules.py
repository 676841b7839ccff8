"""The watchdog's rules about Dagster's own processes, the upkeep, the configuration and the ways to people."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import pytest
from dagster import DagsterInstance
from dagster._daemon.types import DaemonHeartbeat

from sync_pipelines.config import Config
from sync_pipelines.core import partitions
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.service.alerting import dagster_rules
from sync_pipelines.service.alerting.rules import all_rules
from sync_pipelines_tests.service.alerting.conftest import House


def open_alerts(house: House, rule: str) -> dict[str, str]:
    return dict(house.rows("select subject, summary from sync.alerts where closed_at is null and rule = %s", rule))


def beat(house: House, dagster: DagsterInstance, *daemons: str) -> None:
    for daemon in daemons:
        dagster.add_daemon_heartbeat(DaemonHeartbeat(house.now.timestamp(), daemon, "daemon-1", []))


def watching(house: House, port: int) -> House:
    house.rules = all_rules(code_server=("127.0.0.1", port))
    house.watch = house.new_watch()
    return house


def test_a_dead_code_server_is_told_within_three_minutes(whole_house: House, dagster: DagsterInstance) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    house = watching(whole_house, server.add_insecure_port("127.0.0.1:0"))
    house.tell({"name": "Ana", "email": "ana@example.com", "slack_from": None})
    server.start()
    beat(house, dagster, "SCHEDULER")
    house.passes(seconds=60)
    assert open_alerts(house, "code_server_silent") == {}
    server.stop(grace=None).wait()
    for _ in range(6):
        beat(house, dagster, "SCHEDULER")
        house.passes(seconds=30)
    assert "does not answer since" in open_alerts(house, "code_server_silent")["code server"]
    assert "Code server silent" in house.relay.mailbox.body()


def test_a_code_server_that_takes_calls_and_says_nothing_is_silent(whole_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagster_rules, "CODE_SERVER_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        assert not dagster_rules.speaks_http2("127.0.0.1", frozen.getsockname()[1])
        house = watching(whole_house, frozen.getsockname()[1])
        house.passes(minutes=3)
    assert open_alerts(house, "code_server_silent") == {}, "what never answered is not ours to watch"


def test_one_silent_part_of_the_daemon_is_named(whole_house: House, dagster: DagsterInstance) -> None:
    beat(whole_house, dagster, "SCHEDULER", "SENSOR")
    for _ in range(14):
        beat(whole_house, dagster, "SCHEDULER")
        whole_house.passes(minutes=1)
    [(subject, summary)] = open_alerts(whole_house, "daemon_part_silent").items()
    assert subject == "daemon SENSOR"
    assert "the sensor part of Dagster's daemon is silent since" in summary
    assert open_alerts(whole_house, "daemon_silent") == {}


def upkeep(house: House, status: str) -> None:
    house.execute(
        "insert into dagster.runs (run_id, pipeline_name, status, run_body, end_time, update_timestamp)"
        " values (gen_random_uuid()::text, 'maintenance', %s, '{}', %s, %s)",
        status,
        house.now.timestamp(),
        house.now.replace(tzinfo=None),
    )


@pytest.mark.usefixtures("dagster")
def test_upkeep_that_fails_or_is_not_done_is_trouble_of_retention(whole_house: House) -> None:
    upkeep(whole_house, "FAILURE")
    whole_house.passes(minutes=2)
    assert "the daily upkeep failed 1 times" in open_alerts(whole_house, "retention")["maintenance"]
    assert open_alerts(whole_house, "first_error") == {}
    upkeep(whole_house, "SUCCESS")
    whole_house.passes(minutes=2)
    assert open_alerts(whole_house, "retention") == {}
    whole_house.now += timedelta(hours=27)
    whole_house.passes(minutes=2)
    assert "the daily upkeep was last done" in open_alerts(whole_house, "retention")["maintenance"]


@pytest.mark.parametrize("table", ["archive", "deliveries", "tasks_done"])
def test_a_table_without_a_partition_for_today_is_reported(whole_house: House, table: str) -> None:
    whole_house.execute(f"drop table if exists {', '.join(kept(whole_house, table))}")
    with whole_house.database.transaction() as connection:
        partitions.ensure_days(connection, table, first=(whole_house.now - timedelta(days=4)).date(), days=2)
    whole_house.passes(minutes=20)
    assert "has no partition for today" in open_alerts(whole_house, "partitions")[f"sync.{table}"]


def kept(house: House, table: str) -> list[str]:
    """The day partitions that there are, or a name that there is not."""
    with house.database.connect() as connection:
        found = connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = to_regclass(%s)"
            " and pg_get_expr((select relpartbound from pg_class where oid = inhrelid), inhrelid) <> 'DEFAULT'",
            [f"sync.{table}"],
        )
        return [name for (name,) in found] or ["sync.no_such_partition"]


def test_a_configuration_that_can_not_be_read_is_told_and_the_one_before_is_followed(house: House) -> None:
    house.tell({"name": "Ana", "email": "ana@example.com", "slack_from": None})
    house.passes(seconds=20)
    good = house.config

    def broken() -> Config:
        raise ConfigError("accounts.yaml, line 3: base_url is no address")

    object.__setattr__(house.watch._world, "read_config", broken)
    house.passes(minutes=3)
    assert "line 3" in open_alerts(house, "configuration")["configuration"]
    assert "Configuration unusable" in house.relay.mailbox.body()
    object.__setattr__(house.watch._world, "read_config", lambda: good)
    house.passes(minutes=3)
    assert open_alerts(house, "configuration") == {}


def test_suppliers_report_lists_they_do_not_believe(whole_house: House) -> None:
    whole_house.execute(
        "insert into suppliers.reads (account, stream, feed, scope, pages, rows, read_at, suspect_since)"
        " values ('bigbuy/main', 'suppliers/stock', 'stock', '1', 1, 0, %s, %s)",
        whole_house.now,
        whole_house.now,
    )
    whole_house.passes(minutes=6)
    assert "stock answers implausibly for 1 of its parts" in open_alerts(whole_house, "suppliers")["stock of bigbuy/main"]
