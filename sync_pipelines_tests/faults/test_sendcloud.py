"""SendCloud's orders under kill -9 of the syncing process and of the database, at moments drawn by seed.

300 orders and a few moments in ``make test``; 2,000 orders and 20 moments each in ``make soak``.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.windows import Ledger
from sync_pipelines_tests.faults.dying import Elsewhere
from sync_pipelines_tests.faults.shop_sync import HISTORY_DAYS, STREAM, confirmed_but_not_stored, request, sync_shop
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
ORDERS, SHIPPED_PERCENT = (2000, 20) if IS_SOAK else (300, 20)
KILLS, OUTAGES = (20, 20) if IS_SOAK else (4, 2)
SEED = 20260301
TABLES = (
    *(f"sendcloud.{name}" for name in ("orders", "order_items", "parcels")),
    *(f"sync.{name}" for name in ("windows", "window_progress", "archive", "budgets", "dead_letters")),
)
HELD_LOCKS = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)
CHANGES = ["update", "items", "status", "create", "ship", "parcel"]


@pytest.fixture
def big_shop(sandbox: Callable[..., RunningSandbox], database_url: str) -> Iterator[Shop]:
    """A shop whose vendor never refuses for quota: what is proved here is about storing."""
    running = sandbox("sendcloud")
    running.control.post("world", orders=ORDERS, history_days=HISTORY_DAYS, shipped_percent=SHIPPED_PERCENT)
    running.control.post("settings", reads_per_minute=1_000_000)
    with Database(database_url) as database:
        yield Shop(database, running)


def empty(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)}")


def wait_until_alone(database_url: str) -> None:
    """Until the server has noticed that a killed client is gone, and rolled back what it was doing."""
    deadline = time.monotonic() + 30
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute(HELD_LOCKS).fetchone() != (0,):
            assert time.monotonic() < deadline, "a dead client still holds its lock"
            time.sleep(0.02)


def moments_of_a_whole_sync(shop: Shop, database_url: str) -> int:
    moments = Elsewhere(sync_shop, database_url, shop.sandbox.base_url).moments()
    assert shop.stored() == shop.truth()
    return moments


def check(shop: Shop, database_url: str, *, seed: int) -> None:
    """Nothing is confirmed that is not stored; after changes and one more sync, the tables equal the truth."""
    wait_until_alone(database_url)
    with shop.database.connect() as connection:
        confirmed = Ledger(ACCOUNT, STREAM.key).confirmed(connection)
    assert confirmed_but_not_stored(shop, confirmed) == []
    shop.sandbox.control.mutate(10, seed=seed, kinds=CHANGES)
    shop.sync(STREAM, request())
    assert shop.stored() == shop.truth()


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_a_sync_killed_at_any_moment_is_made_whole_by_the_next(big_shop: Shop, database_url: str) -> None:
    moments = moments_of_a_whole_sync(big_shop, database_url)
    points = sorted(random.Random(SEED).sample(range(1, moments * 9 // 10), KILLS))
    for point in points:
        empty(big_shop.database)
        dying = Elsewhere(sync_shop, database_url, big_shop.sandbox.base_url, moment=point)
        dying.process.join()
        assert dying.was_killed
        check(big_shop, database_url, seed=point)


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_a_database_killed_at_any_moment_costs_nothing_but_the_run(
    big_shop: Shop, database_url: str, postgres_server: TestServer
) -> None:
    moments = moments_of_a_whole_sync(big_shop, database_url)
    points = sorted(random.Random(SEED + 1).sample(range(1, moments * 9 // 10), OUTAGES))
    for point in points:
        empty(big_shop.database)
        syncing = Elsewhere(sync_shop, database_url, big_shop.sandbox.base_url, moment=point, is_killed=False)
        assert syncing.is_at_its_moment()
        postgres_server.kill()
        postgres_server.start()
        syncing.go_on()
        syncing.process.join()
        check(big_shop, database_url, seed=point)
