"""Initialising a secondary: planned first, held by a brake, carried out by the ordinary drain; foreign changes found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.errors import BrakePulled, ConfigError
from sync_pipelines.vendors.grand_shooting.fan_out.audit import AuditTotals, audit
from sync_pipelines.vendors.grand_shooting.fan_out.plan import Plan, make_plan, progress, start_plan
from sync_pipelines.vendors.grand_shooting.vendor import connect
from sync_pipelines_tests.vendors.grand_shooting.worlds import FanOutWorld

World = Callable[..., FanOutWorld]
BATCH_ONLY: dict[str, Any] = {"webhooks": False}


def plan_of(one: FanOutWorld, name: str = "paris") -> Plan:
    with connect(one.context(f"grand_shooting/{name}", Lane.BACKFILL)) as client:
        return make_plan(one.database, one.links[name], client)


def start(one: FanOutWorld, plan: Plan, confirmed: int | None = None) -> int:
    with one.database.transaction() as connection:
        return start_plan(connection, plan, confirmed=confirmed, run_id="person")


def audit_of(one: FanOutWorld, name: str = "paris") -> AuditTotals:
    with connect(one.context(f"grand_shooting/{name}", Lane.BACKFILL)) as client:
        return audit(one.database, one.links[name], client)


def test_a_plan_counts_and_changes_nothing_and_the_drain_carries_it_out(world: World) -> None:
    one = world(paris=BATCH_ONLY)
    main = one.truth("main")
    one.edit(
        "paris",
        "GS-000001",
        {k: v for k, v in main["GS-000001"].items() if k not in {"ref", "reference_id", "date_cre", "date_mod"}},
    )
    one.edit("paris", "GS-000002", {"brand": "Other"})
    one.edit("paris", "STRANGER", {"brand": "Other"})
    one.mirror()
    plan = plan_of(one)
    assert plan.counts == {"create": 118, "update": 1, "delete": 1, "unchanged": 1, "failed": 0, "main": 120, "secondary": 3}
    assert [item["ref"] for item in plan.samples["delete"]] == ["STRANGER"]
    assert len(one.truth("paris")) == 3
    assert one.rows("select count(*) from sync.tasks") == [(0,)]
    assert start(one, plan, confirmed=plan.id) == 120
    with one.database.connect() as connection:
        state = progress(connection, plan, 4.0)
    assert (state.total, state.left) == (120, 120)
    assert state.seconds_left == pytest.approx((119 / 100 + 1) / 4)
    totals = one.drain().links["paris"]
    assert (totals.written, totals.deleted, totals.dead_lettered) == (119, 1, 0)
    one.expect("paris")
    assert plan_of(one).counts["unchanged"] == 120


def test_the_brake_holds_a_plan_until_it_is_confirmed_by_its_id(world: World) -> None:
    one = world(paris=BATCH_ONLY)
    for number in range(10):
        one.edit("paris", f"STRANGER-{number}", {"brand": "Other"})
    one.mirror()
    plan = plan_of(one)
    assert plan.brake
    for wrong in (None, plan.id + 1):
        with pytest.raises(BrakePulled, match=str(plan.id)):
            start(one, plan, confirmed=wrong)
    start(one, plan, confirmed=plan.id)
    with pytest.raises(ConfigError, match="before"):
        start(one, plan, confirmed=plan.id)
    one.drain()
    one.expect("paris")


def test_a_newer_plan_drops_the_one_before(world: World) -> None:
    one = world(paris=BATCH_ONLY)
    one.mirror()
    old, new = plan_of(one), plan_of(one)
    with pytest.raises(ConfigError):
        start(one, old)
    assert start(one, new) == 120


def test_live_changes_pass_an_initialisation(world: World) -> None:
    one = world(paris={}, unlimited=False)
    one.control.post("populate", account="main", references=800)
    one.mirror()
    one.rows("delete from sync.tasks returning 1")
    start(one, plan_of(one))
    one.edit("main", "GS-000800", {"brand": "Gum"})
    one.announce("GS-000800")
    one.drain()
    done = one.rows("select key, lane from sync.tasks_done where queue = 'grand_shooting.fan_out' order by finished_at, id")
    assert ("GS-000800", "webhook") in done[:401]
    one.expect("paris")


def test_an_audit_finds_and_overwrites_what_somebody_else_changed(world: World) -> None:
    one = world(paris={})
    one.mirror()
    one.drain()
    one.edit("paris", "GS-000003", {"brand": "Foreign"})
    one.edit("paris", "STRANGER", {"brand": "Other"})
    found = audit_of(one)
    assert (found.compared, found.foreign, found.strangers, found.samples) == (120, 1, 1, ["GS-000003"])
    one.drain()
    one.edit("paris", "STRANGER", None)
    one.expect("paris")
    assert audit_of(one).foreign == 0
