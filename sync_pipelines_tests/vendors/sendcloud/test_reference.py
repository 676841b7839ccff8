"""Reference data: everything is there, and what is gone is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.vendors.sendcloud.reference.streams import STREAMS, shipping_methods, shipping_options
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import Shop

FULL = Request(mode=Mode.FULL)


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    return Shop(database, sandbox("sendcloud"))


def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    with shop.database.connect() as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def test_every_list_is_stored_and_a_second_read_changes_nothing(shop: Shop) -> None:
    counts = {stream.name: shop.sync(stream, FULL).inserted for stream in STREAMS}
    assert counts == {
        "carriers": 6,
        "contracts": 6,
        "shipping_methods": 9,
        "shipping_options": 9,
        "sender_addresses": 2,
        "integrations": 3,
    }
    for stream in STREAMS:
        again = shop.sync(stream, FULL)
        assert (again.inserted, again.updated, again.deleted, again.dead_lettered) == (0, 0, 0, 0)


def test_methods_whose_ids_changed_and_options_no_longer_offered_are_marked(shop: Shop) -> None:
    for stream in (shipping_methods, shipping_options):
        shop.sync(stream, FULL)
    shop.sandbox.control.post("methods")
    shop.sandbox.control.post("settings", hidden_options=["ups:standard"])
    for stream in (shipping_methods, shipping_options):
        shop.sync(stream, FULL)
    alive = "SELECT count(*) FROM sendcloud.{} WHERE deleted_at IS NULL"
    assert rows(shop, alive.format("shipping_methods")) == [(8,)]
    assert rows(shop, "SELECT code FROM sendcloud.shipping_options WHERE deleted_at IS NOT NULL") == [("ups:standard",)]
