"""Nobody who ordered long ago can be found in SendCloud's tables any more, and their orders still can."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from upath import UPath

from sync_pipelines.core import erasures
from sync_pipelines.core.sync import Mode, Request
from sync_pipelines.vendors.sendcloud import documents
from sync_pipelines.vendors.sendcloud.client import File
from sync_pipelines.vendors.sendcloud.streams import orders, parcels
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

RULES = [*erasures.stream_rules(VENDOR.streams), *VENDOR.erasures]
TABLES = ("orders", "order_items", "parcels", "tracking_events", "label_documents")


def erase(shop: Shop, *, years: int) -> dict[str, int]:
    now = datetime.now(UTC) + timedelta(days=365 * years)
    return dict(+erasures.carry_out(RULES, shop.database, ACCOUNT, shop.settings, now=now, run_id="erasing"))


def persons(shop: Shop) -> set[str]:
    """Every name, street, e-mail and telephone of the look-alike's orders."""
    words = set()
    for order in shop.sandbox.control.truth(streams="orders")["orders"].values():
        for address in (order.get("shipping_address"), order.get("billing_address"), order.get("customer_details")):
            for field in ("name", "email", "phone_number", "address_line_1"):
                words.add((address or {}).get(field))
    return {word for word in words if word and len(word) > 3}


def texts(shop: Shop) -> str:
    with shop.database.connect() as connection:
        return "".join(
            str(row)
            for table in TABLES
            for row in connection.execute(f"select t::text from sendcloud.{table} t".encode()).fetchall()
        )


def found(shop: Shop, words: set[str]) -> list[str]:
    everything = texts(shop)
    return [word for word in words if word in everything]


def test_after_two_years_no_person_is_left_in_any_table(shop: Shop, tmp_path: Path) -> None:
    store = f"memory://{tmp_path.name}/labels"
    shop.sync(orders, Request(Mode.FULL))
    shop.sync(parcels, Request(start=datetime.now(UTC) - timedelta(days=60)))
    with shop.database.connect() as connection:
        documents.keep(connection, ACCOUNT, 1, "label", File(b"label", "application/pdf"), request_id=None, directory=None)
        documents.keep(connection, ACCOUNT, 2, "label", File(b"label", "application/pdf"), request_id=None, directory=str(tmp_path))
        documents.keep(connection, ACCOUNT, 3, "label", File(b"label", "application/pdf"), request_id=None, directory=store)
        documents.keep(connection, ACCOUNT, 4, "label", File(b"label", "application/pdf"), request_id=None, directory=store)
    objects = UPath(store)
    next(objects.rglob("4-label.pdf")).unlink()
    words, rows = persons(shop), shop.stored()
    assert words
    assert found(shop, words)
    assert erase(shop, years=1) == {}
    erased = erase(shop, years=20)
    assert erased["sendcloud.orders"] == len(rows)
    assert erased["sendcloud.label_documents"] == 4
    assert not found(shop, words)
    assert shop.stored() == rows
    assert not list(tmp_path.rglob("*.pdf"))
    assert not list(objects.rglob("*.pdf"))
    assert erase(shop, years=20) == {}
    again = shop.sync(orders, Request(Mode.FULL))
    assert again.updated == 0
    assert not found(shop, words)


def test_whoever_wants_to_keep_persons_keeps_them(shop: Shop) -> None:
    shop.settings = shop.settings.model_copy(update={"personal_data_days": None})
    shop.sync(orders, Request(Mode.FULL))
    before = texts(shop)
    assert erase(shop, years=20) == {}
    assert texts(shop) == before
