"""What a supplier is to the rest of the product: a client that lists, and feeds that say what the lists mean.

A new supplier is one `Connector`; `http_json` is the worked example. A connector says what its supplier can do (which of the four
kinds of sync, whole lists or single items, how many calls in how long); planning, windows, storing, ageing, brakes, history and
requests follow from that and are the same for every supplier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from sync_pipelines.core.http import CallStats
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.vendor import AccountContext, CheckItem

EVERYTHING = "all"
"""The scope of a list that is not divided."""


class Kind(StrEnum):
    """The four kinds of sync, in order of urgency when quota is short."""

    INVENTORY_UPDATE = "inventory_update"
    """Stock only."""
    PRICE_UPDATE = "price_update"
    """Prices only."""
    ORDER_SYNC = "order_sync"
    """Status and tracking of supplier orders."""
    SUPPLIER_API = "supplier_api"
    """Full products: information, variations, images, taxonomies, attributes."""

    @property
    def rank(self) -> int:
        """0 for the most urgent."""
        return list(Kind).index(self)


class Reach(StrEnum):
    """How much one call of a feed brings."""

    BULK = "bulk"
    """A page of a list."""
    SINGLE = "single"
    """One product."""


class Change(StrEnum):
    """What a feed lists."""

    SNAPSHOT = "snapshot"
    """All there is; what is absent from two whole scans is gone."""
    CHANGES = "changes"
    """Only what changed; absence says nothing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of a supplier.

    Attributes:
        body: Archived byte for byte.
        request: What was asked, without secrets.
        is_last: Whether the scope ends with this page.
    """

    body: bytes
    request: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a raw record comes from, for its mapping.

    Attributes:
        scope: The part of the list it was read from.
        received_at: Aware UTC; the version, as suppliers have no dependable change times.
        settings: The account's settings.
    """

    scope: str
    received_at: datetime
    settings: Any


@dataclass(frozen=True, slots=True)
class Feed:
    """One list (or single-item call) of a supplier, as the source of one table.

    Attributes:
        name: The supplier's own name of it: ``productsstockbyhandlingdays``.
        table: The table below schema ``suppliers`` that it fills.
        split: An archived body as the JSON text of its records.
        parse: One record's JSON text as a row; facts for other tables go into ``Record.extra`` as ``{table: [Record, …]}``.
        reach: Whole pages or single products.
        limit: Calls in one window, for the plan; ``None`` if the quota is no fixed window.
        window_s: Length of that window in seconds.
        is_divided: Whether it must be read scope by scope (`SupplierClient.scopes`) instead of at once.
    """

    name: str
    table: str
    split: Callable[[bytes], Sequence[bytes]]
    parse: Callable[[bytes, Origin], Record]
    reach: Reach = Reach.BULK
    change: Change = Change.SNAPSHOT
    limit: int | None = None
    window_s: float = 3600.0
    is_divided: bool = True


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What a supplier knows of one order.

    Attributes:
        order: JSON text of the order, or ``None`` if the supplier does not know it.
        tracking: JSON text of its tracking, or ``None`` if there is none yet.
        track_as: The id by which its tracking is to be asked for together with others'; ``None`` if it came along.
    """

    order: bytes | None
    tracking: bytes | None = None
    track_as: str | None = None


class SupplierClient(Protocol):
    """Calls to one account of one supplier; knows neither database nor Dagster."""

    @property
    def stats(self) -> CallStats:
        """Counts of calls."""

    def scopes(self, feed: str) -> Sequence[str]:
        """The parts in which a feed must be read: taxonomies, product ids, or only `EVERYTHING`."""

    def read(self, feed: str, scope: str, page: int) -> Listing:
        """One page (0-based) of one scope."""

    def order(self, order_id: str | None, reference: str | None) -> OrderAnswer:
        """One supplier order by the supplier's id or our reference."""

    def track(self, order_ids: Sequence[str]) -> Mapping[str, bytes]:
        """JSON text of the tracking of several orders by `OrderAnswer.track_as`; those that do not move yet are left out."""

    def check(self) -> list[CheckItem]:
        """Tries connection and permissions without changing anything."""

    def close(self) -> None:
        """Closes connections."""


@dataclass(frozen=True, slots=True)
class OrderMapping:
    """How a supplier's orders become rows.

    Attributes:
        order: A row of ``suppliers.orders`` with its lines, of `OrderAnswer.order`.
        tracking: Rows of ``suppliers.order_tracking``, of `OrderAnswer.order` and `OrderAnswer.tracking`.
    """

    order: Callable[[bytes, Origin], Record]
    tracking: Callable[[bytes, bytes | None, Origin], list[Record]]


@dataclass(frozen=True, slots=True)
class Connector:
    """One supplier.

    Attributes:
        name: First part of its account ids: ``bigbuy``.
        open: Opens the client of one account.
        feeds: Everything it can be read for.
        orders: Its order mapping; ``None`` if it has no orders to follow.
        scopes_kept: How long a list of scopes is good for, where listing them costs scarce calls.
        kinds: Which tables each kind of sync brings up to date; a kind that is absent is one the supplier cannot do.
    """

    name: str
    open: Callable[[AccountContext], SupplierClient]
    feeds: tuple[Feed, ...]
    kinds: Mapping[Kind, tuple[str, ...]]
    orders: OrderMapping | None = None
    scopes_kept: timedelta | None = None
    by_name: Mapping[tuple[str, str], Feed] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {(feed.name, feed.table): feed for feed in self.feeds})

    def feeds_of(self, table: str) -> tuple[Feed, ...]:
        """The feeds that a full read of a table has to go through."""
        return tuple(feed for feed in self.feeds if feed.table == table)
