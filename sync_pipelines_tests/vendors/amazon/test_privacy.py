"""Persons: absent unless asked for, in columns of their own, and gone everywhere after their time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import zstandard

from sync_pipelines.core import dead_letters
from sync_pipelines.core.errors import ContractError
from sync_pipelines.vendors.amazon.retention import erase_persons
from sync_pipelines_tests.vendors.amazon.shop import Shop

ACCOUNT = "amazon/alpha"
VERSIONS = pytest.mark.parametrize("version", ["2026-01-01", "v0"])
PERSONS = (
    "Sampletown",
    "Exemple",
    "Muster",
    "Fictive",
    "Sample",
    "Essai",
    "Prov",
    "Example Street",
    "+00 ",
    "buyer-",
    "best wishes",
)


def everything_stored(shop: Shop) -> str:
    """All text in rows, archive and dead letters."""
    tables = ("amazon.orders", "amazon.order_items", "sync.dead_letters")
    text = "".join(str(row) for table in tables for row in shop.rows(f"select t::text from {table} t"))
    for payload, original in shop.rows("select payload, original from sync.dead_letters"):
        text += bytes(payload).decode() + bytes(original or b"").decode()
    for (body,) in shop.rows("select body from sync.archive"):
        text += zstandard.ZstdDecompressor().decompress(body).decode()
    return text


def found(shop: Shop) -> list[str]:
    text = everything_stored(shop)
    return [word for word in PERSONS if word in text]


@VERSIONS
def test_no_person_is_stored_anywhere_by_default(shop: Shop, version: str) -> None:
    shop.control.post("generate", tenant="alpha", count=25)
    shop.sync(orders_api=version)
    assert len(shop.stored()) == 25
    assert found(shop) == []


@VERSIONS
def test_persons_are_kept_in_their_columns_while_permitted_and_never_in_raw(shop: Shop, version: str) -> None:
    shop.control.post("generate", tenant="alpha", count=25)
    shop.sync(orders_api=version, personal_data=True)
    rows = shop.rows("select buyer_name, recipient_name, city, postal_code, raw::text from amazon.orders where status = 'SHIPPED'")
    assert rows
    assert all(name == recipient and city == "Sampletown" and code for name, recipient, city, code, _ in rows)
    assert not [word for word in PERSONS for *_, raw in rows if word in raw]
    assert shop.stored() == shop.truth()


@VERSIONS
def test_persons_are_gone_everywhere_after_their_time_and_do_not_come_back(shop: Shop, version: str) -> None:
    settings: dict[str, Any] = {"orders_api": version, "personal_data": True, "personal_data_days": 10}
    shop.control.post("generate", tenant="alpha", count=25, days=4)
    shop.sync(**settings)
    with shop.database.transaction() as connection:
        (order,) = shop.rows("select body from sync.archive limit 1")
        letter = dead_letters.NewLetter(
            account=ACCOUNT,
            subject="amazon/orders",
            key="1",
            cause="test",
            error="test",
            payload=_first_order(zstandard.ZstdDecompressor().decompress(order[0])),
            request=version,
            run_id="test",
        )
        dead_letters.open_letter(connection, letter)
    assert len(found(shop)) > 5
    kept = erase_persons(shop.database, ACCOUNT, shop.settings(**settings), now=shop.now())
    assert (kept.orders, kept.pages, kept.dead_letters) == (0, 0, 0)
    shop.wait(timedelta(days=20).total_seconds())
    erased = erase_persons(shop.database, ACCOUNT, shop.settings(**settings), now=shop.now())
    assert (erased.orders, erased.dead_letters) == (25, 1)
    assert found(shop) == []
    shop.starts = shop.now() - timedelta(days=60)
    with shop.database.transaction() as connection:
        connection.execute("update sync.windows set confirmed = '{}'")
    totals = shop.settle(**settings)[-1]
    assert totals.updated == 0
    assert found(shop) == []
    assert shop.stored() == shop.truth()


def test_switched_off_personal_data_is_erased_at_once(shop: Shop) -> None:
    shop.control.post("generate", tenant="alpha", count=5)
    shop.sync(personal_data=True)
    assert erase_persons(shop.database, ACCOUNT, shop.settings(), now=shop.now()).orders == 5
    assert found(shop) == []


@VERSIONS
def test_no_person_is_in_the_letter_that_keeps_a_broken_answer(shop: Shop, version: str) -> None:
    cut = '{"orders": [{"recipient": {"deliveryAddress": {"city": "Sampletown"}}}, {"buyer"'
    shop.control.faults({"kind": "status", "status": 200, "body": cut, "path": "/orders/", "times": None})
    with pytest.raises(ContractError):
        shop.sync(orders_api=version, personal_data=True)
    ((cause, payload),) = shop.rows("select cause, payload from sync.dead_letters")
    assert (cause, bytes(payload)) == ("ContractError", b"")
    assert found(shop) == []


@VERSIONS
def test_without_the_role_orders_are_read_without_persons(shop: Shop, version: str) -> None:
    shop.control.post("generate", tenant="gamma", count=10)
    shop.sync("gamma", orders_api=version, personal_data=True)
    assert shop.stored("gamma") == shop.truth("gamma")
    assert not shop.rows("select 1 from amazon.orders where recipient_name is not null")


def _first_order(body: bytes) -> bytes:
    from sync_pipelines.core.jsons import decode_json, encode_json

    return encode_json(next(order for order in decode_json(body)["orders"] if "Sampletown" in str(order)))
