"""One small adapter a vendor: how to sync it, how to compare its tables with the truth, where its answers have their records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.totals import Status
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.vendors.amazon import client as amazon_client
from sync_pipelines.vendors.sendcloud.client import SendCloudClient
from sync_pipelines_tests.conformance.mischief import Mischief, without_novelties
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.amazon.shop import open_shop
from sync_pipelines_tests.vendors.gazelle.studio import OAUTH, Studio
from sync_pipelines_tests.vendors.grand_shooting.worlds import FanOutWorld
from sync_pipelines_tests.vendors.sendcloud.worlds import Shop
from sync_pipelines_tests.vendors.suppliers.desk import Desk


@dataclass
class Place:
    """Where a subject lives.

    Attributes:
        running: The look-alike behind the mischief.
        mischief: Between the two.
        clock: The look-alike's.
    """

    database: Database
    database_url: str
    running: RunningSandbox
    mischief: Mischief
    clock: Clock
    patch: pytest.MonkeyPatch


class Subject(ABC):
    """One vendor's client and streams on its look-alike.

    Attributes:
        vendor: The look-alike's name.
        size: Of its world.
        lists: See `Mischief`.
        data: Matches the calls that read records, not those for tokens.
        word: A status that records have, and the column it is stored in.
    """

    vendor: ClassVar[str]
    size: ClassVar[str] = "demo"
    lists: ClassVar[frozenset[str]]
    data: ClassVar[str]
    word: ClassVar[tuple[str, str] | None] = None

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.place, self.control, self.database = place, place.running.control, place.database
        self.open(place, stack)

    @abstractmethod
    def open(self, place: Place, stack: ExitStack) -> None:
        """Prepares the account."""

    @abstractmethod
    def sync(self) -> bool:
        """One run of each stream; whether all was read."""

    @abstractmethod
    def differences(self) -> list[str]:
        """Keys of records that our tables lack, have too much or have differently."""

    def expire(self) -> None:  # noqa: B027 - most vendors have no tokens
        """Ends the validity of access tokens, where there are such."""

    def change(self) -> None:
        """Some records change."""
        self.control.mutate(4, seed=3)

    def later(self) -> None:  # noqa: B027 - most vendors need no waiting
        """Time passes, so that quotas and changes are there."""

    def settle(self) -> None:
        """Syncs until nothing is left."""
        for _ in range(12):
            self.later()
            if self.sync():
                return
        raise AssertionError(f"{self.vendor} does not come to an end")

    def letters(self) -> int:
        """Records that wait for a person; not answers that were kept because they break the contract."""
        query = "SELECT count(*) FROM sync.dead_letters WHERE resolved_at IS NULL AND cause <> 'ContractError'"
        with self.database.connect() as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def rows_with(self, word: str) -> int:
        """Rows that have a status."""
        assert self.word is not None
        table, _, column = self.word[1].rpartition(".")
        with self.database.connect() as connection:
            row = connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s", [word]).fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0


def _unequal(stored: dict[Any, Any], truth: dict[Any, Any]) -> list[str]:
    return sorted(str(key) for key in stored.keys() | truth.keys() if stored.get(key) != truth.get(key))


class Amazon(Subject):
    """Orders by version 2026-01-01."""

    vendor, size = "amazon", "empty"
    lists = frozenset({"orders", "Orders"})
    data = "/orders/"
    word = ("SHIPPED", "amazon.orders.status")
    version = "2026-01-01"

    def open(self, place: Place, stack: ExitStack) -> None:
        place.patch.setattr(amazon_client, "PAGE_SIZE", 10)
        plans = {
            "searchOrders": {"rate": 1, "burst": 50},
            "v0.getOrders": {"rate": 1, "burst": 50},
            "v0.getOrderItems": {"rate": 10, "burst": 50},
        }
        self.options = {"orders_api": self.version, "plans": plans}
        self.shop = stack.enter_context(open_shop(lambda *_, **__: place.running, place.database_url, place.clock))
        self.control.post("plans", **plans)
        self.control.post("generate", tenant="alpha", count=45)

    def sync(self) -> bool:
        return self.shop.sync(**self.options).status is Status.COMPLETE

    def differences(self) -> list[str]:
        return _unequal(self.shop.stored(), self.shop.truth())

    def expire(self) -> None:
        self.control.post("expire")

    def change(self) -> None:
        self.control.mutate(4, seed=3, tenant="alpha")

    def later(self) -> None:
        self.shop.wait(300)


class AmazonV0(Amazon):
    """Orders by version v0."""

    word = ("Shipped", "amazon.orders.status")
    version = "v0"


class Gazelle(Subject):
    """A piano business with OAuth."""

    vendor, size = "gazelle", "tiny"
    lists = frozenset({"edges"})
    data = "/graphql/"
    streams = ("clients", "pianos", "timeline_entries")

    def open(self, place: Place, stack: ExitStack) -> None:
        self.studio = Studio(place.running, place.database, OAUTH, page_size=8, lean_page_size=8)

    def sync(self) -> bool:
        return all(self.studio.sync(name).status is Status.COMPLETE for name in self.streams)

    def differences(self) -> list[str]:
        return self.studio.differences(*self.streams)

    def expire(self) -> None:
        self.control.post("tokens", action="expire")

    def change(self) -> None:
        self.control.post("mutate", names=["edit_client", "create_client", "edit_piano", "add_timeline"], seed=3)


class SendCloud(Subject):
    """Orders by version 3."""

    vendor = "sendcloud"
    lists = frozenset({"data"})
    data = "GET .*/v[23]/"
    word = ("unfulfilled", "sendcloud.orders.status")

    def open(self, place: Place, stack: ExitStack) -> None:
        place.patch.setitem(SendCloudClient.orders.__kwdefaults__, "page_size", 10)
        self.control.post("world", orders=40)
        self.shop = Shop(place.database, place.running)

    def sync(self) -> bool:
        return self.shop.sync().status is Status.COMPLETE

    def differences(self) -> list[str]:
        return _unequal(self.shop.stored(), self.shop.truth())

    def change(self) -> None:
        self.control.mutate(4, seed=3, kinds=["update", "items", "status", "create"])


class GrandShooting(Subject):
    """The main account's catalogue."""

    vendor = "grand_shooting"
    lists = frozenset({""})
    data = "/v3/"

    def open(self, place: Place, stack: ExitStack) -> None:
        self.world = FanOutWorld(place.running, place.database, {})
        self.control.post("populate", account="main", references=40)

    def sync(self) -> bool:
        return self.world.mirror().status is Status.COMPLETE

    def settle(self) -> None:
        """The nightly whole list finds what days of change cannot tell apart."""
        super().settle()
        self.world.mirror(full=True)

    def differences(self) -> list[str]:
        stored = self.world.rows("select ref, raw from grand_shooting.references where deleted_at is null")
        return _unequal({ref: without_novelties(raw) for ref, raw in stored}, self.world.truth("main"))

    def change(self) -> None:
        for ref in list(self.world.truth("main"))[:4]:
            self.world.edit("main", ref, {"smalltext": "changed meanwhile"})


class _Supplier(Subject):
    tables = ("products", "stock", "prices")
    given: ClassVar[dict[str, Any]] = {}

    def open(self, place: Place, stack: ExitStack) -> None:
        brake = {"stock_share": 1, "price_move": 9}
        self.desk = Desk(self.vendor, place.database, place.running, {**self.given, "brake": brake})

    def sync(self) -> bool:
        self.desk.forget_windows()
        states = [self.desk.sync(table).status for table in self.tables]
        return set(states) == {"complete"}

    def settle(self) -> None:
        """What a supplier has withdrawn is buried once two whole readings have missed it."""
        for _ in range(3):
            super().settle()
            if not self.differences():
                return

    def differences(self) -> list[str]:
        truth = self.control.truth()
        products = self.desk.column("SELECT supplier_product_id, 1 FROM suppliers.products WHERE deleted_at IS NULL")
        prices = self.desk.column("SELECT supplier_sku, cost FROM suppliers.prices WHERE deleted_at IS NULL")
        held = {sku: float(cost) for sku, cost in prices.items()}
        return (
            _unequal(products, dict.fromkeys(truth["products"], 1))
            + _unequal(self.desk.stock(), truth["stock"])
            + _unequal(held, {sku: _cost(price) for sku, price in truth["prices"].items()})
        )


def _cost(price: Any) -> float:
    return float(price["amount"] if isinstance(price, dict) else price)


class BigBuy(_Supplier):
    """A whole catalogue in hourly windows."""

    vendor = "bigbuy"
    lists = frozenset({""})
    data = "/rest/"
    given: ClassVar[dict[str, Any]] = {"language": "en", "page_size": 25}


class AliExpress(_Supplier):
    """Products of a feed, one call each."""

    vendor = "aliexpress"
    lists = frozenset({"traffic_product_d_t_o", "number"})
    data = "/sync"

    def open(self, place: Place, stack: ExitStack) -> None:
        super().open(place, stack)
        self.control.post("throttle", probability=0)

    def expire(self) -> None:
        self.control.post("tokens", expire=True)


class HttpJson(_Supplier):
    """The worked example of a small supplier."""

    vendor = "http_json"
    lists = frozenset({"items"})
    data = r"\.(json|csv)"


SUBJECTS: tuple[type[Subject], ...] = (Amazon, AmazonV0, Gazelle, SendCloud, GrandShooting, BigBuy, AliExpress, HttpJson)
"""A new vendor is added here."""


@contextmanager
def open_subject(
    kind: type[Subject], database: Database, database_url: str, patch: pytest.MonkeyPatch, *, vendor_is_ahead_s: float = 0
) -> Iterator[Subject]:
    """A vendor's look-alike behind `Mischief`, and its account."""
    clock = Clock()
    clock._offset = vendor_is_ahead_s
    app = import_module(f"sync_pipelines.sandbox.{kind.vendor}.app").create_app(seed=1, size=kind.size, clock=clock)
    mischief = Mischief(app, kind.lists)
    running = RunningSandbox(kind.vendor, mischief)  # type: ignore[arg-type]
    try:
        with ExitStack() as stack:
            yield kind(Place(database, database_url, running, mischief, clock, patch), stack)
    finally:
        running.stop()
