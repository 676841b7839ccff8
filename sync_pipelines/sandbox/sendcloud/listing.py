"""How lists leave the house: `Link` headers and ``next`` URLs, records broken on purpose, and the ways a page can go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import answer
from sync_pipelines.sandbox.sendcloud.paging import Cursor, PageOf
from sync_pipelines.sandbox.sendcloud.world import Account

HUGE_NUMBER = "__number_out_of_range__"


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], Any]:
    def change(record: dict[str, Any]) -> Any:
        target: Any = record
        for name in path[:-1]:
            target = target.setdefault(name, {})
        target[path[-1]] = to
        return record

    return change


def _drop(name: str) -> Callable[[dict[str, Any]], Any]:
    def change(record: dict[str, Any]) -> Any:
        record.pop(name, None)
        return record

    return change


BREAKAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "null_record": lambda _: None,
    "text_record": lambda _: "oops",
    "null_id": _set("id", to=None),
    "null_number": _set("order_number", to=None),
    "missing_details": _drop("order_details"),
    "missing_items": lambda record: {**record, "order_details": _drop("order_items")(record.get("order_details") or {})},
    "items_object": _set("order_details", "order_items", to={"0": "oops"}),
    "bad_date": _set("order_details", "order_created_at", to="32-13-2026"),
    "bad_number": _set("payment_details", "total_price", "value", to="12,50 approx."),
    "huge_number": _set("payment_details", "total_price", "value", to=HUGE_NUMBER),
    "text_quantity": _set("order_details", "order_items", to=[{"name": "x", "quantity": "two", "total_price": None}]),
    "nul_character": _set("order_details", "notes", to="before\0after"),
    "lone_surrogate": _set("order_details", "notes", to="\ud83d"),
    "unknown_status": _set("order_details", "status", to={"code": "teleported", "message": "Teleported"}),
    "unknown_currency": _set("payment_details", "total_price", "currency", to="XTS"),
    "unknown_field": _set("quantum_state", to={"spin": 0.5}),
    "parcel_bad_date": _set("date_created", to="2026-31-12 25:00"),
    "parcel_bad_weight": _set("weight", to="heavy"),
    "parcel_null_status": _set("status", to=None),
}
"""Ways to break a record, by name. Those with ``unknown_`` are legal surprises; the rest should become dead letters."""


@dataclass
class PageFault:
    """A page that goes wrong.

    Kinds: ``duplicate`` (the page comes again: ``next`` leads to itself), ``loop`` (``next`` leads back to the first page),
    ``reorder`` (records reversed), ``overlap`` (the last record twice), ``no_next`` (the list ends early), ``null`` (body
    ``null``), ``null_list`` (``data``/``parcels`` null), ``empty`` (no records, but a ``next``).
    """

    kind: str
    stream: str = "orders"
    times: int = 1
    skip: int = 0

    def hits(self, stream: str) -> bool:
        """Whether it strikes this page; counts it."""
        if stream != self.stream or self.times <= 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Lists:
    """Renders pages. ``after_page`` is called once for each page, after its records were read."""

    def __init__(self) -> None:
        self.faults: list[PageFault] = []
        self.after_page: Callable[[Account, str], None] = lambda _account, _stream: None

    def v3(
        self, request: Request, stream: str, account: Account, keys: Sequence[int], records: Sequence[Any], found: PageOf
    ) -> Response:
        """``{"data": […]}`` with a ``Link`` header whose paths lack ``/api``, as the documentation shows them."""
        fault = self._fault(stream)
        shown, forward = self._records(account, keys, records, fault), self._forward(request, found, fault)
        links = [(cursor, rel) for cursor, rel in ((forward, "next"), (found.previous, "prev")) if cursor is not None]
        base = f"{request.url.scheme}://{request.url.netloc}/v3/{stream}"
        header = ", ".join(f'<{base}?{self._query(request, cursor)}>; rel="{rel}"' for cursor, rel in links)
        self.after_page(account, stream)
        body = None if fault == "null" else {"data": shown}
        return render(body, {"Link": header} if header else {})

    def v2(
        self,
        request: Request,
        stream: str,
        account: Account,
        keys: Sequence[int],
        records: Sequence[Any],
        found: PageOf,
        *,
        name: str,
    ) -> Response:
        """``{"next": url, "previous": url, name: […]}``."""
        fault = self._fault(stream)
        shown, forward = self._records(account, keys, records, fault), self._forward(request, found, fault)
        base = str(request.url.replace(query=""))
        urls = [cursor and f"{base}?{self._query(request, cursor)}" for cursor in (forward, found.previous)]
        self.after_page(account, stream)
        return render(None if fault == "null" else {"next": urls[0], "previous": urls[1], name: shown}, {})

    def v3_one(self, stream: str, account: Account, key: int, record: Any) -> Response:
        """``{"data": record}``."""
        return render({"data": self._broken(account, key, record)}, {})

    def v2_one(self, account: Account, key: int, record: Any, *, name: str) -> Response:
        """``{name: record}``."""
        return render({name: self._broken(account, key, record)}, {})

    def _fault(self, stream: str) -> str | None:
        return next((fault.kind for fault in self.faults if fault.hits(stream)), None)

    @staticmethod
    def _query(request: Request, cursor: Cursor) -> str:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        return urlencode([*kept, ("cursor", cursor.encode())])

    @staticmethod
    def _forward(request: Request, found: PageOf, fault: str | None) -> Cursor | None:
        if fault == "no_next":
            return None
        if fault == "duplicate":
            here = request.query_params.get("cursor")
            return Cursor.decode(here) if here else Cursor(position=None, offset=0)
        if fault == "loop":
            return Cursor()
        return found.next

    def _records(self, account: Account, keys: Sequence[int], records: Sequence[Any], fault: str | None) -> list[Any] | None:
        if fault == "null_list":
            return None
        shown = [] if fault == "empty" else [self._broken(account, key, record) for key, record in zip(keys, records, strict=True)]
        if fault == "reorder":
            shown.reverse()
        if fault == "overlap":
            shown += shown[-1:]
        return shown

    @staticmethod
    def _broken(account: Account, key: int, record: Any) -> Any:
        kind = account.broken.get(key)
        return BREAKAGES[kind](json.loads(json.dumps(record))) if kind else record


def render(body: Any, headers: dict[str, str]) -> Response:
    """JSON, able to carry what broken records contain."""
    try:
        response = answer(body, 200, headers)
    except UnicodeEncodeError:
        response = Response(json.dumps(body), 200, headers, "application/json")
    if HUGE_NUMBER.encode() in response.body:
        return Response(bytes(response.body).replace(f'"{HUGE_NUMBER}"'.encode(), b"1e999"), 200, headers, "application/json")
    return response
