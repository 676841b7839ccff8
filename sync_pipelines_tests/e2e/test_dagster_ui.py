"""The Dagster UI in a headless Chromium: launch an asset, backfill three days, see its plots and checks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines_tests.e2e.conftest import ARTIFACTS, Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ASSET = "/assets/sendcloud/orders"
STREAM = "sendcloud/orders"


def test_an_asset_is_launched_backfilled_and_seen_in_the_ui(up: Up, page: Any) -> None:
    up.api.ended_runs(1, sync__stream=STREAM) if up.api.runs(sync__stream=STREAM) else None
    today = datetime.now(UTC).date()

    launch(up, page, [today], "launch")
    up.api.until(lambda: numbers(up) != {}, "the asset has a materialization with numbers", 300)
    assert numbers(up)["fetched"] > 0

    days = [today - timedelta(days=back) for back in (4, 3, 2)]
    launch(up, page, days, "backfill")
    up.api.until(lambda: bool(up.api.backfills()), "the backfill is known")
    up.api.until(lambda: up.api.backfills()[0]["status"].startswith("COMPLETED"), "the backfill has ended", 400)
    (backfill, *_) = up.api.backfills()
    assert backfill["numPartitions"] == len(days)
    runs = up.api.runs(dagster__backfill=backfill["id"])
    assert {run["status"] for run in runs} == {"SUCCESS"}

    page.goto(f"{up.web}{ASSET}?view=plots")
    page.get_by_text("api_calls").first.wait_for()
    page.locator("canvas").first.wait_for()
    page.screenshot(path=ARTIFACTS / "plots.png", full_page=True)

    page.goto(f"{up.web}{ASSET}?view=checks")
    for name in ("coverage", "no_open_dead_letters"):
        page.get_by_text(name).first.wait_for()
    page.screenshot(path=ARTIFACTS / "checks.png", full_page=True)
    _, checks = up.api.asset("sendcloud", "orders")
    assert checks["no_open_dead_letters"] is True


def launch(up: Up, page: Any, days: list[Any], name: str) -> None:
    """Materializes the asset's partitions of these days for every account, through the dialog that the button opens."""
    page.goto(f"{up.web}{ASSET}")
    page.get_by_role("button", name=re.compile(r"^Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    chosen = f"[{days[0]}...{days[-1]}]" if len(days) > 1 else str(days[0])
    dates = dialog.locator("input[type=text]").first
    dates.fill(chosen)
    dates.press("Enter")
    page.screenshot(path=ARTIFACTS / f"{name}-dialog.png")
    dialog.get_by_role("button", name=re.compile(r"^Launch")).click()
    dialog.wait_for(state="hidden")
    page.screenshot(path=ARTIFACTS / f"{name}-launched.png")


def numbers(up: Up) -> dict[str, float]:
    """Numeric metadata of the newest materialization that has any."""
    materializations, _ = up.api.asset("sendcloud", "orders")
    for one in materializations:
        found = {
            entry["label"]: entry.get("intValue", entry.get("floatValue"))
            for entry in one["metadataEntries"]
            if entry.get("intValue") is not None or entry.get("floatValue") is not None
        }
        if found:
            return found
    return {}
