"""Amazon orders by our stream and by python-amazon-sp-api's documented paging loop, on the same look-alike and the published plan.

Time is simulated: whoever waits moves the clock, so hours of quota pass in seconds. ``python -m sync_pipelines_tests.bench.amazon``
"""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.core.totals import Status
from sync_pipelines.migrations import migrate
from sync_pipelines.vendors.amazon.client import INCLUDED_DATA
from sync_pipelines_tests.sandboxes import RunningSandbox, run_sandbox
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.amazon.shop import MARKETPLACES, Shop, open_shop

BEAT_S = 300
HTML_503 = {"kind": "html", "path": "/orders/", "skip": 7, "times": 1}
SCENARIOS: dict[str, tuple[int, list[dict[str, Any]]]] = {
    "2,000 orders, nothing in the way": (2_000, []),
    "2,000 orders, one 503 with HTML": (2_000, [HTML_503]),
    "3,000 orders, more than one burst": (3_000, []),
    "3,000 orders, more than one burst and a 503": (3_000, [HTML_503]),
}


@dataclass
class Outcome:
    """How one client fared in one scenario.

    Attributes:
        missed: Orders that the client did not deliver, though it said it was done or gave up.
        calls: Requests to the Orders API; ``throttled`` of them were answered 429.
        quota_s: Simulated seconds from the first call to the end.
        work_s: Real seconds, the look-alike's included.
        end: ``done`` or the exception.
    """

    scenario: str
    client: str
    orders: int
    missed: int
    calls: int
    throttled: int
    calls_per_order: float
    quota_s: float
    work_s: float
    end: str


def run() -> Iterator[Outcome]:
    """All scenarios for all clients."""
    with _databases() as new_database:
        for scenario, (orders, faults) in SCENARIOS.items():
            for client, read in (
                ("sync_pipelines", _ours),
                ("sp-api, documented", _theirs),
                ("sp-api, retry inside", _theirs_inside),
            ):
                yield _measure(scenario, client, read, orders, faults, new_database())


def _measure(
    scenario: str, client: str, read: Callable[[Shop], set[str]], orders: int, faults: list[dict[str, Any]], database_url: str
) -> Outcome:
    running: list[RunningSandbox] = []

    def start(*args: Any, **options: Any) -> RunningSandbox:
        running.append(run_sandbox(*args, **options))
        return running[0]

    with open_shop(start, database_url) as shop:
        shop.control.post("generate", tenant="alpha", count=orders)
        if faults:
            shop.control.faults(*faults)
        began, started, end = shop.now(), time.perf_counter(), "done"
        found: set[str] = set()
        try:
            found = read(shop)
        except _StoppedError as stopped:
            found, end = stopped.found, stopped.why
        calls = shop.calls("/orders/")
        outcome = Outcome(
            scenario,
            client,
            orders,
            missed=orders - len(found),
            calls=len(calls),
            throttled=sum(call["throttled"] for call in calls),
            calls_per_order=round(len(calls) / max(1, len(found)), 4),
            quota_s=round((shop.now() - began).total_seconds()),
            work_s=round(time.perf_counter() - started, 2),
            end=end,
        )
    running[0].stop()
    return outcome


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


@contextmanager
def _databases() -> Iterator[Callable[[], str]]:
    """Fresh, migrated databases on an embedded server of our own."""
    with tempfile.TemporaryDirectory() as folder, ProcessGuard() as guard:
        server = TestServer(EmbeddedServer(Path(folder), settings={"fsync": "off"}), guard)
        server.start()
        count = 0

        def new() -> str:
            nonlocal count
            count += 1
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute(f"create database bench_{count}")  # type: ignore[arg-type]
            migrate(server.url(f"bench_{count}"))
            return server.url(f"bench_{count}")

        try:
            yield new
        finally:
            server.stop()


def main() -> None:
    """Prints one JSON object a line."""
    for outcome in run():
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
