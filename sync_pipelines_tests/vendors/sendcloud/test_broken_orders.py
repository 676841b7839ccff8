"""A broken order is one dead letter: its page-mates are stored, and mending it stores it."""

from __future__ import annotations

import pytest

from sync_pipelines.core import dead_letters
from sync_pipelines.core.dead_letters import Letter
from sync_pipelines.core.resend import resend
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

FULL = Request(mode=Mode.FULL)


@pytest.fixture
def broken(shop: Shop) -> str:
    """SendCloud id of an order whose creation time cannot be read."""
    key = next(key for key, order in shop.truth().items() if order["order_id"])
    shop.sandbox.control.post("break", kind="bad_date", order=int(key))
    return key


def letters(shop: Shop) -> list[Letter]:
    with shop.database.connect() as connection:
        return dead_letters.find(connection, account=ACCOUNT, subject=orders.key)


def test_its_page_mates_are_stored_and_it_is_one_letter_however_often_it_is_seen(shop: Shop, broken: str) -> None:
    first = shop.sync(request=FULL)
    truth = shop.truth()
    assert first.dead_lettered == 1
    assert shop.stored() == {key: order for key, order in truth.items() if key != broken}
    shop.sync(request=FULL)
    (letter,) = letters(shop)
    assert letter.key == truth[broken]["order_id"]
    assert (letter.seen, letter.state, letter.queue) == (2, "retrying", "sendcloud-dlq")
    assert "order_created_at" in letter.error
    assert "32-13-2026" not in letter.error


def test_edited_and_sent_again_it_is_stored(shop: Shop, broken: str) -> None:
    shop.sync(request=FULL)
    (letter,) = letters(shop)
    order = shop.sandbox.control.truth(streams="orders")["orders"][broken]
    mended = letter.payload.replace(b"32-13-2026", order["order_details"]["order_created_at"].encode())
    with shop.database.transaction() as connection:
        dead_letters.edit(connection, letter.id, mended)
    (letter,) = letters(shop)
    with shop.client() as client:
        reason = resend(orders, letter, database=shop.database, run_id="person", settings=shop.settings, client=client)
    assert reason is None
    assert letters(shop) == []
    assert shop.stored() == shop.truth()


def test_sent_again_as_it_is_it_says_why_it_failed_and_stays(shop: Shop, broken: str) -> None:
    shop.sync(request=FULL)
    (letter,) = letters(shop)
    with shop.client() as client:
        reason = resend(orders, letter, database=shop.database, run_id="person", settings=shop.settings, client=client)
    assert reason is not None
    assert "order_created_at" in reason
    assert len(letters(shop)) == 1
    assert broken not in shop.stored()


def test_healed_by_the_vendor_it_is_stored_by_the_next_retry_or_sync(shop: Shop, broken: str) -> None:
    shop.sync(request=FULL)
    (letter,) = letters(shop)
    shop.sandbox.control.delete("break")
    with shop.client() as client:
        reason = resend(orders, letter, database=shop.database, run_id="retry", settings=shop.settings, client=client)
    assert reason is None
    assert letters(shop) == []
    assert shop.stored() == shop.truth()
    assert broken in shop.stored()
