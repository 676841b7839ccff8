"""Every page in a real browser, with ninety days behind it and with nothing at all: on a desk, on a phone, in the dark."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines_tests.bench.page import served
from sync_pipelines_tests.e2e.conftest import ARTIFACTS
from sync_pipelines_tests.overview.house import House, make_dagster_tables
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.service.page.serve import furnish

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SIZES = {"desktop": ((1440, 1000), "light"), "phone": ((390, 844), "light"), "dark": ((1440, 1000), "dark")}
PAGES = {"status": "", "stream": "streams/amazon/orders/amazon%2Fnorth", "queue": "queue", "alerts": "alerts"}
TOO_WIDE = "document.documentElement.scrollWidth - window.innerWidth"
CUT_OFF = """[...document.querySelectorAll('main *')].filter(one => one.scrollWidth > one.clientWidth + 1
    && getComputedStyle(one).overflowX !== 'visible' && one.clientWidth > 0).map(one => one.outerHTML.slice(0, 120))"""
LAID_OUT = "#content:not(.opening)"
"""The script takes this class away a second after the page was opened; what is off the screen is blank before."""


@pytest.mark.parametrize("filling", ["full", "empty"])
def test_every_page_fits_and_draws(
    filling: str, page: Any, database: Database, database_url: str, postgres_server: TestServer
) -> None:
    make_dagster_tables(database_url)
    house = House(database_url)
    if filling == "full":
        furnish(house, database)
        trouble(house)
    ARTIFACTS.mkdir(exist_ok=True)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with served(database, postgres_server, house) as address:
        for size, ((width, height), scheme) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            for name, path in PAGES.items():
                assert page.goto(address + path).status == 200
                page.wait_for_selector(LAID_OUT)
                page.screenshot(path=ARTIFACTS / f"{filling}-{name}-{size}.png", full_page=True)
                assert page.evaluate(TOO_WIDE) <= 0, (name, size)
                assert page.evaluate(CUT_OFF) == [], (name, size)
                text = page.inner_text("body")
                assert not {"None", "NaN", "undefined"} & set(text.split()), (name, size)
    assert complaints == []


def trouble(house: House) -> None:
    """Letters, holes, differences and alerts, so that there is something to look at."""
    amazon = ("amazon/north", "amazon/orders")
    for number, cause in enumerate(("DataError", "ContractError", "DataError")):
        house.letter(*amazon, f"9{number}", cause=cause, state="retrying" if number == 2 else "open")
    house.execute("delete from sync.windows where account = %s and stream = %s", amazon)
    day = timedelta(days=1)
    house.window(*amazon, (30 * day, 20 * day), (18 * day, 6 * day), (5 * day, timedelta(minutes=3)))
    house.execute("insert into sync.reconciliations values (%s, %s, now(), 'r', 'seven days', 4120, 3, 2, '{}')", amazon)
    for rule, subject, severity, summary, hours, run in (
        ("coverage", "amazon/orders of amazon/north", "warning", "2 holes in the confirmed time, 3 d together", 30, None),
        ("error_standing", "amazon/orders of amazon/north", "error", "failing for 45 min, 9 runs in a row", 1, "r1"),
        ("queue", "queue grand_shooting.fan_out", "warning", "more than 10,000 tasks wait, most of them for paris", 4, None),
        ("daemon_silent", "Dagster's daemon", "error", "Dagster's daemon has not been heard of since 06:12 UTC", 50, None),
    ):
        is_over = rule in {"queue", "daemon_silent"}
        house.execute(
            "insert into sync.alerts (rule, subject, severity, summary, opened_at, last_seen_at, seen_count, risen_at,"
            " opened_change, closed_at, closed_change, run_id)"
            " values (%s, %s, %s, %s, now() - %s, now(), 12, now() - %s, 1, case when %s then now() end,"
            " case when %s then 2 end, %s)",
            [rule, subject, severity, f"{subject}: {summary}", *[timedelta(hours=hours)] * 2, is_over, is_over, run],
        )
