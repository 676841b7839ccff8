"""Work done again, and work that fails again: by link, time, reference and error; one retry unless a link wants more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.vendors.grand_shooting.fan_out.replay import Selection, replay, select
from sync_pipelines_tests.vendors.grand_shooting.worlds import FanOutWorld

World = Callable[..., FanOutWorld]

NOW = datetime.now(UTC)
EVER = {"since": NOW - timedelta(days=7), "until": NOW + timedelta(days=1)}


def selected(one: FanOutWorld, **criteria: Any) -> list[str]:
    with one.database.connect() as connection:
        return select(connection, Selection(**{"link": "paris", **EVER, **criteria}))


@pytest.fixture
def one(world: World) -> FanOutWorld:
    """Everything was written to both links, but for one reference whose barcode a stranger holds at paris."""
    made = world(paris={"retries": 0}, lyon={})
    made.edit("paris", "STRANGER", {"ean": made.truth("main")["GS-000007"]["ean"]})
    made.mirror()
    made.drain()
    return made


def test_finished_work_is_selected_by_link_time_reference_and_error(one: FanOutWorld) -> None:
    assert len(selected(one)) == 120
    assert selected(one, ref="GS-000003") == ["GS-000003"]
    assert selected(one, error="STRANGER") == ["GS-000007"]
    assert selected(one, only_failed=True) == ["GS-000007"]
    assert selected(one, link="lyon", only_failed=True) == []
    assert selected(one, until=NOW - timedelta(days=1)) == []


def test_looking_changes_nothing_and_replaying_writes_what_was_written_before(one: FanOutWorld) -> None:
    one.edit("paris", "GS-000003", {"brand": "Foreign"})
    assert selected(one, ref="GS-000003") == ["GS-000003"]
    assert one.drain().links["paris"].claimed == 0
    with one.database.transaction() as connection:
        assert replay(connection, Selection("paris", **EVER, ref="GS-000003")) == 1
    assert one.rows("select key, lane from sync.tasks") == [("GS-000003", "replay")]
    assert one.drain().links["paris"].written == 1
    assert one.truth("paris")["GS-000003"]["brand"] == one.truth("main")["GS-000003"]["brand"]


def test_what_was_given_up_is_replayed_once_its_cause_is_gone(one: FanOutWorld) -> None:
    one.edit("paris", "STRANGER", None)
    with one.database.transaction() as connection:
        assert replay(connection, Selection("paris", **EVER, error="STRANGER")) == 1
    one.drain()
    one.expect("paris")
    assert one.rows("select state from sync.dead_letters") == [("resolved",)]


@pytest.mark.parametrize(("options", "tries"), [({}, 2), ({"retries": 3}, 4)])
def test_a_failing_reference_is_tried_once_more_or_as_often_as_its_link_says(
    world: World, options: dict[str, int], tries: int
) -> None:
    failing = world(paris=options)
    failing.edit("paris", "STRANGER", {"ean": failing.truth("main")["GS-000007"]["ean"]})
    failing.mirror()
    for number in range(1, tries + 1):
        totals = failing.drain().links["paris"]
        assert (totals.retried, totals.dead_lettered) == ((0, 1) if number == tries else (1, 0))
        failing.expire_leases()
    assert failing.rows("select attempts from sync.tasks_done where outcome = 'dead'") == [(tries,)]
