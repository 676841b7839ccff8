"""AliExpress' dropshipping methods over ``/sync``, each call signed, throttling and token expiry dealt with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from sync_pipelines.core.budget import BucketSpec, Budget
from sync_pipelines.core.errors import AuthError, ContractError, DataError, SyncError, Throttled, TransientError
from sync_pipelines.core.http import CallStats, HttpClient, Response
from sync_pipelines.core.jsons import Json, encode_json
from sync_pipelines.core.vendor import CheckItem
from sync_pipelines.vendors.suppliers.aliexpress import envelopes
from sync_pipelines.vendors.suppliers.aliexpress.settings import Settings
from sync_pipelines.vendors.suppliers.aliexpress.signing import signed
from sync_pipelines.vendors.suppliers.connector import Listing, OrderAnswer

PRODUCT_GET = "aliexpress.ds.product.get"
FEED_ITEMS = "aliexpress.ds.feed.itemids.get"
ORDER_GET = "aliexpress.trade.ds.order.get"
TRACKING_GET = "aliexpress.ds.order.tracking.get"

NOT_FOUND, NOT_TO_THIS_COUNTRY = "605", "602"
FEED_PAGE = 200

_FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


class Tokens(Protocol):
    """Where access tokens come from; shared by all processes."""

    def token(self, *, refused: str | None = None) -> str:
        """A good access token, another one than ``refused``; AuthError if there is none any more."""


class AliExpressClient:
    """One buyer account's view of the platform.

    Args:
        http: Made by `open_http`.
        tokens: The account's tokens.
        app_key: The app's key.
        app_secret: The app's secret.
        settings: Country, currency, language, products, feeds.
        now_s: Epoch seconds for timestamps.
    """

    def __init__(
        self,
        http: HttpClient,
        tokens: Tokens,
        *,
        app_key: str,
        app_secret: str,
        settings: Settings,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._http, self._tokens, self._settings, self._now_s = http, tokens, settings, now_s
        self._app_key, self._app_secret = app_key, app_secret

    @property
    def stats(self) -> CallStats:
        """Counts of calls."""
        return self._http.stats

    def scopes(self, feed: str) -> Sequence[str]:
        """Ids of the products in the settings and in the configured feeds."""
        del feed
        wanted = dict.fromkeys(str(number) for number in self._settings.products)
        for name in self._settings.feeds:
            wanted |= dict.fromkeys(self._feed_items(name))
        return list(wanted)

    def read(self, feed: str, scope: str, page: int) -> Listing:
        """One product; one that is gone or not sold to the country is an answer too."""
        del feed, page
        parameters = {
            "product_id": scope,
            "ship_to_country": self._settings.ship_to,
            "target_currency": self._settings.currency,
            "target_language": self._settings.language,
        }
        response = self._call(PRODUCT_GET, parameters)
        inner = envelopes.payload(response.json(), PRODUCT_GET)
        code = str(inner.get("rsp_code", ""))
        if "result" not in inner and code not in {NOT_FOUND, NOT_TO_THIS_COUNTRY}:
            raise DataError(f"{self._http.account}: product {scope}: AliExpress answers {code}", account=self._http.account)
        return Listing(response.body, f"{PRODUCT_GET} product_id={scope}", is_last=True)

    def order(self, order_id: str | None, reference: str | None) -> OrderAnswer:
        """An order by its id; AliExpress has no look-up by our reference."""
        if order_id is None:
            raise DataError(
                f"{self._http.account}: AliExpress finds orders by id only, not by reference {reference}",
                account=self._http.account,
            )
        try:
            answer = self._call(ORDER_GET, {"single_order_query": encode_json({"order_id": order_id}).decode()}).json()
        except envelopes.NotYours:
            return OrderAnswer(None)
        order = envelopes.payload(answer, ORDER_GET).get("result") or {}
        tracked = self._call(TRACKING_GET, {"ae_order_id": order_id, "language": self._settings.language}).json()
        found = envelopes.payload(tracked, TRACKING_GET).get("result") or {}
        data = found.get("data")
        return OrderAnswer(
            encode_json({"order_id": order_id, "order": order}),
            encode_json({"order_id": order_id, "data": data}) if data else None,
        )

    def track(self, order_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Tracking comes with each order."""
        del order_ids
        return {}

    def check(self) -> list[CheckItem]:
        """Reads the names of the feeds, which every dropshipper may."""
        try:
            self._call("aliexpress.ds.feedname.get", {})
        except (AuthError, DataError) as error:
            return [CheckItem("app and token", is_ok=False, detail=str(error))]
        return [CheckItem("app and token", is_ok=True, detail="accepted")]

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def _feed_items(self, name: str) -> list[str]:
        found: dict[str, None] = {}
        search = ""
        while True:
            parameters = {"feed_name": name, "page_size": str(FEED_PAGE), "search_id": search}
            result = envelopes.payload(self._call(FEED_ITEMS, parameters, buckets=("calls", "feeds")).json(), FEED_ITEMS)["result"]
            page = [str(number) for number in envelopes.items(result.get("products"))]
            is_new = any(number not in found for number in page)
            found |= dict.fromkeys(page)
            left, search = int(result.get("total", 0)), str(result.get("search_id", ""))
            if not page or left <= 0:
                return list(found)
            if not is_new:
                raise TransientError(f"{self._http.account}: feed {name} repeats a page", account=self._http.account)

    def _call(self, method: str, business: Mapping[str, str], *, buckets: tuple[str, ...] = ("calls",)) -> Response:
        token = self._tokens.token()
        try:
            return self._send(method, business, token, buckets)
        except envelopes.TokenRefused:
            return self._send(method, business, self._tokens.token(refused=token), buckets)

    def _send(self, method: str, business: Mapping[str, str], token: str, buckets: tuple[str, ...]) -> Response:
        parameters = {
            "app_key": self._app_key,
            "method": method,
            "session": token,
            "timestamp": str(int(self._now_s() * 1000)),
            "format": "json",
            "v": "2.0",
            "simplify": "true" if self._settings.simplify else "false",
            **business,
        }
        content = urlencode(signed(parameters, self._app_secret)).encode()
        return self._http.request("POST", "/sync", content=content, headers=_FORM, buckets=buckets)


def buckets(settings: Settings) -> tuple[BucketSpec, ...]:
    """Our own pace, and the feeds' published one."""
    return (
        BucketSpec.paced("calls", per_second=settings.calls_per_second),
        BucketSpec.paced("feeds", per_second=2.5),
    )


def open_http(*, account: str, base_url: str, budget: Budget | None, **options: Any) -> HttpClient:
    """The transport with AliExpress' reading of answers; ``options`` go to `HttpClient`."""
    options.setdefault("quick_throttle_retries", 8)
    return HttpClient(
        account=account, base_url=base_url, budget=budget, classify=lambda response: classify(response, account=account), **options
    )


def classify(response: Response, *, account: str) -> SyncError | None:
    """Errors come as HTTP 200; what is not JSON is left to the transport."""
    head = response.body[:4000]
    if response.status != 200 or (b'"error_response"' not in head and b'"type"' not in head):
        return None
    try:
        answer: Json = response.json()
    except ContractError:
        return None
    error = envelopes.refusal(answer, account)
    if isinstance(error, envelopes.CallLimited):
        until = datetime.now(UTC) + timedelta(seconds=error.seconds)
        return Throttled(str(error), account=account, status=200, body=head, retry_at=until)
    return error
