"""Amazon's Selling Partner API over HTTP: both versions of Orders, reports, restricted tokens. No database, no Dagster.

One call lists all of a seller's marketplaces. Every answer is checked for its envelope, so that a success without its content is
never taken for an empty list.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import quote

import httpx

from sync_pipelines.core.budget import Budget
from sync_pipelines.core.errors import AuthError, ContractError, SyncError, TransientError
from sync_pipelines.core.http import CallStats, HttpClient, Response
from sync_pipelines.core.jsons import Json
from sync_pipelines.vendors.amazon import operations
from sync_pipelines.vendors.amazon.auth import RestrictedToken
from sync_pipelines.vendors.amazon.privacy import evidence

USER_AGENT = "sync_pipelines/0.1 (Language=Python)"
INCLUDED_DATA = ("PROCEEDS", "FULFILLMENT", "PROMOTION", "CANCELLATION")
"""Datasets without personal data."""
PERSONAL_DATA = ("BUYER", "RECIPIENT")
REPORT_TYPE = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
PAGE_SIZE = 100
MAX_REPORT = 512 * 1024 * 1024
"""Bytes of a report document, decompressed."""

_V2026 = "/orders/2026-01-01/orders"
_V0 = "/orders/v0/orders"
_REPORTS = "/reports/2021-06-30"
_DOCUMENT_HOSTS = (".amazonaws.com", ".cloudfront.net", ".amazon.com")
_RESTRICTED = (_V0, f"{_V0}/{{orderId}}", f"{_V0}/{{orderId}}/orderItems")


@dataclass(frozen=True)
class OrderList:
    """One page of orders of either version.

    Attributes:
        orders: As Amazon has them.
        next_token: Where the next page is; ``None`` on the last.
        until: The upper bound that Amazon served, aware UTC.
        rest: The answer without its orders.
    """

    orders: list[dict[str, Any]]
    next_token: str | None
    until: datetime | None
    rest: dict[str, Any]


class AmazonClient:
    """One seller's account.

    Args:
        account: ``vendor/name``.
        base_url: The region's host.
        auth: Puts an access token on a request.
        budget: The account's quota, with a bucket per operation.
        marketplaces: Read together in each call.
        personal_data: Ask for buyer and recipient; ``may_see_persons`` turns false when Amazon refuses a restricted token.
        has_pace: Whether the budget has the bucket `operations.PACE`.
        transport: Replaces the network in tests.
        options: Passed on to `HttpClient`.
    """

    def __init__(
        self,
        *,
        account: str,
        base_url: str,
        auth: httpx.Auth,
        budget: Budget | None,
        marketplaces: tuple[str, ...],
        personal_data: bool = False,
        has_pace: bool = True,
        transport: httpx.BaseTransport | None = None,
        **options: Any,
    ) -> None:
        self.account, self._marketplaces, self._transport = account, marketplaces, transport
        self._pace = (operations.PACE,) if has_pace and budget is not None else ()
        self._included = (*INCLUDED_DATA, *PERSONAL_DATA) if personal_data else INCLUDED_DATA
        settings: dict[str, Any] = {
            "account": account,
            "base_url": base_url,
            "budget": budget,
            "classify": self._classify,
            "observe": _observe,
            "headers": {"User-Agent": USER_AGENT},
            "transport": transport,
            **options,
        }
        self._base = httpx.URL(base_url)
        self._http = HttpClient(auth=auth, **settings)
        self._restricted = HttpClient(auth=RestrictedToken(self._restricted_token), **settings) if personal_data else None
        self.may_see_persons = personal_data
        self._budgeted = budget is not None
        self._clients = [client for client in (self._http, self._restricted) if client is not None]

    @property
    def stats(self) -> CallStats:
        """Counts of all calls."""
        total = CallStats()
        for client in self._clients:
            total.add(api_calls=client.stats.api_calls, throttled=client.stats.throttled, waited_s=client.stats.waited_s)
        return total

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients:
            client.close()

    # -- version 2026-01-01 ---------------------------------------------------------------------------------------------------

    def search_orders(self, after: datetime, before: datetime | None, token: str | None = None) -> OrderList:
        """Orders changed between two instants, oldest first, lines included.

        Args:
            after: Inclusive, aware UTC.
            before: Inclusive and at least two minutes ago; ``None`` leaves the bound to Amazon.
            token: Next page of the same query.
        """
        params = {
            "lastUpdatedAfter": _milliseconds(after),
            "marketplaceIds": ",".join(self._marketplaces),
            "includedData": ",".join(self._included),
            "maxResultsPerPage": PAGE_SIZE,
        }
        if before is not None:
            params["lastUpdatedBefore"] = _milliseconds(before)
        if token is not None:
            params["paginationToken"] = token
        body = self._object(self._get(self._http, _V2026, operations.SEARCH_ORDERS, params))
        orders = self._list(body, "orders")
        return OrderList(
            orders,
            next_token=(body.get("pagination") or {}).get("nextToken") or None,
            until=_instant(body.get("lastUpdatedBefore")),
            rest={name: value for name, value in body.items() if name != "orders"},
        )

    def get_order(self, order_id: str) -> dict[str, Any] | None:
        """One order with its lines, ``None`` if Amazon does not know it."""
        path = f"{_V2026}/{quote(order_id, safe='')}"
        response = self._get(self._http, path, operations.GET_ORDER, {"includedData": ",".join(self._included)}, expect={404})
        if response.status == httpx.codes.NOT_FOUND:
            return None
        return self._part(self._object(response), "order")

    # -- version v0 -----------------------------------------------------------------------------------------------------------

    def get_orders_v0(self, after: datetime, before: datetime | None, token: str | None = None) -> OrderList:
        """Orders whose status changed between two instants; see `search_orders`. Lines come from `get_order_items_v0`."""
        params: dict[str, Any] = {"MarketplaceIds": ",".join(self._marketplaces), "MaxResultsPerPage": PAGE_SIZE}
        if token is not None:
            params["NextToken"] = token
        else:
            params["LastUpdatedAfter"] = _seconds(after)
            if before is not None:
                params["LastUpdatedBefore"] = _seconds(before)
        payload = self._part(self._object(self._get_v0(_V0, operations.V0_GET_ORDERS, params)), "payload")
        return OrderList(
            self._list(payload, "Orders"),
            next_token=payload.get("NextToken") or None,
            until=_instant(payload.get("LastUpdatedBefore")),
            rest={name: value for name, value in payload.items() if name != "Orders"},
        )

    def get_order_v0(self, order_id: str) -> dict[str, Any] | None:
        """One order without its lines, ``None`` if Amazon does not know it."""
        response = self._get_v0(f"{_V0}/{quote(order_id, safe='')}", operations.V0_GET_ORDER, {}, expect={404})
        if response.status == httpx.codes.NOT_FOUND:
            return None
        return self._part(self._object(response), "payload")

    def get_order_items_v0(self, order_id: str) -> list[dict[str, Any]]:
        """All lines of one order, over all pages."""
        items: list[dict[str, Any]] = []
        params: dict[str, Any] = {}
        seen: set[str] = set()
        while True:
            response = self._get_v0(f"{_V0}/{quote(order_id, safe='')}/orderItems", operations.V0_GET_ORDER_ITEMS, params)
            payload = self._part(self._object(response), "payload")
            items += self._list(payload, "OrderItems")
            token = payload.get("NextToken")
            if not token:
                return items
            if token in seen:
                raise self._broken(response, "repeats a paging token of order lines")
            seen.add(token)
            params = {"NextToken": token}

    # -- reports --------------------------------------------------------------------------------------------------------------

    def create_report(self, start: datetime, end: datetime) -> str:
        """Asks for all orders changed within ``[start, end]``; returns the report's id."""
        body = {
            "reportType": REPORT_TYPE,
            "marketplaceIds": list(self._marketplaces),
            "dataStartTime": _seconds(start),
            "dataEndTime": _seconds(end),
        }
        response = self._http.request("POST", f"{_REPORTS}/reports", json=body, buckets=self._buckets(operations.CREATE_REPORT))
        report_id = self._object(response).get("reportId")
        if not isinstance(report_id, str):
            raise self._broken(response, "has no report id")
        return report_id

    def get_report(self, report_id: str) -> dict[str, Any] | None:
        """A report's state; ``None`` if Amazon no longer knows it."""
        path = f"{_REPORTS}/reports/{quote(report_id, safe='')}"
        response = self._get(self._http, path, operations.GET_REPORT, {}, expect={404})
        return None if response.status == httpx.codes.NOT_FOUND else self._object(response)

    def read_report_document(self, document_id: str) -> str:
        """The text of a report; its address dies after five minutes, so it is asked for anew each time."""
        path = f"{_REPORTS}/documents/{quote(document_id, safe='')}"
        response = self._get(self._http, path, operations.GET_REPORT_DOCUMENT, {})
        document = self._object(response)
        url = httpx.URL(str(document.get("url") or ""))
        is_ours = (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)
        if not is_ours and not (url.scheme == "https" and url.host.endswith(_DOCUMENT_HOSTS)):
            raise self._broken(response, f"points to a document at {url.host or 'nowhere'}, which is not Amazon's")
        origin = str(url.copy_with(raw_path=b"/", fragment=None))
        with HttpClient(account=self.account, base_url=origin, transport=self._transport, max_body=MAX_REPORT) as download:
            answer = download.request("GET", str(url), answer="any")
            self._http.stats.add(api_calls=download.stats.api_calls)
        content = answer.body
        if document.get("compressionAlgorithm") == "GZIP":
            content = self._unzip(content)
        return content.decode(_charset(answer) or "iso-8859-1")

    # -- seller ---------------------------------------------------------------------------------------------------------------

    def marketplaces(self) -> list[dict[str, Any]]:
        """Marketplaces the seller takes part in."""
        body = self._object(self._get(self._http, "/sellers/v1/marketplaceParticipations", operations.GET_PARTICIPATIONS, {}))
        return self._list(body, "payload")

    def _restricted_token(self) -> tuple[str, float]:
        elements = ["buyerInfo", "shippingAddress"]
        resources = [{"method": "GET", "path": path, "dataElements": elements} for path in _RESTRICTED]
        response = self._http.request(
            "POST",
            "/tokens/2021-03-01/restrictedDataToken",
            json={"restrictedResources": resources},
            buckets=self._buckets(operations.CREATE_RESTRICTED_TOKEN),
        )
        body = self._object(response)
        token, life_s = body.get("restrictedDataToken"), body.get("expiresIn")
        if not isinstance(token, str) or not isinstance(life_s, int):
            raise self._broken(response, "has no restricted token")
        return token, float(life_s)

    # -- answers --------------------------------------------------------------------------------------------------------------

    def _get_v0(self, path: str, operation: str, params: dict[str, Any], *, expect: Collection[int] = ()) -> Response:
        """Reads with a restricted token if persons are wanted; without the role for it, the rest is still read."""
        if self._restricted is not None and self.may_see_persons:
            try:
                return self._get(self._restricted, path, operation, params, expect=expect)
            except AuthError:
                self.may_see_persons = False
        return self._get(self._http, path, operation, params, expect=expect)

    def _get(
        self, http: HttpClient, path: str, operation: str, params: dict[str, Any], *, expect: Collection[int] = ()
    ) -> Response:
        try:
            return http.request("GET", path, params=params or None, buckets=self._buckets(operation), expect=expect)
        except ContractError as error:
            error.body = evidence(error.body)
            raise

    def _buckets(self, operation: str) -> tuple[str, ...]:
        return (operation, *self._pace) if self._budgeted else ()

    def _classify(self, response: Response) -> SyncError | None:
        """A success that is no JSON object is a failure of the moment: retried, never an empty list."""
        if response.is_success and response.status != httpx.codes.ACCEPTED and response.body.lstrip()[:1] != b"{":
            text = f"{self.account}: Amazon answers HTTP {response.status} without content"
            return TransientError(text, account=self.account, status=response.status, body=response.body[:2000])
        return None

    def _object(self, response: Response) -> dict[str, Any]:
        body: Json = response.json()
        if not isinstance(body, dict):
            raise self._broken(response, "is no object")
        if body.get("errors"):
            raise self._broken(response, "is a success that carries errors")
        return body

    def _part(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        part = body.get(name)
        if not isinstance(part, dict):
            raise ContractError(f"{self.account}: Amazon's answer lacks {name}", account=self.account)
        return part

    def _list(self, body: dict[str, Any], name: str) -> list[dict[str, Any]]:
        part = body.get(name)
        if not isinstance(part, list):
            raise ContractError(f"{self.account}: Amazon's answer lacks the list {name}", account=self.account)
        return part

    def _unzip(self, content: bytes) -> bytes:
        unzip = zlib.decompressobj(wbits=31)
        try:
            text = unzip.decompress(content, MAX_REPORT)
        except zlib.error as error:
            raise TransientError(f"{self.account}: a report document is not gzip", account=self.account) from error
        if unzip.unconsumed_tail:
            raise ContractError(f"{self.account}: a report document is larger than {MAX_REPORT} bytes", account=self.account)
        return text

    def _broken(self, response: Response, what: str) -> ContractError:
        text = f"{self.account}: Amazon's answer {what}"
        return ContractError(text, account=self.account, status=response.status, body=evidence(response.body)[:2000])


def _observe(response: Response, budget: Budget) -> None:
    """Passes on the sustained rate; Amazon sends it with 200, 400 and 404 only, and not always (facts §3.2)."""
    operation = operations.operation_at(httpx.URL(response.url).path)
    try:
        rate = float(response.headers.get("x-amzn-RateLimit-Limit", ""))
    except ValueError:
        return
    if operation is not None and rate > 0:
        budget.observe(operation, rate=rate)


def _seconds(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _milliseconds(instant: datetime) -> str:
    moment = instant.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _instant(value: Json) -> datetime | None:
    """Amazon's echo of a bound; a sample shows epoch seconds with an exponent (facts §4.3), which says nothing to us."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _charset(response: Response) -> str | None:
    message = Message()
    message["content-type"] = response.headers.get("content-type", "")
    charset = message.get_content_charset()
    return charset if charset in {"utf-8", "utf8", "iso-8859-1", "windows-1252", "cp1252"} else None
