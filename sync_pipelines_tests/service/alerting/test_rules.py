"""What the product's own rules find in a real database with Dagster's real tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from sync_pipelines.config import parse_config
from sync_pipelines.core.buckets import BucketSpec, Lane
from sync_pipelines.core.budget import Budget
from sync_pipelines.core.dead_letters import NewLetter, open_letter, resolve
from sync_pipelines.core.queue import NewTask, QueueSpec, enqueue
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.windows import Ledger, Window
from sync_pipelines.overview import dagster_tables
from sync_pipelines.registry import all_streams
from sync_pipelines.service.alerting.rules import all_rules
from sync_pipelines_tests.service.alerting.conftest import House, failed_runs

ACCOUNTS = """
accounts:
  - id: sendcloud/main
    credentials: {public_key: a, secret_key: b}
  - id: amazon/shop
    credentials: {client_id: a, client_secret: b, refresh_token: c}
    settings: {marketplaces: [A13V1IB3VIYZZH], secret_created_on: SECRET_DAY}
"""


@pytest.fixture
def shop(whole_house: House) -> House:
    made_on = (whole_house.now - timedelta(days=175)).date()
    document = ACCOUNTS.replace("SECRET_DAY", made_on.isoformat())
    whole_house.config = replace(parse_config(document, source="accounts.yaml"))
    return whole_house


def open_alerts(house: House, rule: str) -> dict[str, str]:
    return dict(house.rows("select subject, summary from sync.alerts where closed_at is null and rule = %s", rule))


def beat(instance: DagsterInstance, at: datetime) -> None:
    for daemon in ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"):
        instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), daemon, "daemon-1", []))


def test_a_dead_daemon_is_told_within_three_minutes_on_both_channels(whole_house: House, dagster: DagsterInstance) -> None:
    whole_house.tell({"name": "Ana", "email": "ana@example.com", "slack": "C-OPS"})
    for _ in range(6):
        beat(dagster, whole_house.now)
        whole_house.passes(seconds=30)
    assert not whole_house.relay.mailbox.letters
    whole_house.passes(minutes=2)
    assert [letter["Subject"] for letter in whole_house.relay.mailbox.letters] == ["[sync-pipelines] error: 1 alert: Daemon silent"]
    assert "Daemon silent" in whole_house.slack.posts[0]["text"]
    beat(dagster, whole_house.now)
    whole_house.passes(minutes=1)
    assert open_alerts(whole_house, "daemon_silent") == {}


def test_an_old_heartbeat_is_no_alarm_while_the_daemon_still_starts(whole_house: House, dagster: DagsterInstance) -> None:
    beat(dagster, whole_house.now - timedelta(days=2))
    whole_house.passes(seconds=80)
    assert open_alerts(whole_house, "daemon_silent") == {}


@pytest.mark.usefixtures("dagster")
def test_a_thousand_failures_in_ten_minutes_are_one_message_that_hour_grouped(shop: House) -> None:
    people = [{"name": name, "email": f"{name.lower()}@example.com", "slack_from": None} for name in ("Ana", "Ben")]
    shop.tell(*people, {"name": "Ops", "slack": "C-OPS"}, {"name": "Off", "email": "off@example.com", "email_from": None})
    streams = [f"toy/stream_{number}" for number in range(25)]
    for burst in range(20):
        batch = [(streams[(burst + n) % 25], f"toy/{n % 2}", "FAILURE", shop.now) for n in range(50)]
        failed_runs(shop.database.url, batch)
        let_pass(shop, seconds=30)
    for _ in range(38):
        let_pass(shop, seconds=120)
        if shop.rows("select 1 from sync.alert_deliveries where sent_at < %s - interval '50 minutes'", shop.now):
            break
    assert sorted(shop.relay.mailbox.recipients) == ["ana@example.com", "ben@example.com"]
    assert len(shop.slack.posts) == 1
    body = shop.relay.mailbox.body()
    assert "First errors (50, 1,000 in all)" in body
    for number in range(25):
        assert f"toy/stream_{number} of toy/" in body
    assert "20 runs failed since" in body


def let_pass(house: House, *, seconds: int) -> None:
    beat_everything(house)
    house.now += timedelta(seconds=seconds)
    house.watch.round()


def beat_everything(house: House) -> None:
    house.execute(
        "insert into dagster.daemon_heartbeats (daemon_type, timestamp) values ('SENSOR', %s)"
        " on conflict (daemon_type) do update set timestamp = excluded.timestamp",
        house.now.replace(tzinfo=None),
    )


def test_a_failed_run_opens_stands_and_is_cleared_by_a_success(shop: House, dagster: DagsterInstance) -> None:
    tags = {"sync/stream": "sendcloud/orders", "sync/account": "sendcloud/main"}
    run = create_run_for_test(dagster, job_name="sendcloud_orders", status=DagsterRunStatus.STARTED, tags=tags)
    dagster.report_run_failed(run)
    shop.now = datetime.now(UTC)
    shop.watch.round()
    [summary] = open_alerts(shop, "first_error").values()
    assert "sendcloud/orders of sendcloud/main: 1 run failed since" in summary
    assert shop.rows("select run_id from sync.alerts where rule = 'first_error'") == [(run.run_id,)]
    assert open_alerts(shop, "error_standing") == {}
    shop.now += timedelta(minutes=31)
    shop.watch.round()
    assert "failing for 31 min" in open_alerts(shop, "error_standing")["sendcloud/orders of sendcloud/main"]
    failed_runs(shop.database.url, [("sendcloud/orders", "sendcloud/main", "SUCCESS", shop.now)])
    shop.now += timedelta(seconds=30)
    shop.watch.round()
    assert open_alerts(shop, "first_error") == open_alerts(shop, "error_standing") == {}


def test_a_stream_that_was_not_stored_for_too_long_has_missed_its_freshness(shop: House, dagster: DagsterInstance) -> None:
    shop.passes(minutes=20)
    assert "sendcloud/orders of sendcloud/main" not in open_alerts(shop, "freshness")
    shop.passes(minutes=60)
    late = open_alerts(shop, "freshness")
    assert "it was never read" in late["sendcloud/orders of sendcloud/main"]
    materialize(dagster, ["sendcloud", "orders"], "sendcloud/main|2026-01-01", shop)
    shop.passes(minutes=5)
    assert set(late) - set(open_alerts(shop, "freshness")) == {"sendcloud/orders of sendcloud/main"}


def test_no_stream_is_fresh_for_longer_than_materializations_are_remembered() -> None:
    assert max(stream.freshness for _, stream in all_streams().values()) < dagster_tables.REMEMBERED


def materialize(instance: DagsterInstance, key: list[str], partition: str, house: House) -> None:
    from dagster import AssetKey, AssetMaterialization

    instance.report_runless_asset_event(AssetMaterialization(AssetKey(key), partition=partition))
    kind = DagsterEventType.ASSET_MATERIALIZATION.value
    at = house.now.replace(tzinfo=None)
    house.execute("update dagster.event_logs set timestamp = %s where dagster_event_type = %s", at, kind)


def test_a_failing_sensor_is_reported(shop: House, dagster: DagsterInstance) -> None:
    location = RegisteredCodeLocationOrigin("sync_pipelines")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "drain_sensor")
    selector = InstigatorSelector(location_name="sync_pipelines", repository_name="__repository__", name="drain_sensor").get_id()
    dagster.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE))
    for offset, status in ((0, TickStatus.SUCCESS), (1, TickStatus.FAILURE)):
        error = SerializableErrorInfo("broken", [], "ValueError") if status is TickStatus.FAILURE else None
        at = datetime.now(UTC).timestamp() + offset
        tick = TickData(
            origin.get_id(), "drain_sensor", InstigatorType.SENSOR, status, at, run_ids=[], selector_id=selector, error=error
        )
        dagster.create_tick(tick)
    shop.watch.round()
    assert "sensor drain_sensor: its latest tick failed" in open_alerts(shop, "ticks")["drain_sensor"]


def windows(house: House) -> None:
    ledger = Ledger("sendcloud/main", "sendcloud/orders")
    with house.database.transaction() as connection:
        ledger.open(connection, origin=house.now - timedelta(days=5))
        for start, end in ((5, 4), (3, 1)):
            ledger.confirm(connection, Window(house.now - timedelta(days=start), house.now - timedelta(days=end)))


def difference(house: House) -> None:
    house.execute(
        "insert into sync.reconciliations values ('sendcloud/main', 'sendcloud/orders', %s, 'run-7', 'day', 10, 2, 3, '{}')",
        house.now,
    )


def brake(house: House) -> None:
    house.execute(
        "insert into sync.holds (account, subject, kind, detail, opened_at)"
        " values ('sendcloud/main', 'sendcloud/orders', 'deletes', '{\"rows\": 900, \"of\": 1000}', %s)",
        house.now,
    )


def letter(house: House) -> None:
    with house.database.transaction() as connection:
        for key in ("1", "2"):
            body = b'{"name": "somebody"}'
            open_letter(
                connection,
                NewLetter("sendcloud/main", "sendcloud/orders", key, "DataError", "price: decimal", body, "GET /orders", "run-9"),
            )


def long_line(house: House) -> None:
    with house.database.transaction() as connection:
        enqueue(connection, QueueSpec(name="toy"), [NewTask(account="toy/1", key=str(n)) for n in range(21)])


def old_secret(house: House) -> None:
    secrets = Secrets(house.database, MasterKeys.parse(MasterKeys.new()))
    secrets.set("api", "toy/1", b"invented-secret-value", expires_at=house.now + timedelta(days=9))


def refused_token(house: House) -> None:
    house.execute(
        "insert into sync.oauth_tokens (account, refused_at, refusal) values ('gazelle/studio', %s, 'invalid_grant')", house.now
    )


def dying_token(house: House) -> None:
    house.execute(
        "insert into sync.oauth_tokens (account, refresh_expires_at) values ('gazelle/studio', %s)", house.now + timedelta(days=3)
    )


def blocked(house: House) -> None:
    budget = Budget(house.database, "toy/1", Lane.LIVE, [BucketSpec.paced("all", per_second=1)])
    budget.block(["all"], 3600)


@pytest.mark.parametrize(
    ("plant", "rule", "words"),
    [
        (windows, "coverage", "sendcloud/orders of sendcloud/main: 1 hole in the confirmed time, 1 d together"),
        (difference, "reconciliation", "3 records different from the vendor's list"),
        (brake, "brake", "deletes are held since"),
        (letter, "dead_letters", "sendcloud/orders of sendcloud/main: 2 dead letters open"),
        (long_line, "queue", "queue toy: more than 20 tasks wait"),
        (old_secret, "expiry", "toy/1: the secret api ends"),
        (refused_token, "expiry", "gazelle/studio: the vendor refuses to renew"),
        (dying_token, "expiry", "gazelle/studio: the refresh token ends"),
        (blocked, "budget", "toy/1: quota all (one call every 1 s) is starved: blocked until"),
    ],
)
def test_what_stands_in_our_tables_is_found(shop: House, plant: Callable[[House], Any], rule: str, words: str) -> None:
    shop.tell(queue_waiting=20)
    plant(shop)
    shop.passes(minutes=35)
    [summary] = open_alerts(shop, rule).values()
    assert words in summary
    assert open_alerts(shop, "rule_trouble") == {}


def test_resolved_letters_close_their_alert(shop: House) -> None:
    letter(shop)
    shop.watch.round()
    with shop.database.transaction() as connection:
        resolve(connection, [1, 2], by="a person")
    shop.now += timedelta(seconds=10)
    shop.watch.round()
    assert shop.rows("select seen_count, run_id, closed_at is not null from sync.alerts where rule = 'dead_letters'") == [
        (2, "run-9", True)
    ]


def test_vendors_add_their_own_concerns(shop: House) -> None:
    shop.execute(
        "insert into amazon.polls (account, last_polled_at, last_error, failing_since) values ('amazon/shop', %s, 'refused', %s)",
        shop.now,
        shop.now - timedelta(hours=2),
    )
    shop.watch.round()
    assert "secret ends on" in open_alerts(shop, "amazon_secret_ends")["amazon/shop"]
    assert "every poll since" in open_alerts(shop, "amazon_error_stands")["amazon/shop"]
    assert open_alerts(shop, "rule_trouble") == {}


def test_suppliers_lists_that_cannot_be_believed_are_named(shop: House) -> None:
    shop.execute(
        "insert into suppliers.reads (account, stream, feed, scope, pages, rows, as_of, read_at, suspect_since)"
        " select 'bigbuy/main', 'stock', 'productsstockbyhandlingdays', s, 1, 9, now() - interval '7 hours', now(), now()"
        " from unnest(array['1', '2']) s"
    )
    shop.execute(
        "insert into suppliers.stock (account, supplier_sku, item_kind, feed, scope, quantity, handling, raw, version,"
        " content_hash, first_seen_at, synced_at, run_id) values ('bigbuy/main', 'S1', 'variant',"
        " 'productsstockbyhandlingdays', '1', 4, '[]', '{}', now() - interval '7 hours', '', now(), now(), 'r')"
    )
    shop.watch.round()
    told = open_alerts(shop, "suppliers")
    assert "answers implausibly for 2 of its parts" in told["productsstockbyhandlingdays of bigbuy/main"]
    assert "stock of 1 SKUs is unknown" in told["stock of bigbuy/main"]
    assert open_alerts(shop, "rule_trouble") == {}


LINK = """
accounts:
  - {id: grand_shooting/main, base_url: "http://127.0.0.1:1/v3", credentials: {token: a}, settings: {account_id: 1}}
  - {id: grand_shooting/paris, base_url: "http://127.0.0.1:1/v3", credentials: {token: b}, settings: {account_id: 2}}
links:
  - {id: paris, main: grand_shooting/main, secondary: grand_shooting/paris, alerts: {lag_minutes: 5, waiting: 2}}
"""


def test_links_have_limits_of_their_own(whole_house: House) -> None:
    whole_house.config = parse_config(LINK, source="accounts.yaml")
    queue = QueueSpec(name="grand_shooting.fan_out")
    with whole_house.database.transaction() as connection:
        enqueue(connection, queue, [NewTask(account="paris", key=str(n)) for n in range(3)])
        connection.execute("update sync.tasks set created_at = created_at - interval '10 minutes'")
        connection.execute(
            "insert into grand_shooting.links (link, main, secondary, is_followed, configuration, failures, open_until, trouble)"
            " values ('paris', 'grand_shooting/main', 'grand_shooting/paris', true, '', 3, now(), 'HTTP 503')"
        )
    whole_house.watch.round()
    assert set(open_alerts(whole_house, "link_behind")) == {"link paris, lag", "link paris, line"}
    assert "3 failures in a row" in open_alerts(whole_house, "link_circuit")["link paris"]
    assert open_alerts(whole_house, "rule_trouble") == {}


def test_every_rule_is_described_where_people_read_about_alerts() -> None:
    page = (Path(__file__).parents[3] / "docs" / "alert.md").read_text()
    rules = all_rules()
    assert len({rule.name for rule in rules}) == len(rules)
    assert [rule.name for rule in rules if f"`{rule.name}`" not in page] == []


def test_no_rule_is_in_trouble_on_an_empty_database(whole_house: House, tmp_path: Path) -> None:
    whole_house.watch.round()
    assert whole_house.rows("select rule, subject from sync.alerts") == []
    with whole_house.database.connect() as connection:
        assert not dagster_tables.is_prepared(connection)
