"""What the status page costs with fifty streams and a year of work behind them: its slowest query, its answer, its first paint."""

from __future__ import annotations

import gc
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import uvicorn

from sync_pipelines.core.alerts import Look
from sync_pipelines.core.db import Database
from sync_pipelines.overview.reading import read_alerts, read_history, read_links, read_queues, read_status
from sync_pipelines.overview.watched import watched
from sync_pipelines.service.alerting.rules import all_rules
from sync_pipelines.service.app import create_app
from sync_pipelines.service.page import Access, Pictures, page_routes
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.overview.history import burden, fill, wide
from sync_pipelines_tests.overview.house import House, configured, make_dagster_tables
from sync_pipelines_tests.sandboxes import free_port
from sync_pipelines_tests.servers import TestServer

ROUNDS = 7
PAINT = "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0] || 0"


@contextmanager
def timed_queries() -> Iterator[dict[str, float]]:
    """The longest time of each statement executed within, in milliseconds."""
    longest: dict[str, float] = {}
    execute = psycopg.Cursor.execute

    def timed(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(self, query, *arguments, **options)
        finally:
            words = " ".join(str(query).split())[:90]
            longest[words] = max(longest.get(words, 0.0), (time.perf_counter() - started) * 1000)

    psycopg.Cursor.execute = timed  # type: ignore[method-assign]
    try:
        yield longest
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Fills a database and looks at it."""
    make_dagster_tables(server.url())
    house = House(server.url(), seen=watched(configured(wide(2 if quick else 7))))
    fill(house, days=90, runs_a_day=2 if quick else 24)
    if not quick:
        burden(house)
    with Database(server.url(), max_connections=4) as database:
        read_status(database, house.seen)
        with timed_queries() as longest:
            for _ in range(ROUNDS):
                read_status(database, house.seen)
                read_queues(database)
                read_alerts(database, house.seen)
                read_links(database, house.seen)
                read_history(database, house.seen, house.seen.streams[0], days=90)
        with served(database, server, house) as address:
            with httpx.Client(base_url=address) as client:
                size = len(client.get("/").content)
                fresh = [_answer(client, {"X-Fresh": "yes"}) for _ in range(ROUNDS)]
                kept = [_answer(client, {}) for _ in range(ROUNDS)]
            paints = _paints(address)
    slowest = max(longest, key=lambda words: longest[words])
    with Database(server.url(), max_connections=2) as database:
        looks = _looks(database, house)
    slowest_rule = max(looks, key=lambda name: looks[name])
    measures = [
        Measure("page", "streams shown", len(house.seen.streams), "streams"),
        Measure("page", f"slowest query ({slowest.split('from')[0][:40]}…)", longest[slowest], "ms", at_most=100),
        Measure("page", f"slowest look of an alert rule ({slowest_rule})", looks[slowest_rule], "ms"),
        Measure("page", "size of the front page", size / 1000, "kB"),
        Measure("page", "front page read anew, median", sorted(fresh)[ROUNDS // 2], "ms"),
        Measure("page", "front page as opened, median", sorted(kept)[ROUNDS // 2], "ms", at_most=300),
    ]
    if paints:
        measures += [
            Measure("page", "first contentful paint, first visit", paints[0], "ms", at_most=300),
            Measure("page", "first contentful paint, median", sorted(paints)[len(paints) // 2], "ms", at_most=300),
        ]
    return measures


def _looks(database: Database, house: House) -> dict[str, float]:
    """How long each alert rule looks, in milliseconds, the second time; the first one reads the whole event log once."""
    taken: dict[str, float] = {}
    rules = all_rules()
    with database.connect() as connection:
        for _ in range(2):
            now = datetime.now(UTC)
            streams = [(item.stream, item.account) for item in house.seen.streams]
            look = Look(database, connection, now, now - timedelta(days=1), streams=streams)
            for rule in rules:
                started = time.perf_counter()
                list(rule.find(look))
                taken[rule.name] = (time.perf_counter() - started) * 1000
    return taken


@contextmanager
def served(database: Database, server: TestServer, house: House) -> Iterator[str]:
    """The page on a port, as the service has it; what is asked fresh is read anew each time."""
    pictures = Pictures(database, lambda: house.seen, max_age_s=0)
    pages = page_routes(pictures, Access())
    port = free_port()
    app = create_app(Database(server.url()), routes=pages, parts=[pictures.keeping])
    service = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=service.run)
    gc.freeze()  # as the service does; it does not even have Dagster in its memory
    thread.start()
    while not service.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        service.should_exit = True
        thread.join()


def _answer(client: httpx.Client, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    client.get("/", headers=headers).raise_for_status()
    return (time.perf_counter() - started) * 1000


def _paints(address: str) -> list[float]:
    """First contentful paints in Chromium, each in a browser profile of its own; none without playwright and a browser."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return []
    if not chromium:
        return []
    paints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for _ in range(ROUNDS):
            context = browser.new_context()
            page = context.new_page()
            page.goto(address)
            page.wait_for_function(f"({PAINT}) > 0")
            paints.append(float(page.evaluate(PAINT)))
            context.close()
        browser.close()
    return paints
