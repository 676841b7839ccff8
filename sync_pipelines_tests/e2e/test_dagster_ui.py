"""The Dagster UI in a headless Chromium: an asset is launched, three days of it are backfilled, its plots and checks are seen."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines_tests.e2e.conftest import ARTIFACTS, Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PATH = ["sendcloud", "orders"]
ASSET = f"/assets/{'/'.join(PATH)}"
ACCOUNT = "sendcloud/main"


def test_an_asset_is_launched_and_backfilled_in_the_ui_and_shows_its_numbers(up: Up, page: Any) -> None:
    today = datetime.now(UTC).date()
    launch(up, page, f"{today}", partitions=1)
    days = [today - timedelta(days=back) for back in (4, 3, 2)]
    launch(up, page, f"[{days[0]}...{days[-1]}]", partitions=3)
    up.api.until(lambda: bool(up.api.backfills()), "the UI has launched the backfill")
    (backfill,) = up.api.backfills()
    for count, tags in ((1, {"dagster__from_ui": "true"}), (3, {"dagster__backfill": backfill["id"]})):
        assert {run["status"] for run in up.api.ended_runs(count, **tags)} == {"SUCCESS"}
    materializations, checks = up.api.asset(*PATH)
    assert {f"{ACCOUNT}|{day}" for day in (*days, today)} <= {one["partition"] for one in materializations}
    assert checks["no_open_dead_letters"] is True

    page.goto(f"{up.web}{ASSET}")
    page.get_by_text("Plots", exact=True).first.click()
    page.get_by_text("api_calls").first.wait_for()
    page.locator("canvas").first.wait_for()
    page.screenshot(path=ARTIFACTS / "dagster-plots.png", full_page=True)
    page.goto(f"{up.web}{ASSET}?view=checks")
    for name in ("coverage", "no_open_dead_letters", "reconciled"):
        page.get_by_text(name).first.wait_for()
    page.screenshot(path=ARTIFACTS / "dagster-checks.png", full_page=True)


def launch(up: Up, page: Any, days: str, *, partitions: int) -> None:
    """Launches days of the asset for every account, as a person does it."""
    page.goto(f"{up.web}{ASSET}")
    page.get_by_text("Materialize").first.click()
    page.get_by_text("Partition selection").wait_for()
    accounts = page.get_by_role("button", name="All", exact=True).first
    while page.get_by_text("Select a partition or create one").count():  # choosing has no effect before the list is there
        accounts.click()
        page.wait_for_timeout(200)
    field = page.get_by_placeholder("ex: 2020-01-01")
    field.fill(days)
    field.press("Enter")
    page.get_by_text(f"{partitions} partition").first.wait_for()
    page.screenshot(path=ARTIFACTS / f"dagster-launch-{partitions}.png")
    page.get_by_role("button", name=re.compile("^Launch (backfill|[0-9]+ run|run)")).click()
    page.get_by_text("Partition selection").wait_for(state="hidden")
