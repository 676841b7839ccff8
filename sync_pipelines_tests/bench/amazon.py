"""Amazon orders by our stream and by python-amazon-sp-api's documented paging loop, on the same look-alike and the published plan.

Time is simulated: whoever waits moves the clock, so hours of quota pass in seconds. ``make bench`` installs the other client.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sync_pipelines.core.totals import Status
from sync_pipelines.vendors.amazon.client import INCLUDED_DATA
from sync_pipelines_tests.bench.databases import fresh_database
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.sandboxes import RunningSandbox, run_sandbox
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.amazon.shop import MARKETPLACES, Shop, open_shop

BEAT_S = 300
SEARCHES_PER_S, BURST = 0.0056, 20
HTML_503 = {"kind": "html", "path": "/orders/", "skip": 7, "times": 1}


@dataclass(frozen=True)
class Scenario:
    """What is to be read, and what is in the way."""

    name: str
    orders: int
    faults: tuple[dict[str, Any], ...] = ()
    is_only_ours: bool = False


SCENARIOS = (
    Scenario("2,000 orders", 2_000),
    Scenario("2,000 orders, a 503 with HTML", 2_000, (HTML_503,)),
    Scenario("3,000 orders, more than a burst", 3_000),
    Scenario("3,000 orders, more than a burst and a 503", 3_000, (HTML_503,)),
    Scenario("8,000 orders", 8_000, is_only_ours=True),
)
QUICK = (Scenario("100 orders", 100), Scenario("2,200 orders", 2_200, is_only_ours=True))


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """All scenarios for all clients."""
    return [measure for scenario in (QUICK if quick else SCENARIOS) for measure in _compared(server, scenario)]


def _compared(server: TestServer, scenario: Scenario) -> Iterator[Measure]:
    clients: dict[str, Callable[[Shop], set[str]]] = {"ours": _ours}
    if not scenario.is_only_ours:
        clients |= {"sp-api as documented": _theirs, "sp-api, retry inside": _theirs_inside}
    for client, read in clients.items():
        with fresh_database(server) as url:
            found = _measure(scenario, read, url)
        best = 0 if client == "ours" else None
        what = f"{scenario.name}, {client}"
        yield Measure("amazon", f"{what}: orders missed (ended: {found.end})", found.missed, "orders", at_most=best)
        yield Measure("amazon", f"{what}: calls above the plan", found.throttled, "calls", at_most=best)
        yield Measure("amazon", f"{what}: calls per order", found.calls / max(1, found.found), "calls")
        yield Measure("amazon", f"{what}: simulated time", found.quota_s, "s")
        yield Measure("amazon", f"{what}: work, the look-alike's included", found.work_s, "s")
        if found.share is not None and client == "ours":
            yield Measure("amazon", f"{what}: of the plan's calls after the burst", found.share, "share", at_least=0.97)


@dataclass(frozen=True)
class Outcome:
    """How one client fared in one scenario.

    Attributes:
        found: Orders that it delivered.
        missed: Orders that it did not deliver, though it said it was done or gave up.
        calls: Requests to the Orders API; ``throttled`` of them were answered 429.
        share: Calls after the burst, of those the plan permits until the last one; ``None`` if the burst was enough.
        quota_s: Simulated seconds from the first call to the end.
        work_s: Real seconds, the look-alike's included.
        end: ``done`` or the exception.
    """

    found: int
    missed: int
    calls: int
    throttled: int
    share: float | None
    quota_s: float
    work_s: float
    end: str


def _measure(scenario: Scenario, read: Callable[[Shop], set[str]], database_url: str) -> Outcome:
    running: list[RunningSandbox] = []

    def start(*args: Any, **options: Any) -> RunningSandbox:
        running.append(run_sandbox(*args, **options))
        return running[0]

    try:
        with open_shop(start, database_url) as shop:
            shop.control.post("generate", tenant="alpha", count=scenario.orders)
            shop.control.faults(*scenario.faults)
            began, started, end = shop.now(), time.perf_counter(), "done"
            try:
                found = read(shop)
            except _StoppedError as stopped:
                found, end = stopped.found, stopped.why
            calls = shop.calls("/orders/")
            return Outcome(
                found=len(found),
                missed=scenario.orders - len(found),
                calls=len(calls),
                throttled=sum(call["throttled"] for call in calls),
                share=_share_of_plan([call["at"] for call in calls]),
                quota_s=(shop.now() - began).total_seconds(),
                work_s=time.perf_counter() - started,
                end=end,
            )
    finally:
        for one in running:
            one.stop()


def _share_of_plan(times: list[float]) -> float | None:
    """The plan counts whole calls: a part of a token permits none."""
    permitted = int((times[-1] - times[0]) * SEARCHES_PER_S + 1e-6)
    return (len(times) - BURST) / permitted if len(times) > BURST and permitted else None


def _ours(shop: Shop) -> set[str]:
    while shop.sync().status is not Status.COMPLETE:
        shop.wait(BEAT_S)
    return set(shop.stored())


class _StoppedError(Exception):
    def __init__(self, found: set[str], why: str) -> None:
        super().__init__(why)
        self.found, self.why = found, why


def _theirs(shop: Shop) -> set[str]:
    """The order of decorators that their documentation shows: the retry is around the making of the generator."""
    from sp_api.util import load_all_pages, throttle_retry

    return _paged(shop, lambda call: throttle_retry()(load_all_pages(next_token_param="paginationToken")(call)))


def _theirs_inside(shop: Shop) -> set[str]:
    """The other order, in which a page is retried: up to 160 s, less than a token of searchOrders takes."""
    from sp_api.util import load_all_pages, throttle_retry

    return _paged(shop, lambda call: load_all_pages(next_token_param="paginationToken")(throttle_retry()(call)))


def _paged(shop: Shop, decorated: Callable[[Callable[..., Any]], Callable[..., Any]]) -> set[str]:
    from sp_api.base import SellingApiException

    for module in ("sp_api.util.retry", "sp_api.util.load_all_pages"):
        importlib.import_module(module).time = _Waits(shop)  # type: ignore[attr-defined]
    client = _their_client(shop)
    found: set[str] = set()
    query = {
        "lastUpdatedAfter": shop.starts.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "lastUpdatedBefore": (shop.now() - timedelta(minutes=3)).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "marketplaceIds": list(MARKETPLACES["alpha"]),
        "includedData": list(INCLUDED_DATA),
    }
    try:
        for page in decorated(client.search_orders)(**query):
            found |= {order["orderId"] for order in (page.payload or {}).get("orders", ())}
    except SellingApiException as error:
        raise _StoppedError(found, type(error).__name__) from error
    return found


class _Waits:
    """Stands in for ``time`` in their modules: sleeping moves the simulated clock."""

    def __init__(self, shop: Shop) -> None:
        self.sleep = shop.wait


def _their_client(shop: Shop) -> Any:
    """Their client on the look-alike; it can only be told a marketplace, so addresses are set afterwards."""
    from sp_api.api.orders.orders_2026_01_01 import OrdersV20260101
    from sp_api.auth import access_token_client
    from sp_api.base import Marketplaces

    access_token_client.cache.clear()

    class Login(access_token_client.AccessTokenClient):  # type: ignore[name-defined,misc]
        scheme, host = "http://", f"{shop.sandbox.base_url.removeprefix('http://')}"

    class Orders(OrdersV20260101):  # type: ignore[misc]
        @property
        def headers(self) -> dict[str, str]:
            return {name: value for name, value in super().headers.items() if name != "host"}

    credentials = {
        "refresh_token": "Atzr|sandbox-alpha",
        "lwa_app_id": "amzn1.application-oa2-client.sandbox",
        "lwa_client_secret": "sandbox-secret",
    }
    client = Orders(marketplace=Marketplaces.FR, credentials=credentials, auth_token_client_class=Login)
    client.endpoint = shop.sandbox.base_url
    return client
