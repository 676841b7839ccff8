"""One account's reading: what to call next within the windows, what was read whole, and what that means for freshness.

A `Session` is what the streams' reading functions take. It yields pages in the planner's order and goes on where a used-up window
stopped it: the paging token holds what is still to be read. What runs after a ``yield`` runs after the engine has stored that page.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError, RemoteError, Throttled
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.stream import Page
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers import brake, offers, planner, state
from sync_pipelines.vendors.suppliers.connector import (
    EVERYTHING,
    Change,
    Connector,
    Feed,
    Listing,
    OrderAnswer,
    Reach,
    SupplierClient,
)
from sync_pipelines.vendors.suppliers.state import OrderRequest

log = logging.getLogger("sync_pipelines.suppliers")

END = "end"
"""Source suffix of the closing page, which holds no records."""

BUNDLE = "bundle"
"""Source suffix of a page that holds several single answers."""

BUNDLED = 20
"""Single answers stored in one transaction."""

EMPTY_CLOSE = b"[]"

_answers = msgspec.json.Decoder(list[msgspec.Raw])


class Step(msgspec.Struct, array_like=True):
    """One call still to be made."""

    feed: str
    scope: str
    page: int = 0
    began: float = 0.0
    rows: int = 0


class Todo(msgspec.Struct):
    """What a scan still has to read; the paging token.

    Attributes:
        steps: In order.
        failed: Scopes (``feed/scope``) that could not be read in this scan.
        taken: Calls made, so that no two tokens of a scan are equal.
    """

    steps: list[Step]
    failed: list[Step] = msgspec.field(default_factory=list)
    taken: int = 0

    def took(self, step: Step, *, is_last: bool) -> None:
        """A call was made; the next page of its scope comes first."""
        self.steps.remove(step)
        self.taken += 1
        if not is_last:
            self.steps.insert(0, Step(step.feed, step.scope, step.page + 1, step.began, step.rows))

    def encode(self) -> str:
        """As a token."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, token: str) -> Todo:
        """From a token."""
        return msgspec.json.decode(token, type=cls)


class Session:
    """Reading one account of one supplier.

    Args:
        connector: The supplier.
        client: Its client for this account.
        context: The account.
    """

    def __init__(self, connector: Connector, client: SupplierClient, context: AccountContext) -> None:
        self.connector, self.client, self.context = connector, client, context
        offers.publish_settings(context.database, context.id, context.settings)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def stats(self) -> CallStats:
        """Counts of calls."""
        return self.client.stats

    def read(self, table: str, token: str | None, *, is_stored: bool = True) -> Iterator[Page]:
        """All pages of a table's feeds, as far as the quota goes.

        Args:
            table: Its name.
            token: Where to go on.
            is_stored: Whoever reads stores every page, so that what was read whole counts as fresh.

        Raises:
            Throttled: Every feed that is not finished has used up its window; ``retry_at`` is the first to open again.
            RemoteError: A scope could not be read for another reason; everything else was.
        """
        todo = Todo.decode(token) if token else Todo([])
        if not todo.steps:
            todo = self._plan(table, todo.taken)
        feeds = {feed.name: feed for feed in self.connector.feeds_of(table)}
        blocked: dict[str, Throttled] = {}
        failures: list[RemoteError] = []
        while step := next((step for step in todo.steps if step.feed not in blocked), None):
            feed = feeds[step.feed]
            read: list[tuple[Step, Listing]] = []
            began = self._now()
            for wanted in _together(todo, step, feed):
                try:
                    listing = self.client.read(wanted.feed, wanted.scope, wanted.page)
                except Throttled as error:
                    blocked[feed.name] = error
                    break
                except DataError as error:
                    log.warning("%s: %s of %s could not be read: %s", self.context.id, feed.name, wanted.scope, error)
                    failures.append(error)
                    todo.steps.remove(wanted)
                    todo.failed.append(wanted)
                    continue
                wanted.began = wanted.began or began.timestamp()
                wanted.rows += len(feed.split(listing.body))
                read.append((wanted, listing))
                todo.took(wanted, is_last=listing.is_last)
            if not read:
                continue
            yield self._page(feed, [listing for _, listing in read], step.scope, todo)
            if is_stored:
                self._whole(table, feed, [step for step, listing in read if listing.is_last])
        if is_stored:
            brake.judge(self.context)
        if blocked:
            raise min(blocked.values(), key=lambda error: error.retry_at)
        if failures:
            todo.taken += 1  # stored, so that the next run begins anew instead of with what failed
            yield Page(EMPTY_CLOSE, self._end, "scopes that could not be read", next_token=todo.encode())
            raise failures[0]
        yield Page(EMPTY_CLOSE, self._end, "end of the scan")

    def read_orders(self, token: str | None) -> Iterator[Page]:
        """One page for each supplier order that is followed and due; parcels are asked for bundle by bundle.

        Raises:
            Throttled: The quota is used up; what was read until then is stored.
            RemoteError: The parcels of some orders could not be read; those orders are asked for again.
        """
        due = state.orders_to_ask(self.context.database, self.context.id, after=int(token) if token else 0)
        failures: list[RemoteError] = []
        for start in range(0, len(due), BUNDLED):
            answers, stopped = self._ask(due[start : start + BUNDLED])
            moving = self._track([answer.track_as for _, answer in answers if answer.track_as], failures)
            for request, answer in answers:
                yield self._order_page(request, answer, moving)
                if answer.track_as is None or moving is not None:
                    self._note_order(request, answer)
            if stopped is not None:
                raise stopped
        if failures:
            raise failures[0]
        yield Page(EMPTY_CLOSE, self._end, "end of the orders")

    def _ask(self, due: Sequence[OrderRequest]) -> tuple[list[tuple[OrderRequest, OrderAnswer]], Throttled | None]:
        """What the supplier knows of these orders, as far as the quota goes."""
        answers: list[tuple[OrderRequest, OrderAnswer]] = []
        for request in due:
            try:
                answers.append((request, self.client.order(request.order_id, request.reference)))
            except DataError as error:
                state.give_up_order(self.context.database, self.context.id, request, "Refused", str(error))
            except Throttled as error:
                return answers, error
        return answers, None

    def _track(self, ids: Sequence[str], failures: list[RemoteError]) -> Mapping[str, bytes] | None:
        """Parcels by order; ``None`` if the supplier refuses to tell."""
        try:
            return self.client.track(ids) if ids else {}
        except DataError as error:
            log.warning("%s: the parcels of %d orders could not be read: %s", self.context.id, len(ids), error)
            failures.append(error)
            return None

    def _order_page(self, request: OrderRequest, answer: OrderAnswer, moving: Mapping[str, bytes] | None) -> Page:
        tracking = answer.tracking if answer.track_as is None else (moving or {}).get(answer.track_as)
        body = msgspec.json.encode(
            {
                "request": request.id,
                "order": msgspec.Raw(answer.order or b"null"),
                "tracking": msgspec.Raw(tracking or b"null"),
            }
        )
        asked = request.order_id or f"reference {request.reference}"
        return Page(body, f"{self.connector.name}/order/{request.id}", f"order {asked}", next_token=str(request.id))

    def _note_order(self, request: OrderRequest, answer: OrderAnswer) -> None:
        unknown_for = self.context.settings.order_unknown_for
        state.note_order(self.context.database, self.context.id, request, self.connector, answer, unknown_for)

    @property
    def _end(self) -> str:
        """Source of pages that hold no records."""
        return f"{self.connector.name}/{END}/{EVERYTHING}"

    def _plan(self, table: str, taken: int) -> Todo:
        steps: list[Step] = []
        for feed in self.connector.feeds_of(table):
            steps += [Step(feed.name, scope) for scope in self._ordered(table, feed, self._scopes(feed))]
        return Todo(steps, taken=taken)

    def _ordered(self, table: str, feed: Feed, scopes: Sequence[str]) -> list[str]:
        parts = state.parts(self.context.database, self.context.id, table, feed, scopes)
        if feed.limit is None:
            return [part.scope for part in sorted(parts, key=_stalest_first)]
        return planner.plan(parts, feed.limit).order

    def _scopes(self, feed: Feed) -> Sequence[str]:
        if not feed.is_divided:
            return (EVERYTHING,)
        if feed.reach is Reach.SINGLE:
            known = state.living_products(self.context.database, self.context.id)
            return list(dict.fromkeys([*self.client.scopes(feed.name), *known]))
        if self.connector.scopes_kept is None:
            return self.client.scopes(feed.name)
        digest = hashlib.blake2b(self.context.settings.model_dump_json().encode(), digest_size=8).hexdigest()
        kept = state.kept_scopes(self.context.database, self.context.id, digest, self.connector.scopes_kept)
        if kept is None:
            kept = list(self.client.scopes(feed.name))
            state.keep_scopes(self.context.database, self.context.id, digest, kept)
        return kept

    def _page(self, feed: Feed, listings: list[Listing], scope: str, todo: Todo) -> Page:
        """One page to store: a list's own, or several single answers as an array."""
        if feed.reach is Reach.BULK:
            (listing,) = listings
            source = f"{self.connector.name}/{feed.name}/{scope}"
            return Page(listing.body, source, listing.request, next_token=todo.encode())
        body = b"[" + b",".join(listing.body for listing in listings) + b"]"
        request = "; ".join(listing.request for listing in listings)
        return Page(body, f"{self.connector.name}/{feed.name}/{BUNDLE}", request, next_token=todo.encode())

    def _whole(self, table: str, feed: Feed, steps: list[Step]) -> None:
        """Scopes were read to their end and their last pages are stored."""
        readings = [
            state.Reading(
                account=self.context.id,
                table=table,
                feed=feed.name,
                scope=step.scope,
                pages=step.page + 1,
                rows=step.rows,
                began=datetime.fromtimestamp(step.began, UTC),
                may_be_empty=feed.reach is Reach.SINGLE or feed.change is Change.CHANGES,
            )
            for step in steps
        ]
        for reading in state.note_readings(self.context.database, readings) if readings else ():
            log.warning(
                "%s: %s of %s answers %d rows where there were many more; what we know ages instead",
                reading.account, reading.feed, reading.scope, reading.rows,
            )  # fmt: skip

    def _now(self) -> datetime:
        return state.now(self.context.database)


def _stalest_first(part: planner.Part) -> tuple[float, float]:
    return (-float("inf") if part.age_windows is None else -part.age_windows, -part.weight)


def records(body: bytes, source: str, table: str, connectors: dict[str, Connector]) -> Sequence[bytes]:
    """Splits an archived page of any supplier into the records of one table."""
    supplier, name, _ = source.split("/", 2)
    if name == END:
        return []
    feed = connectors[supplier].by_name[name, table]
    if feed.reach is Reach.BULK:
        return feed.split(body)
    return [raw for answer in _answers.decode(body) for raw in feed.split(bytes(answer))]


def _together(todo: Todo, first: Step, feed: Feed) -> list[Step]:
    """The calls whose answers are stored together: one page of a list, or several single products."""
    if feed.reach is Reach.BULK:
        return [first]
    return [step for step in todo.steps if step.feed == feed.name][:BUNDLED]


def describe_plan(database: Database, connector: Connector, account: str, table: str) -> list[dict[str, Any]]:
    """The plan of the next scan with the freshness it meets, for people; from what is known, without a call."""
    rows: list[dict[str, Any]] = []
    for feed in connector.feeds_of(table):
        parts = state.parts(database, account, table, feed, state.known_scopes(database, account, table, feed.name))
        made = planner.plan(parts, feed.limit) if feed.limit else None
        pages = sum(part.pages for part in parts)
        rows += [
            {
                "feed": feed.name,
                "scope": part.scope,
                "pages": part.pages,
                "age_s": None if part.age_windows is None else round(part.age_windows * feed.window_s),
                "in_stock": part.weight,
                "windows": [n for n, window in enumerate(made.windows) if part.scope in window] if made else [],
                "worst_age_s": planner.worst_age_windows(parts, feed.limit) * feed.window_s if feed.limit else None,
                "floor_s": planner.floor_s(pages, feed.limit, feed.window_s) if feed.limit else None,
            }
            for part in parts
        ]
    return rows
