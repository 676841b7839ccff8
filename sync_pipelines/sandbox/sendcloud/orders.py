"""V3 orders: list, get, batch upsert, patch, delete (facts §3)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import RefusedError, answer, read_json, v3_error
from sync_pipelines.sandbox.sendcloud.chance import micros
from sync_pipelines.sandbox.sendcloud.checks import Complaint, check_order
from sync_pipelines.sandbox.sendcloud.facets import SORTABLE
from sync_pipelines.sandbox.sendcloud.generate import DAY
from sync_pipelines.sandbox.sendcloud.listing import Lists
from sync_pipelines.sandbox.sendcloud.paging import Cursor, InvalidCursorError, page
from sync_pipelines.sandbox.sendcloud.world import Account

READ_ONLY = ("id", "created_at", "modified_at")
DATES = {
    "order_created_at": "created",
    "order_updated_at": "updated",
}


class Orders:
    """The handlers below ``/api/v3/orders``."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def list(self, account: Account, request: Request) -> Response:
        """``GET /orders``: exact filters, whole days of the shop's times, unknown parameters ignored."""
        query = request.query_params
        field, descending = _sort(query.get("sort", ""))
        size = _page_size(query.get("page_size"))
        wanted = self._filter(account, dict(query))
        try:
            cursor = Cursor.decode(query["cursor"]) if query.get("cursor") else Cursor()
            index, between = account.order_index(field), _bounds(field, _days(dict(query)))
            found = page(index, descending=descending, cursor=cursor, size=size, wanted=wanted, between=between)
        except InvalidCursorError:
            return v3_error(404, "not_found", "Invalid cursor", title="Invalid cursor")
        records = [account.order(key) for key in found.keys]
        return self._lists.v3(request, "orders", account, found.keys, records, found)

    async def get(self, account: Account, request: Request) -> Response:
        """``GET /orders/{id}``."""
        key = self._existing(account, request)
        return self._lists.v3_one("orders", account, key, account.order(key))

    async def upsert(self, account: Account, request: Request) -> Response:
        """``POST /orders``: up to 100, all or nothing, stored a moment later."""
        body = read_json(await request.body())
        if not isinstance(body, list):
            return v3_error(400, "non_field_errors", "Wrong request format, expected list of objects", title="Wrong format")
        if len(body) > 100:
            detail = "List should have at most 100 items after validation, not " + str(len(body))
            return v3_error(400, "invalid", detail, source={"pointer": "/data/attributes/"})
        known = {integration.id for integration in account.profile.integrations}
        for place, order in enumerate(body):
            complaint = check_order(order, known) or self._moved(account, order)
            if complaint:
                return v3_error(
                    400, "invalid", complaint.detail, source={"pointer": f"/data/attributes/[{place}]{complaint.pointer}"}
                )
        references = [(order["order_details"]["integration"]["id"], order["order_id"]) for order in body]
        if any(account.is_pending(reference) for reference in references):
            detail = "We are still processing a previous request for one of these orders. Please try again later."
            return v3_error(400, "invalid", detail, source={"pointer": "/data"})
        accepted = []
        for order, reference in zip(body, references, strict=True):
            known_key = int(order["id"]) if "id" in order else account.find_order(*reference)
            key = known_key if known_key is not None else account.new_order_key()
            account.later(account.settings.order_saving_s, reference, self._saving(account, key, order))
            accepted.append({"id": key, "order_id": order["order_id"], "order_number": order["order_number"]})
        return answer({"data": accepted}, 201)

    async def patch(self, account: Account, request: Request) -> Response:
        """``PATCH /orders/{id}``: only what is sent changes; items are matched by name and can be neither added nor removed."""
        key = self._existing(account, request)
        change = read_json(await request.body())
        if not isinstance(change, dict):
            return v3_error(400, "non_field_errors", "Wrong request format, expected object", title="Wrong format")
        order = copy.deepcopy(account.order(key) or {})
        if change.get("order_id", order["order_id"]) != order["order_id"]:
            return v3_error(400, "invalid", "Field order_id can not be changed", source={"pointer": "/data/attributes/order_id"})
        changed_items = (change.get("order_details") or {}).get("order_items")
        if changed_items is not None:
            items = order["order_details"]["order_items"]
            by_name = {item["name"]: item for item in items}
            if any(item.get("name") not in by_name for item in changed_items):
                pointer = {"pointer": "order/order_details/order_items"}
                return v3_error(400, "invalid", "Could not find specified item.", title="Invalid", source=pointer)
            for item in changed_items:
                _merge(by_name[item["name"]], item)
            change = {**change, "order_details": {**change["order_details"], "order_items": items}}
        _merge(order, {name: value for name, value in change.items() if name not in READ_ONLY})
        complaint = check_order(order, {integration.id for integration in account.profile.integrations})
        if complaint:
            return v3_error(400, "invalid", complaint.detail, source={"pointer": f"/data/attributes{complaint.pointer}"})
        account.put_order(key, order)
        return answer({"data": {"id": key, "order_id": order["order_id"], "order_number": order["order_number"]}})

    async def delete(self, account: Account, request: Request) -> Response:
        """``DELETE /orders/{id}``."""
        account.delete_order(self._existing(account, request))
        return Response(status_code=204)

    def _existing(self, account: Account, request: Request) -> int:
        key = request.path_params["id"]
        if not key.isascii() or not key.isdigit() or account.order(int(key)) is None:
            detail = "The order could not be found with the search criteria given"
            raise RefusedError(v3_error(404, "not_found", detail, title="Not found"))
        return int(key)

    @staticmethod
    def _moved(account: Account, order: dict[str, Any]) -> Complaint | None:
        """An explicit ``id`` must name an order of this account and cannot give it another ``order_id``."""
        if "id" not in order:
            return None
        known = account.order(int(order["id"])) if order["id"].isdigit() else None
        if known is None:
            return Complaint("/id", "The order could not be found with the search criteria given")
        return None if known["order_id"] == order["order_id"] else Complaint("/order_id", "Field order_id can not be changed")

    @staticmethod
    def _saving(account: Account, key: int, order: dict[str, Any]) -> Callable[[], None]:
        def save() -> None:
            before = account.order(key) or {}
            kept = {name: before[name] for name in READ_ONLY if name in before}
            account.put_order(key, {**kept, **{name: value for name, value in order.items() if name not in READ_ONLY}})

        return save

    @staticmethod
    def _filter(account: Account, query: dict[str, str]) -> Callable[[int], bool]:
        """One predicate for all filters of the query.

        Raises:
            RefusedError: for an integration that is not the account's, or a day that is none.
        """
        integrations = _integrations(account, query.get("integration"))
        exact = {name: query[name].casefold() for name in ("order_number", "order_id", "status") if query.get(name)}
        days = _days(query)
        if integrations is None and not exact and not days:
            return lambda _: True

        def wanted(key: int) -> bool:
            meta = account.meta(key)
            if integrations is not None and meta.integration not in integrations:
                return False
            if any(str(getattr(meta, name)).casefold() != value for name, value in exact.items()):
                return False
            for name, start, end in days:
                moment = getattr(meta, name)
                if moment is None or not start <= moment < end:
                    return False
            return True

        return wanted


def _integrations(account: Account, text: str | None) -> set[int] | None:
    if not text:
        return None
    known = {str(integration.id) for integration in account.profile.integrations}
    asked = [part.strip() for part in text.split(",")]
    for part in asked:
        if part not in known:
            detail = f"Select a valid choice. {part} is not one of the available choices."
            raise RefusedError(v3_error(400, "invalid_choice", detail, title="Invalid Choice", source={"parameter": "integration"}))
    return {int(part) for part in asked}


def _days(query: dict[str, str]) -> list[tuple[str, int, int]]:
    """Date filters as (meta field, from, to) in epoch microseconds, half open."""
    days = []
    for name, attribute in DATES.items():
        for suffix in ("", "_min", "_max"):
            text = query.get(name + suffix)
            if not text:
                continue
            try:
                start = micros(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC))
            except ValueError as error:
                raise RefusedError(v3_error(400, "invalid", "Enter a valid date.", source={"parameter": name + suffix})) from error
            days.append((attribute, 0 if suffix == "_max" else start, 1 << 61 if suffix == "_min" else start + DAY))
    return days


def _bounds(field: str, days: list[tuple[str, int, int]]) -> tuple[int, int] | None:
    """What the date filters say about the sort value."""
    spans = [(start, end) for attribute, start, end in days if DATES.get(field) == attribute]
    return (max(start for start, _ in spans), min(end for _, end in spans)) if spans else None


def _sort(text: str) -> tuple[str, bool]:
    """The first usable field decides; unknown ones fall back to newest first."""
    for part in text.split(","):
        name = part.strip().removeprefix("-")
        if name in SORTABLE:
            return name, part.strip().startswith("-")
    return "pk", True


def _page_size(text: str | None) -> int:
    try:
        return min(max(int(float(text or 100)), 1), 200)
    except (ValueError, OverflowError):
        return 100


def _merge(target: dict[str, Any], change: dict[str, Any]) -> None:
    """Deep merge; lists and scalars are replaced."""
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            target[name] = dict(target[name])
            _merge(target[name], value)
        else:
            target[name] = value
