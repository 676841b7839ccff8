"""The request queue: order of urgency, failures that stop nobody else, windows that postpone, retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError, StreamBusy
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.vendors.suppliers import requests
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines.vendors.suppliers.http_json.connector import CONNECTOR as HTTP_JSON

ACCOUNT = "bigbuy/main"


class Streams:
    """Answers for tables as a vendor would; notes who was run."""

    def __init__(self, **answers: object) -> None:
        self.ran: list[str] = []
        self._answers = answers

    def __call__(self, table: str) -> SyncTotals:
        self.ran.append(table)
        answer = self._answers.get(table)
        if isinstance(answer, Exception):
            raise answer
        totals = SyncTotals(f"suppliers/{table}", ACCOUNT, "run-1", fetched=3)
        if isinstance(answer, datetime):
            totals.status, totals.resume_at = Status.PARTIAL, answer
        return totals


def work(database: Database, streams: Streams) -> list[tuple[int, str]]:
    return requests.work_off(database, ACCOUNT, CONNECTOR, Settings(), streams, run_id="run-1")


def states(database: Database) -> list[tuple[str, str]]:
    with database.connect() as connection:
        return connection.execute("SELECT kind, status FROM suppliers.sync_requests ORDER BY id").fetchall()


def test_stock_beats_prices_beats_orders_beats_products(database: Database) -> None:
    for kind in (Kind.SUPPLIER_API, Kind.ORDER_SYNC, Kind.PRICE_UPDATE, Kind.INVENTORY_UPDATE):
        requests.request_sync(database, ACCOUNT, kind, by="test", priority=9 if kind is Kind.SUPPLIER_API else 0)
    streams = Streams()
    work(database, streams)
    assert streams.ran[:4] == ["stock", "prices", "orders", "taxonomies"]
    assert {status for _, status in states(database)} == {"completed"}


def test_within_a_kind_the_higher_priority_goes_first(database: Database) -> None:
    low = requests.request_sync(database, ACCOUNT, Kind.INVENTORY_UPDATE, by="test")
    high = requests.request_sync(database, ACCOUNT, Kind.INVENTORY_UPDATE, by="test", priority=5)
    assert [number for number, _ in work(database, Streams())] == [high, low]


def test_a_row_inserted_by_another_program_is_worked_on(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("INSERT INTO suppliers.sync_requests (account, kind) VALUES (%s, 'inventory_update')", [ACCOUNT])
    assert requests.due_accounts(database) == {ACCOUNT: 1}
    work(database, Streams())
    assert states(database) == [("inventory_update", "completed")]
    assert requests.due_accounts(database) == {}


def test_one_that_fails_says_why_and_the_others_go_on(database: Database) -> None:
    requests.request_sync(database, ACCOUNT, Kind.INVENTORY_UPDATE, by="test")
    requests.request_sync(database, ACCOUNT, Kind.PRICE_UPDATE, by="test")
    work(database, Streams(stock=DataError("the supplier refuses")))
    assert states(database) == [("inventory_update", "failed"), ("price_update", "completed")]
    with database.connect() as connection:
        error = connection.execute("SELECT error FROM suppliers.sync_requests WHERE status = 'failed'").fetchone()
    assert error == ("stock: DataError: the supplier refuses",)


def test_one_table_that_fails_does_not_keep_the_others_from_being_read(database: Database) -> None:
    requests.request_sync(database, ACCOUNT, Kind.SUPPLIER_API, by="test")
    streams = Streams(taxonomies=DataError("no"))
    work(database, streams)
    assert streams.ran == list(CONNECTOR.kinds[Kind.SUPPLIER_API])
    assert states(database) == [("supplier_api", "failed")]


def test_a_used_up_window_postpones_and_finished_tables_are_not_read_again(database: Database) -> None:
    requests.request_sync(database, ACCOUNT, Kind.SUPPLIER_API, by="test")
    until = datetime.now(UTC) + timedelta(minutes=40)
    work(database, Streams(products=until))
    assert states(database) == [("supplier_api", "running")]
    assert requests.due_accounts(database) == {}
    assert requests.next_due(database, ACCOUNT) == until
    with database.connect() as connection:
        connection.execute("UPDATE suppliers.sync_requests SET not_before = clock_timestamp()")
    streams = Streams()
    work(database, streams)
    assert streams.ran == ["products"]
    assert states(database) == [("supplier_api", "completed")]


def test_a_table_that_is_being_read_is_tried_again_soon(database: Database) -> None:
    requests.request_sync(database, ACCOUNT, Kind.INVENTORY_UPDATE, by="test")
    work(database, Streams(stock=StreamBusy("busy")))
    due = requests.next_due(database, ACCOUNT)
    assert due is not None
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(seconds=requests.BUSY_WAIT_S)


def test_a_request_whose_run_died_is_taken_up_again(database: Database) -> None:
    requests.request_sync(database, ACCOUNT, Kind.INVENTORY_UPDATE, by="test")

    class Died(BaseException):
        pass

    class Dying(Streams):
        def __call__(self, table: str) -> SyncTotals:
            raise Died

    with pytest.raises(Died):
        work(database, Dying())
    assert states(database) == [("inventory_update", "running")]
    work(database, Streams())
    assert states(database) == [("inventory_update", "completed")]


def test_a_schedule_does_not_pile_requests_up(database: Database) -> None:
    assert requests.request_sync(database, ACCOUNT, Kind.ORDER_SYNC, by="schedule", if_idle=True) is not None
    assert requests.request_sync(database, ACCOUNT, Kind.ORDER_SYNC, by="schedule", if_idle=True) is None


def test_a_kind_the_supplier_cannot_do_fails_by_name(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("INSERT INTO suppliers.sync_requests (account, kind) VALUES ('http_json/main', 'order_sync')")
    requests.work_off(database, "http_json/main", HTTP_JSON, Settings(), Streams(), run_id="run-1")
    with database.connect() as connection:
        row = connection.execute("SELECT status, error FROM suppliers.sync_requests").fetchone()
    assert row == ("failed", "http_json has no sync of the kind 'order_sync'")


def test_old_requests_and_history_are_dropped(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO suppliers.sync_requests (account, kind, status, ended_at) SELECT %s, 'order_sync', 'completed',"
            " clock_timestamp() - make_interval(days => d) FROM unnest(ARRAY[1, 6, 8]) d",
            [ACCOUNT],
        )
        connection.execute(
            "INSERT INTO suppliers.stock_history (account, supplier_sku, quantity, changed_at, run_id)"
            " SELECT %s, 'S', 1, clock_timestamp() - make_interval(days => d), 'r' FROM unnest(ARRAY[1, 29, 31]) d",
            [ACCOUNT],
        )
        connection.execute(
            "INSERT INTO suppliers.price_history (account, supplier_sku, cost, changed_at, run_id)"
            " SELECT %s, 'S', 1, clock_timestamp() - make_interval(days => d), 'r' FROM unnest(ARRAY[1, 29, 31]) d",
            [ACCOUNT],
        )
        assert requests.drop_old(connection, ACCOUNT, Settings()) == 3
        assert requests.drop_old(connection, ACCOUNT, Settings(requests_kept_days=5, history_kept_days=20)) == 3
