"""The Dagster UI in a headless Chromium after a backfill of three days: the asset, its plots and its checks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines_tests.e2e.conftest import ARTIFACTS, Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ASSET = "/assets/sendcloud/orders"
PATH = ["sendcloud", "orders"]
ACCOUNT = "sendcloud/main"


def test_days_are_backfilled_and_seen_in_the_ui_with_plots_and_checks(up: Up, page: Any) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in (4, 3, 2)]
    backfill = up.api.launch(PATH, [f"{ACCOUNT}|{day}" for day in days])
    up.api.ended_runs(len(days), dagster__backfill=backfill)
    runs = up.api.runs(dagster__backfill=backfill)
    assert {run["status"] for run in runs} == {"SUCCESS"}
    materializations, checks = up.api.asset(*PATH)
    assert {f"{ACCOUNT}|{day}" for day in days} <= {one["partition"] for one in materializations}
    assert checks["no_open_dead_letters"] is True

    page.goto(f"{up.web}{ASSET}")
    page.get_by_text("sendcloud.orders").first.wait_for()
    page.get_by_text("Plots", exact=True).first.click()
    page.get_by_text("api_calls").first.wait_for()
    page.locator("canvas").first.wait_for()
    page.screenshot(path=ARTIFACTS / "plots.png", full_page=True)
    page.goto(f"{up.web}{ASSET}?view=checks")
    for name in ("coverage", "no_open_dead_letters"):
        page.get_by_text(name).first.wait_for()
    page.screenshot(path=ARTIFACTS / "checks.png", full_page=True)
