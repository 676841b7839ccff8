"""The status page in a real browser: on a desk, on a phone, in the dark; and a vendor's fault shows by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sync_pipelines_tests.e2e.conftest import ARTIFACTS, Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SIZES = {"desktop": ({"width": 1440, "height": 1000}, "light"), "phone": ({"width": 390, "height": 844}, "light")}
SIZES["dark"] = ({"width": 1440, "height": 1000}, "dark")
SHOWN_WITHIN_S = 10
"""After the run's end, as promised; the page asks every five seconds and is at most two seconds old."""

WIDTH = "document.documentElement.scrollWidth - window.innerWidth"


@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_draws(up: Up, page: Any, size: str) -> None:
    viewport, scheme = SIZES[size]
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    page.goto(up.service)
    page.wait_for_selector("[data-chart] canvas")
    page.screenshot(path=ARTIFACTS / f"status-{size}.png", full_page=True)
    assert page.evaluate(WIDTH) <= 0
    assert complaints == []
    page.click("td.stream a")
    page.wait_for_selector("h1")
    page.screenshot(path=ARTIFACTS / f"stream-{size}.png", full_page=True)
    assert page.evaluate(WIDTH) <= 0


def test_a_fault_at_a_vendor_shows_within_ten_seconds_without_a_reload(up: Up, page: Any) -> None:
    page.goto(up.service)
    page.evaluate("window.isTheSamePage = true")
    control = f"{up.sandbox}/sendcloud/_control/faults"
    httpx.post(control, json=[{"kind": "status", "status": 401, "times": 10_000}]).raise_for_status()
    try:
        backfill = up.api.launch(["sendcloud", "orders"], [f"sendcloud/main|{datetime.now(UTC).date() - timedelta(days=1)}"])
        run = up.api.ended_runs(1, dagster__backfill=backfill)[0]
        assert run["status"] == "FAILURE"
        log = httpx.get(f"{up.sandbox}/sendcloud/_control/log").raise_for_status().json()
        assert any(request["status"] == 401 for request in log)
        page.wait_for_selector(f'#faults a[href$="{run["runId"]}"]', timeout=60_000)
        shown_after = time.time() - run["endTime"]
    finally:
        httpx.delete(control).raise_for_status()
    (ARTIFACTS / "fault-shown-after-seconds.txt").write_text(f"{shown_after:.1f}\n")
    assert page.evaluate("window.isTheSamePage")
    page.screenshot(path=ARTIFACTS / "status-fault.png")
    assert shown_after < SHOWN_WITHIN_S
