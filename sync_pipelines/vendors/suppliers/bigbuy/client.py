"""BigBuy over HTTP: lists page by page, orders one by one, within the hourly windows (``apis/bigbuy/facts.md`` 1 to 4, 8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from sync_pipelines.core.budget import BucketSpec, Budget
from sync_pipelines.core.errors import AuthError, ContractError, SyncError, Throttled, TransientError
from sync_pipelines.core.http import CallStats, HeaderKey, HttpClient, Response
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.vendor import CheckItem
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import EVERYTHING, Listing, OrderAnswer

BY_TAXONOMY = frozenset(
    {
        "products",
        "productsinformation",
        "productsimages",
        "productsvariations",
        "variations",
        "productprices",
        "productvariationprices",
        "productsstockbyhandlingdays",
        "productsvariationsstockbyhandlingdays",
    }
)
"""Lists that answer 400 without ``parentTaxonomy``."""

HOURLY = {
    "productsinformation": 24,
    "taxonomies": 24,
    "attributes": 24,
    "attributegroups": 24,
    "manufacturers": 5,
    **dict.fromkeys(BY_TAXONOMY - {"productsinformation"}, 10),
}
"""Calls an hour of each list."""

EVERY_SECOND = ("order", "order/reference", "tracking/orders", "user/auth/status")
"""Calls of which each may be made once a second."""

BUCKETS = (
    *(BucketSpec.fixed_window(name, limit=limit, seconds=3600, reserve={}) for name, limit in HOURLY.items()),
    *(BucketSpec.fixed_window(name, limit=1, seconds=1, reserve={}) for name in EVERY_SECOND),
)
"""No lane reserves calls of another: each list serves one kind of sync alone."""

_rows = msgspec.json.Decoder(list[msgspec.Raw])
_LIST = re.compile(r"/rest/catalog/([a-z-]+)\.json")
_CALL = re.compile(r"/rest/(user/auth/status|order/reference|tracking/orders|order)\b")


class BigBuyClient:
    """One key's view of BigBuy.

    Args:
        http: Made by `open_http`.
        settings: Language, taxonomies, page size.
    """

    def __init__(self, http: HttpClient, settings: Settings) -> None:
        self._http, self._settings = http, settings
        self._groups: list[str] | None = None

    @property
    def stats(self) -> CallStats:
        """Counts of calls."""
        return self._http.stats

    def scopes(self, feed: str) -> Sequence[str]:
        """First-level taxonomies, or everything at once."""
        if feed not in BY_TAXONOMY:
            return (EVERYTHING,)
        if self._groups is None:
            self._groups = [str(number) for number in self._settings.taxonomies] or self._first_level()
        return self._groups

    def read(self, feed: str, scope: str, page: int) -> Listing:
        """A page of a list; fewer rows than asked for end the scope."""
        size = self._settings.page_size
        params: dict[str, Any] = {"isoCode": self._settings.language, "page": page, "pageSize": size}
        if scope != EVERYTHING:
            params["parentTaxonomy"] = scope
        path = f"/rest/catalog/{feed}.json"
        body = self._http.request("GET", path, params=params, buckets=(feed,)).body
        query = "&".join(f"{name}={value}" for name, value in params.items())
        is_paged = feed in BY_TAXONOMY or feed in {"manufacturers", "attributes", "attributegroups"}
        return Listing(body, f"GET {path}?{query}", is_last=not is_paged or len(_rows.decode(body)) < size)

    def order(self, order_id: str | None, reference: str | None) -> OrderAnswer:
        """An order by id, or by our reference first; an empty 200 or a 404 is an order BigBuy does not know."""
        if order_id is None:
            found = self._one(f"/rest/order/reference/{reference}.json", "order/reference")
            if found is None:
                return OrderAnswer(None)
            order_id = str(found["id"])
        order = self._one(f"/rest/order/{order_id}.json", "order")
        if order is None:
            return OrderAnswer(None)
        return OrderAnswer(encode_json(order), track_as=order_id)

    def track(self, order_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Parcels of several orders in one call; the answer may be shorter than asked and have gaps."""
        body = {"track": {"orders": [{"id": number} for number in order_ids]}}
        response = self._http.request("POST", "/rest/tracking/orders.json", json=body, buckets=("tracking/orders",))
        return {str(item["id"]): encode_json(item) for item in response.json() or () if item}

    def check(self) -> list[CheckItem]:
        """Asks for the key's state, which costs no catalogue call and is answered with nothing."""
        try:
            response = self._http.request("GET", "/rest/user/auth/status.json", buckets=("user/auth/status",), answer="any")
        except AuthError as error:
            return [CheckItem("api key", is_ok=False, detail=str(error))]
        if response.body.strip():
            response.json()  # a page of somebody in between is not BigBuy's
        return [CheckItem("api key", is_ok=True, detail="accepted")]

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def _first_level(self) -> list[str]:
        params = {"firstLevel": 1, "isoCode": self._settings.language}
        response = self._http.request("GET", "/rest/catalog/taxonomies.json", params=params, buckets=("taxonomies",))
        groups = [str(row["id"]) for row in response.json()]
        if not groups:
            raise ContractError(f"{self._http.account}: BigBuy lists no first-level taxonomy", account=self._http.account)
        return groups

    def _one(self, path: str, bucket: str) -> Any:
        response = self._http.request("GET", path, buckets=(bucket,), expect=(404,), answer="any")
        return None if response.status == 404 or not response.body.strip() else decode_json(response.body)


def open_http(
    *,
    account: str,
    base_url: str,
    api_key: str,
    budget: Budget | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    **options: Any,
) -> HttpClient:
    """The transport with BigBuy's reading of answers; ``options`` go to `HttpClient`."""
    return HttpClient(
        account=account,
        base_url=base_url,
        budget=budget,
        auth=HeaderKey("Authorization", f"Bearer {api_key}"),
        classify=lambda response: classify(response, account=account, now=now()),
        observe=observe,
        now=now,
        **options,
    )


def classify(response: Response, *, account: str, now: datetime) -> SyncError | None:
    """Errors that the HTTP status hides or leaves open; a refused call may go on when its window, open ``now``, closes."""
    body = response.body.lstrip()
    if response.status == 429:
        seconds = window_left_s(response)
        until = now + timedelta(seconds=seconds or 0)
        return Throttled(
            f"{account}: BigBuy throttles us for {seconds or 0:.0f} s", account=account, status=429, body=body, retry_at=until
        )
    if response.status != 200:
        return None
    is_list = _LIST.search(response.url) is not None
    if is_list and not body.startswith((b"[", b"<")):  # a page of somebody in between is told as what it is
        return TransientError(f"{account}: BigBuy answers 200 without a list", account=account, status=200, body=body[:2000])
    if body.startswith(b"HTTP/") or (body.startswith(b'{"code"') and b'"message"' in body):
        return TransientError(f"{account}: BigBuy answers 200 with an error inside", account=account, status=200, body=body[:2000])
    return None


def observe(response: Response, budget: Budget) -> None:
    """Tells the budget what the three headers say of the window this call was counted in."""
    match = _LIST.search(response.url) or _CALL.search(response.url)
    if match is None or "x-ratelimit-reset" not in response.headers:
        return
    budget.observe(
        match[1],
        limit=_number(response, "x-ratelimit-limit"),
        remaining=_number(response, "x-ratelimit-remaining"),
        reset_s=window_left_s(response),
    )


def window_left_s(response: Response) -> float | None:
    """Seconds until the window closes: its Unix time against the vendor's own clock, so that neither clock need be right."""
    reset = _number(response, "x-ratelimit-reset")
    dates = response.headers.get_list("date")
    if reset is None or not dates:
        return None
    return max(0.0, reset - parsedate_to_datetime(dates[-1]).timestamp())


def _number(response: Response, header: str) -> int | None:
    value = response.headers.get(header, "")
    return int(value) if value.isdigit() else None
