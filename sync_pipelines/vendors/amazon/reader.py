"""Reads one account's orders as pages for the engine, by either version of the API.

Version 2026-01-01 has lines inline, so an answer is a page. In v0 the lines of each order are a call of their own, so a page of the
vendor becomes several of ours, each whole with its lines; orders whose stored row already has this version are not asked for again.
Personal data that may not be kept is taken out here, before anything is archived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from sync_pipelines.core.errors import ContractError, DataError, TransientError
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.stream import Page
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon.client import AmazonClient, OrderList
from sync_pipelines.vendors.amazon.privacy import may_keep_persons, order_instants, without_persons
from sync_pipelines.vendors.amazon.settings import OrdersApi, Settings

ORDERS_PER_CHUNK = 20
"""Orders of v0 that are stored together: a crash costs at most the calls for so many orders' lines."""

CLOCKS_MAY_DIFFER = timedelta(minutes=15)
"""A bound this young that Amazon refuses may be too young by Amazon's clock; then the bound is left to Amazon."""

KnownVersions = Callable[[Iterable[str]], dict[str, datetime]]
"""Versions of those stored orders whose lines are complete."""


class _Token(msgspec.Struct, omit_defaults=True):
    """Where reading goes on.

    Attributes:
        page: Amazon's token; ``None`` for the first page.
        chunk: Which part of that page.
        is_open: The query left the upper bound to Amazon.
        restarts: How often the window was begun anew because a token had died.
    """

    page: str | None = None
    chunk: int = 0
    is_open: bool = False
    restarts: int = 0


class OrdersReader:
    """One account's orders; what the engine calls the client.

    Args:
        client: Speaks HTTP.
        settings: The account's.
        known: What is already stored; only v0 asks.
        now: Aware UTC.
    """

    def __init__(
        self,
        client: AmazonClient,
        settings: Settings,
        known: KnownVersions,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.client, self.settings, self._known, self._now = client, settings, known, now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def stats(self) -> CallStats:
        """Counts of all calls."""
        return self.client.stats

    def changed(self, window: Window, token: str | None, *, is_whole: bool = False) -> Iterator[Page]:
        """Pages of orders changed within a window, oldest first; see `stream.Stream`.

        Args:
            window: Time of change.
            token: Where to go on.
            is_whole: Read the lines of every order, also of those whose stored row has this version; only v0 leaves them out.
        """
        at = msgspec.json.decode(token, type=_Token) if token else _Token()
        while True:
            found, at = self._list(window, at)
            following = _Token(found.next_token, 0, at.is_open, at.restarts) if found.next_token else None
            yield from self._pages(window, at, found, following, is_whole=is_whole)
            if following is None:
                return
            at = following

    def one(self, order_id: str) -> Page:
        """A single order with its lines as a page of its own.

        Raises:
            DataError: Amazon does not know the order.
        """
        if self.settings.orders_api is OrdersApi.V0:
            order = self.client.get_order_v0(order_id)
            if order is not None:
                order = order | {"OrderItems": self.client.get_order_items_v0(order_id)}
        else:
            order = self.client.get_order(order_id)
        if order is None:
            raise DataError(f"{self.client.account}: Amazon does not know order {order_id}", account=self.client.account)
        return Page(self._body([order], {}), str(self.settings.orders_api), f"getOrder {order_id}")

    def probe(self) -> None:
        """Asks for an order that cannot exist: only a missing permission is refused.

        Raises:
            AuthError: The application may not read orders.
            DataError: Amazon finds the id odd, which is as good as an answer.
        """
        read = self.client.get_order_v0 if self.settings.orders_api is OrdersApi.V0 else self.client.get_order
        read("000-0000000-0000000")

    # -- listing --------------------------------------------------------------------------------------------------------------

    def _list(self, window: Window, at: _Token) -> tuple[OrderList, _Token]:
        """One page of the vendor, and where it was found.

        A dead token starts the window anew; a bound that is too young by Amazon's clock is left to Amazon.
        """
        list_orders = self.client.get_orders_v0 if self.settings.orders_api is OrdersApi.V0 else self.client.search_orders
        try:
            return list_orders(window.start, None if at.is_open else window.end, at.page), at
        except DataError as refused:
            if at.page is not None:
                at = _Token(is_open=at.is_open, restarts=at.restarts + 1)
            elif not at.is_open and self._now() - window.end < CLOCKS_MAY_DIFFER:
                at = _Token(is_open=True, restarts=at.restarts)
            else:
                # A listing of ours that was good yesterday may be refused for hours (facts §5.5): the window stays open.
                raise TransientError(
                    f"{self.client.account}: Amazon refuses a listing of orders (HTTP {refused.status}); it is tried again",
                    account=self.client.account,
                    status=refused.status,
                    body=refused.body,
                ) from refused
        try:
            return list_orders(window.start, None if at.is_open else window.end, None), at
        except DataError as refused:
            raise TransientError(
                f"{self.client.account}: Amazon refuses a listing of orders twice (HTTP {refused.status}); it is tried again",
                account=self.client.account,
                status=refused.status,
                body=refused.body,
            ) from refused

    def _pages(self, window: Window, at: _Token, found: OrderList, following: _Token | None, *, is_whole: bool) -> Iterator[Page]:
        request = f"orders changed {window}"
        if self.settings.orders_api is OrdersApi.V2026:
            yield Page(self._body(found.orders, found.rest), "2026-01-01", request, _encoded(following), found.until)
            return
        # Known orders are left out when a page is read again, so its chunks begin anew; if none is, they go on.
        unknown = found.orders[at.chunk * ORDERS_PER_CHUNK :] if is_whole else self._unknown(found.orders)
        chunks = [unknown[start : start + ORDERS_PER_CHUNK] for start in range(0, len(unknown), ORDERS_PER_CHUNK)] or [[]]
        for number, chunk in enumerate(chunks, start=1):
            whole = [order | {"OrderItems": self._lines(order["AmazonOrderId"])} for order in chunk]
            is_last = number == len(chunks)
            # What is stored of this page is known when it is read again, so any later chunk resumes at the same page.
            rest_of_page = _Token(at.page, at.chunk + number, at.is_open, at.restarts)
            token = following if is_last else rest_of_page
            yield Page(self._body(whole, found.rest if is_last else {}), "v0", request, _encoded(token), found.until)

    def _lines(self, order_id: str) -> list[dict[str, Any]] | None:
        """Lines of one order; ``None`` if Amazon refuses them twice, which makes a dead letter of this order alone."""
        try:
            return self.client.get_order_items_v0(order_id)
        except DataError:
            pass
        try:
            return self.client.get_order_items_v0(order_id)
        except DataError:
            return None

    def _unknown(self, orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Orders to be read: an order that is not stored, or whose change time cannot be read, is never taken to be known."""
        known = self._known(str(order.get("AmazonOrderId")) for order in orders)

        def is_known(order: dict[str, Any]) -> bool:
            version = known.get(str(order.get("AmazonOrderId")))
            return version is not None and version == _second(order.get("LastUpdateDate"))

        return [order for order in orders if not is_known(order)]

    def _body(self, orders: list[dict[str, Any]], rest: dict[str, Any]) -> bytes:
        return encode_json({**rest, "orders": [self._permitted(order) for order in orders]})

    def _permitted(self, order: dict[str, Any]) -> dict[str, Any]:
        latest_ship_at, purchased_at = order_instants(order)
        if may_keep_persons(self.settings, latest_ship_at=latest_ship_at, purchased_at=purchased_at, now=self._now()):
            return order
        kept: dict[str, Any] = without_persons(order)
        return kept


class _Envelope(msgspec.Struct):
    orders: list[msgspec.Raw]


def records(body: bytes, source: str) -> list[bytes]:
    """The orders of an archived page, as JSON text.

    Raises:
        ContractError: It is no page of orders.
    """
    try:
        return [bytes(order) for order in msgspec.json.decode(body, type=_Envelope).orders]
    except msgspec.MsgspecError as error:
        raise ContractError(f"a page of source {source} has no list of orders", body=body[:2000]) from error


def _encoded(token: _Token | None) -> str | None:
    return None if token is None else msgspec.json.encode(token).decode()


def _second(text: Any) -> datetime | None:
    """The second of a change time, which is UTC if it names no zone, as `mapping` reads it; ``None`` if it cannot be read."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)
