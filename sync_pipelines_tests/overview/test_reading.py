"""What the picture says of a known house."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sync_pipelines.core.buckets import BucketSpec, Lane
from sync_pipelines.core.budget import Budget
from sync_pipelines.core.db import Database
from sync_pipelines.core.queue import NewTask, enqueue
from sync_pipelines.overview.models import Health, Status, StreamState
from sync_pipelines.overview.reading import read_alerts, read_history, read_queues, read_status
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import FAN_OUT
from sync_pipelines_tests.overview.house import House, configured

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ORDERS = ("amazon/north", "amazon/orders")


def of(status: Status, account: str, stream: str) -> StreamState:
    return next(item for item in status.streams if (item.account, item.stream) == (account, stream))


def orders_run(house: House, status: str = "SUCCESS", *, ago: timedelta) -> str:
    return house.run("amazon_orders", status, ago=ago, account=ORDERS[0], stream=ORDERS[1])


def test_without_data_and_without_dagster_everything_is_new(database: Database, database_url: str) -> None:
    house = House(database_url)
    status = read_status(database, house.seen)
    assert {item.health for item in status.streams} == {Health.NEW}
    assert not status.dagster.is_prepared
    assert status.links[0].state == "active"
    assert (status.faults, status.jobs, status.open_alerts) == ([], [], 0)
    assert all(len(item.days) == 30 and item.last_success_at is None for item in status.streams)
    assert read_status(database, house.seen.__class__()).health is Health.NEW


def test_a_stream_in_step_is_ok_and_knows_its_next_beat(database: Database, house: House) -> None:
    run_id = orders_run(house, ago=2 * MINUTE)
    house.window(*ORDERS, (30 * DAY, 3 * MINUTE))
    house.volume(*ORDERS, complete=10, partial=2, duration_s=24, inserted=5, updated=3, deleted=1, unchanged=100)
    house.volume(*ORDERS, days_ago=10, complete=3, failed=1, duration_s=8, inserted=7)
    house.heartbeat()
    item = of(read_status(database, house.seen), *ORDERS)
    assert (item.health, item.reasons) == (Health.OK, [])
    assert item.last_run is not None
    assert item.last_run.run_id == run_id
    assert item.last_run.url == f"http://127.0.0.1:3000/runs/{run_id}"
    assert item.last_success_at == item.last_run.ended_at
    assert item.lag_s == pytest.approx(180, abs=60)
    assert item.next_beat_at is not None
    assert timedelta() < item.next_beat_at - datetime.now(UTC) <= 5 * MINUTE
    week, month = item.last_7_days, item.last_30_days
    assert (week.complete, week.partial, week.rows, week.average_duration_s, week.success_share) == (10, 2, 9, 2.0, 1.0)
    assert (month.rows, month.failed, month.success_share) == (16, 1, 0.9375)
    assert (item.days[-1].rows, item.days[-11].rows) == (9, 7)


def test_a_fault_shows_as_soon_as_its_run_has_ended(database: Database, house: House) -> None:
    orders_run(house, ago=10 * MINUTE)
    failed = orders_run(house, "FAILURE", ago=MINUTE)
    orders_run(house, "STARTED", ago=timedelta(seconds=5))
    status = read_status(database, house.seen)
    item = of(status, *ORDERS)
    assert (status.health, item.health, item.is_running) == (Health.FAILING, Health.FAILING, True)
    assert [run.run_id for run in status.faults] == [failed]
    assert (status.dagster.running, status.dagster.queued) == (1, 0)
    orders_run(house, ago=timedelta(seconds=20))
    assert of(read_status(database, house.seen), *ORDERS).health is Health.OK


def test_a_fault_of_a_run_that_was_launched_by_hand_is_its_streams(database: Database, house: House) -> None:
    orders_run(house, ago=10 * MINUTE)
    failed = house.run("__ASSET_JOB", "FAILURE", ago=MINUTE, account=ORDERS[0], stream=ORDERS[1])
    status = read_status(database, house.seen)
    assert of(status, *ORDERS).health is Health.FAILING
    assert [(run.run_id, run.stream) for run in status.faults] == [(failed, ORDERS[1])]
    [item] = [item for item in house.seen.streams if item.subject == ORDERS]
    assert next(run.run_id for run in read_history(database, house.seen, item, days=7).runs) == failed


def test_a_run_of_any_job_that_failed_is_listed(database: Database, house: House) -> None:
    house.run("suppliers_requests", "FAILURE", ago=MINUTE, account="bigbuy/main")
    house.run("suppliers_requests", "FAILURE", ago=8 * DAY, account="bigbuy/main")
    assert [(run.job, run.account, run.stream) for run in read_status(database, house.seen).faults] == [
        ("suppliers_requests", "bigbuy/main", None)
    ]


def test_silence_is_late_and_a_frozen_cursor_too(database: Database, house: House) -> None:
    orders_run(house, ago=5 * HOUR)
    assert of(read_status(database, house.seen), *ORDERS).health is Health.LATE
    orders_run(house, ago=MINUTE)
    house.window(*ORDERS, (30 * DAY, 2 * DAY))
    frozen = of(read_status(database, house.seen), *ORDERS)
    assert (frozen.health, frozen.reasons) == (Health.LATE, ["runs succeed, but the confirmed time stands still"])


def test_holes_letters_holds_and_differences_want_attention(database: Database, house: House) -> None:
    orders_run(house, ago=MINUTE)
    house.window(*ORDERS, (30 * DAY, 20 * DAY), (19 * DAY, 2 * MINUTE))
    house.letter(*ORDERS, "1")
    house.letter(*ORDERS, "2", state="retrying")
    house.letter(*ORDERS, "3", state="resolved")
    house.execute(
        "insert into sync.holds (account, subject, kind, detail, opened_at) values (%s, %s, 'deletes', '{}', now())", ORDERS
    )
    for minutes, different in ((60, 9), (1, 3)):
        house.execute(
            "insert into sync.reconciliations values (%s, %s, now() - %s, 'run', 'day', 90, 2, %s, '{}')",
            [*ORDERS, minutes * MINUTE, different],
        )
    item = of(read_status(database, house.seen), *ORDERS)
    assert item.health is Health.ATTENTION
    assert item.reasons == ["1 hole in the confirmed time", "1 open dead letter", "1 held change", "3 records differ"]
    assert (item.holes, item.open_letters, item.retrying_letters, item.holds) == (1, 1, 1, 1)
    assert item.trust is not None
    assert (item.trust.equal, item.trust.repaired, item.trust.different) == (90, 2, 3)
    assert item.coverage is not None
    assert [(hole.end - hole.start) for hole in item.coverage.holes] == [DAY]


def test_a_stopped_schedule_has_no_next_beat(database: Database, house: House) -> None:
    orders_run(house, ago=MINUTE)
    house.stop_schedule("amazon_orders_delta")
    item = of(read_status(database, house.seen), *ORDERS)
    assert (item.health, item.is_stopped, item.next_beat_at) == (Health.STOPPED, True, None)


def test_streams_without_a_cron_know_their_beat_from_their_vendor(database: Database, house: House) -> None:
    status = read_status(database, house.seen)
    night = of(status, "gazelle/studio", "gazelle/clients").next_beat_at
    stock = of(status, "bigbuy/main", "suppliers/stock").next_beat_at
    assert night is not None
    assert (night.hour, str(night.tzinfo)) == (2, "America/Montreal")
    assert stock is not None
    assert stock.minute in {0, 30}


def test_a_run_over_several_tables_counts_by_its_materializations(database: Database, house: House) -> None:
    house.execute(
        "insert into dagster.event_logs (run_id, event, dagster_event_type, timestamp, asset_key, partition)"
        " values ('run', '{}', 'ASSET_MATERIALIZATION', now() at time zone 'UTC' - interval '1 minute',"
        " '[\"suppliers\", \"stock\"]', 'bigbuy/main')"
    )
    item = of(read_status(database, house.seen), "bigbuy/main", "suppliers/stock")
    assert item.health is Health.OK
    assert item.last_success_at is not None
    assert timedelta() < datetime.now(UTC) - item.last_success_at < 2 * MINUTE


def test_dagsters_daemon_is_missed(database: Database, house: House) -> None:
    house.heartbeat(5 * MINUTE)
    dagster = read_status(database, house.seen).dagster
    assert (dagster.is_prepared, dagster.is_beating) == (True, False)
    assert dagster.daemon_beat_at is not None


def test_a_link_shows_what_waits_what_passed_and_who_holds_it(database: Database, house: House) -> None:
    with database.transaction() as connection:
        enqueue(connection, FAN_OUT, [NewTask(account="paris", key=str(number)) for number in range(3)])
    house.execute("insert into sync.hourly_volumes values (date_trunc('hour', now()), 'paris', 9, 7, 1, 1)")
    house.execute(
        "insert into grand_shooting.links (link, main, secondary, is_followed, configuration, failures, trouble)"
        " values ('paris', 'grand_shooting/main', 'grand_shooting/paris', true, '', 2, 'no answer')"
    )
    link = read_status(database, house.seen).links[0]
    assert (link.state, link.health, link.trouble, link.waiting) == ("open circuit", Health.FAILING, "no answer", 3)
    assert (link.days[-1].received, link.days[-1].processed, link.days[-1].failed) == (9, 7, 1)
    assert link.next_batch_at is not None
    house.execute("update grand_shooting.links set paused_at = now(), failures = 0")
    assert read_status(database, house.seen).links[0].state == "paused"


def test_quota_is_shown_with_its_refill_time(database: Database, house: House) -> None:
    budget = Budget(database, "amazon/north", Lane.LIVE, [BucketSpec.token("orders", rate=0.01, burst=20)])
    budget.settle(budget.acquire("orders"))
    quota = read_status(database, house.seen).budgets[0]
    assert (quota.account, quota.bucket, quota.limit) == ("amazon/north", "orders", 20)
    assert quota.used == pytest.approx(1, abs=0.2)
    assert quota.period_s == pytest.approx(2000, rel=0.02)
    assert quota.full_at > datetime.now(UTC)


def test_tokens_are_shown_with_age_and_end(database: Database, house: House) -> None:
    house.execute(
        "insert into sync.oauth_tokens (account, refreshed_at, access_expires_at, refresh_set_at, refresh_expires_at)"
        " values ('amazon/north', now(), now() + interval '1 hour', now() - interval '9 days', now() + interval '21 days')"
    )
    found = read_status(database, house.seen).authorizations
    assert [one.account for one in found] == ["amazon/north"]
    ends, began = found[0].refresh_expires_at, found[0].refresh_set_at
    assert ends
    assert began
    assert (ends - began).days == 30


def test_rows_of_large_tables_are_estimated_unless_asked_exactly(
    database: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.execute(
        "insert into amazon.orders (account, order_id, version, content_hash, first_seen_at, synced_at, run_id, raw)"
        " select 'amazon/north', 'order-' || n, now(), '', now(), now(), 'run', '{}' from generate_series(1, 500) n"
    )
    house.execute("analyze amazon.orders")
    counted = of(read_status(database, house.seen), *ORDERS)
    assert (counted.rows, counted.rows_are_estimated, counted.tombstones) == (500, False, 0)
    monkeypatch.setattr("sync_pipelines.overview.ledgers.COUNTED_BELOW_BYTES", 0)
    guessed = of(read_status(database, house.seen), *ORDERS)
    assert guessed.rows_are_estimated
    assert 400 <= guessed.rows <= 600
    exact = of(read_status(database, house.seen, count_exactly=True), *ORDERS)
    assert (exact.rows, exact.rows_are_estimated) == (500, False)


def test_history_has_every_day_and_the_newest_runs(database: Database, house: House) -> None:
    for minutes in (30, 20, 10):
        orders_run(house, ago=minutes * MINUTE)
    house.volume(*ORDERS, days_ago=80, complete=4, inserted=2)
    item = house.seen.by_subject[ORDERS]
    history = read_history(database, house.seen, item, days=90)
    assert len(history.days) == 90
    assert history.days[-81].rows == 2
    starts = [run.started_at for run in history.runs]
    assert len(starts) == 3
    assert starts == sorted(starts, reverse=True)


def test_what_is_no_stream_is_an_other_job(database: Database, house: House) -> None:
    house.volume("sendcloud/main", "sendcloud/create_labels", complete=3, failed=1, duration_s=Decimal(8), inserted=12)
    job = read_status(database, house.seen).jobs[0]
    assert (job.job, job.last_7_days.success_share, job.last_7_days.average_duration_s) == ("sendcloud/create_labels", 0.75, 2.0)


def test_dead_letters_are_counted_and_never_opened(database: Database, house: House) -> None:
    house.letter(*ORDERS, "1")
    house.letter(*ORDERS, "2")
    queues = read_queues(database)
    assert [(one.cause, one.count) for one in queues.letter_counts] == [("DataError", 2)]
    assert len(queues.letters) == 2
    assert "private" not in queues.model_dump_json()


def test_alerts_are_read_from_their_ledger(database: Database, house: House) -> None:
    insert = (
        "insert into sync.alerts (rule, subject, severity, summary, opened_at, last_seen_at, seen_count, risen_at, opened_change,"
        " closed_at, closed_change, run_id) values (%s, 'a', 'error', 'words', now(), now(), 2, now(), 1, %s, %s, %s)"
    )
    house.execute(insert, ["one", None, None, "r1"])
    house.execute(insert, ["two", datetime.now(UTC), 2, None])
    found = read_alerts(database, house.seen)
    assert ([alert.rule for alert in found.open], [alert.rule for alert in found.closed]) == (["one"], ["two"])
    assert found.open[0].run_url == "http://127.0.0.1:3000/runs/r1"
    assert read_status(database, house.seen).open_alerts == 1


def test_the_runs_links_follow_the_configured_address() -> None:
    from sync_pipelines.overview.watched import watched

    text = "accounts: []\nalerts: {dagster_url: 'https://dagster.example'}\n"
    assert watched(configured(text)).dagster_url == "https://dagster.example"
