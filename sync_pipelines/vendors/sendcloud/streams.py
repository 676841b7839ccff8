"""SendCloud's streams: orders and parcels.

What the API cannot tell, and how it is covered (facts §3.2): orders can be filtered only by day and only by the shop's own times,
so a delta overlaps by a day and reads what was updated *or* created; a change that moves SendCloud's ``modified_at`` alone shows up
through shipments, whose change time is a real filter, and through a nightly sweep of the last 30 days.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec
import zstandard

from sync_pipelines.core.errors import AuthError, DatabaseUnavailable, DataError, RemoteError, Throttled
from sync_pipelines.core.stream import Page, Reconciling, Stream, Sweep
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.sendcloud import mapping, matching, personal, tables
from sync_pipelines.vendors.sendcloud.client import SendCloudClient
from sync_pipelines.vendors.sendcloud.letters import RETRY_QUEUE
from sync_pipelines.vendors.sendcloud.paging import ListPage

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)

MOST_SHOWN = 32 * 2**20
"""Compressed bytes of orders kept for the length of one window; some 40,000 orders."""

_BY_AGE = "pk"
"""Sort order under which orders that appear while we page come last, not on pages already read."""

_INSTEAD, _FOR_NOW = "v2", "v2 for now"
"""Steps of reading v2: because the account may not use v3, or because v3 is down."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading stands: which list, and the cursor in it. Stored as the page's token."""

    step: str
    cursor: str | None = None

    def __str__(self) -> str:
        return f"{self.step}:{self.cursor or ''}"

    @classmethod
    def parse(cls, token: str | None, first: str) -> Position:
        """The position a token stands for; ``first`` without one."""
        if token is None:
            return cls(first)
        step, _, cursor = token.partition(":")
        return cls(step, cursor or None)


List = Callable[[str | None], Iterator[Page]]

Lists = dict[str, List]
"""Lists to read one after the other, by step; each starts at a cursor and yields pages whose token is a bare cursor."""


def changed_orders(client: SendCloudClient, window: Window, token: str | None) -> Iterator[Page]:
    """Orders updated or created on the window's days, then the orders of shipments that changed within it.

    An order is only asked for because of its shipment if neither list has just shown it: they were read after the window's end.
    """
    days = (window.start.date(), (window.end + _DAY).date())
    shown = _Shown()
    v3: Lists = {
        "updated": lambda cursor: shown.keep(_pages(client.orders(cursor=cursor, updated=days, sort=_BY_AGE), mapping.V3)),
        "created": lambda cursor: shown.keep(_pages(client.orders(cursor=cursor, created=days, sort=_BY_AGE), mapping.V3)),
        "shipments": lambda cursor: _hinted(_orders_of_shipments(client, window, cursor, shown)),
    }
    return _v3_or_v2(v3, lambda cursor: _v2_pages(client, window, cursor), token)


def all_orders(client: SendCloudClient, token: str | None) -> Iterator[Page]:
    """Every order the vendor still lists."""
    v3: Lists = {"all": lambda cursor: _pages(client.orders(cursor=cursor, sort=_BY_AGE), mapping.V3)}
    return _v3_or_v2(v3, lambda cursor: _v2_pages(client, None, cursor), token)


def newest_orders(client: SendCloudClient) -> Page:
    """The last 100 orders that reached SendCloud."""
    v3: Lists = {"newest": lambda cursor: _pages(client.orders(cursor=cursor, sort=f"-{_BY_AGE}"), mapping.V3)}
    return next(_v3_or_v2(v3, lambda cursor: _v2_pages(client, None, cursor), None))


def one_order(client: SendCloudClient, key: str) -> Page:
    """The order with this shop id, read anew; of several integrations' orders, all."""
    order_id = key.rsplit("/", 1)[0]
    return next(_pages(client.orders(order_id=order_id), mapping.V3))


def changed_parcels(client: SendCloudClient, window: Window, token: str | None) -> Iterator[Page]:
    """Parcels of shipments updated within the window; one that changes meanwhile is in a later window."""
    v3: Lists = {
        "shipments": lambda cursor: _pages(
            client.shipments(cursor=cursor, updated_after=window.start, updated_before=window.end), mapping.V3_SHIPMENTS
        )
    }
    return _v3_or_v2(v3, lambda cursor: _v2_pages(client, window, cursor), token, v2_has_all=True)


def one_parcel(client: SendCloudClient, key: str) -> Page:
    """The parcel with this id, read anew; an empty page if it is gone."""
    body = client.parcel(int(key))
    parcels = [msgspec.json.decode(body, type=dict[str, msgspec.Raw])["parcel"]] if body else []
    return Page(msgspec.json.encode({"parcels": parcels}), mapping.V2, "GET /v2/parcels/{id}")


def _v3_or_v2(v3: Lists, v2: List, token: str | None, *, v2_has_all: bool = False) -> Iterator[Page]:
    """Reads the v3 lists; if v3 is refused or stays down, v2's list from its start. If that fails too, v3's error counts.

    v2 knows an order only by its parcels. While v3 is down, what v2 shows is therefore stored but not taken for all there is; an
    account that may not use v3 will never be shown more. That our own database went away says nothing about v3.
    """
    step = Position.parse(token, "").step
    if step in {_INSTEAD, _FOR_NOW}:
        yield from _stand_in(v2, step, token, has_all=v2_has_all)
        return
    try:
        yield from _in_turn(v3, token)
    except (Throttled, DatabaseUnavailable):
        raise
    except RemoteError as error:
        log.warning("SendCloud v3 cannot be read (%s, HTTP %s); reading v2 instead", type(error).__name__, error.status)
        fallback = _stand_in(v2, _INSTEAD if isinstance(error, AuthError) else _FOR_NOW, None, has_all=v2_has_all)
        try:
            page = next(fallback)
        except RemoteError:
            raise error from None
        yield page
        yield from fallback


def _stand_in(v2: List, step: str, token: str | None, *, has_all: bool) -> Iterator[Page]:
    for page in _in_turn({step: v2}, token):
        yield replace(page, is_whole=has_all or step == _INSTEAD)


def _in_turn(lists: Lists, token: str | None) -> Iterator[Page]:
    steps = list(lists)
    position = Position.parse(token, steps[0])
    for index in range(steps.index(position.step), len(steps)):
        step = steps[index]
        for page in lists[step](position.cursor):
            following = Position(step, page.next_token) if page.next_token else None
            if following is None and index + 1 < len(steps):
                following = Position(steps[index + 1])
            yield Page(page.body, page.source, page.request, str(following) if following else None)
        position = Position(step)


def _pages(pages: Iterator[ListPage], source: str) -> Iterator[Page]:
    for page in pages:
        yield Page(page.body, source, page.request, page.cursor)


def _v2_pages(client: SendCloudClient, window: Window | None, cursor: str | None) -> Iterator[Page]:
    """v2 parcels, each as its detail endpoint shows it, since only that names the items."""
    for page in client.parcels(cursor=cursor, updated_after=window.start if window else None):
        parcels = [_detail(client, raw) for raw in mapping.split_parcels(page.body, mapping.V2)]
        body = msgspec.json.encode({"parcels": [msgspec.Raw(raw) for raw in parcels]})
        yield Page(body, mapping.V2, page.request, page.cursor)


def _detail(client: SendCloudClient, raw: bytes) -> bytes:
    key = mapping.parcel_key_of(raw, mapping.V2)
    body = client.parcel(int(key)) if key and b'"parcel_items"' in raw else None
    return bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["parcel"]) if body else raw


def _hinted(pages: Iterator[Page]) -> Iterator[Page]:
    """Shipments are only a hint: where the account may not list them, the nightly sweep has to do."""
    try:
        yield from pages
    except (AuthError, DataError) as error:
        log.warning("SendCloud shipments cannot be listed (HTTP %s); changes that only they show wait for the sweep", error.status)
        yield Page(b'{"data":[]}', mapping.V3_HINT, "GET /v3/shipments")


class _Head(msgspec.Struct):
    id: str | int | None = None
    order_number: str | None = None


class _Shown:
    """Orders that lists have just shown, by number; compressed, and only as many as fit in `MOST_SHOWN` bytes."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[str | int | None, bytes]] = {}
        self._size = 0
        self._compress, self._decompress = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()

    def keep(self, pages: Iterator[Page]) -> Iterator[Page]:
        """The same pages, while their orders are kept."""
        for page in pages:
            for raw in mapping.split_orders(page.body, mapping.V3):
                head = _head(raw)
                if head.order_number and self._size < MOST_SHOWN:
                    packed = self._compress.compress(raw)
                    self._size += len(packed)
                    self._orders.setdefault(head.order_number, {})[head.id] = packed
            yield page

    def numbered(self, number: str) -> list[bytes]:
        """The orders with this number."""
        return [self._decompress.decompress(packed) for packed in self._orders.get(number, {}).values()]


def _head(raw: bytes) -> _Head:
    try:
        return msgspec.json.decode(raw, type=_Head)
    except msgspec.MsgspecError:
        return _Head()


def _orders_of_shipments(client: SendCloudClient, window: Window, cursor: str | None, shown: _Shown) -> Iterator[Page]:
    """For each page of changed shipments, the orders they belong to as they are now."""
    for page in client.shipments(cursor=cursor, updated_after=window.start, updated_before=window.end):
        shipments: dict[str, list[msgspec.Raw]] = {}
        for raw in mapping.split_orders(page.body, mapping.V3):
            number = _head(raw).order_number
            if number:
                shipments.setdefault(number, []).append(msgspec.Raw(raw))
        pairs = [
            mapping.OrderWithShipments(msgspec.Raw(order), of_order)
            for number, of_order in shipments.items()
            for order in shown.numbered(number) or _orders_numbered(client, number)
        ]
        yield Page(msgspec.json.encode({"data": pairs}), mapping.V3_HINT, page.request, page.cursor)


def _orders_numbered(client: SendCloudClient, number: str) -> Iterator[bytes]:
    for page in client.orders(order_number=number):
        yield from mapping.split_orders(page.body, mapping.V3)


orders = Stream[SendCloudClient](
    key="sendcloud/orders",
    table=tables.orders,
    children=(tables.order_items,),
    description=(
        "Orders of every shop connection with their items, one row whichever API they came by; "
        "tracking and warehouse status follow the newest parcel."
    ),
    records=mapping.split_orders,
    parse=mapping.parse_order,
    key_of=mapping.order_key_of,
    changed=changed_orders,
    everything=all_orders,
    fetch_one=one_order,
    before_store=matching.settle_orders,
    after_store=matching.store_parcels,
    overlap=_DAY,
    slice=timedelta(days=90),
    cron="*/15 * * * *",
    freshness=timedelta(hours=1),
    sweeps=(Sweep("nightly", "30 2 * * *", timedelta(days=30)),),
    reconciling=Reconciling(listed_by=("order_updated_at", "order_created_at")),
    retry_queue=RETRY_QUEUE,
    personal=personal.ORDERS,
    max_runtime=timedelta(minutes=20),
)

parcels = Stream[SendCloudClient](
    key="sendcloud/parcels",
    table=tables.parcels,
    description="Parcels with their newest state, from shipments and webhooks; the net under lost webhooks.",
    records=mapping.split_parcels,
    parse=mapping.parse_parcel,
    key_of=mapping.parcel_key_of,
    changed=changed_parcels,
    fetch_one=one_parcel,
    after_store=matching.follow_parcels,
    overlap=timedelta(minutes=10),
    slice=timedelta(days=30),
    cron="*/15 * * * *",
    freshness=timedelta(hours=1),
    retry_queue=RETRY_QUEUE,
    personal=personal.PARCELS,
    max_runtime=timedelta(minutes=20),
)
