"""The window ledger: confirmed time merges, holes stay visible, a delta reads exactly what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.db import Database
from sync_pipelines.core.windows import Ledger, Window, delta, merge, subtract

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = st.integers(0, 48)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    first = draw(HOURS)
    return Window(at(first), at(first + draw(st.integers(1, 12))))


def hours_of(found: list[Window]) -> set[int]:
    return {hour for hour in range(-1, 100) for window in found if window.start <= at(hour) < window.end}


@given(st.lists(windows()), st.lists(windows()))
def test_subtract_leaves_exactly_what_is_wanted_and_not_taken(wanted: list[Window], taken: list[Window]) -> None:
    left = subtract(wanted, taken)
    assert hours_of(left) == hours_of(wanted) - hours_of(taken)
    assert all(earlier.end < later.start for earlier, later in pairwise(left))


@given(windows(), st.integers(1, 7))
def test_slices_cover_a_window_without_overlap(window: Window, size: int) -> None:
    slices = list(window.slices(timedelta(hours=size)))
    assert merge(slices) == [window]
    assert all(one.end - one.start <= timedelta(hours=size) for one in slices)
    assert sum((one.end - one.start for one in slices), timedelta()) == window.end - window.start


@given(st.lists(windows()), st.integers(0, 60), st.integers(0, 5), st.integers(0, 5))
def test_a_delta_reads_every_hole_and_its_overlap_and_nothing_younger_than_the_safety_lag(
    confirmed: list[Window], now: int, overlap: int, lag: int
) -> None:
    planned = delta(
        origin=START, confirmed=confirmed, now=at(now), overlap=timedelta(hours=overlap), safety_lag=timedelta(hours=lag)
    )
    wanted = set(range(max(now - lag, 0)))
    missing = wanted - hours_of(confirmed)
    assert missing <= hours_of(planned) <= wanted
    overlapped = {hour - back for hour in missing for back in range(overlap + 1) if hour - back >= 0}
    assert hours_of(planned) == overlapped


def test_a_window_has_a_time_zone_and_a_length() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window(datetime(2026, 1, 1), datetime(2026, 1, 2))  # noqa: DTZ001
    with pytest.raises(ValueError, match="empty"):
        Window(START, START)


@given(st.lists(windows(), max_size=12))
def test_confirming_in_any_order_gives_the_same_ledger(found: list[Window]) -> None:
    assert hours_of(merge(found)) == hours_of(merge(reversed(found))) == hours_of(found)


def test_confirmed_windows_merge_in_the_database_and_holes_show(database: Database) -> None:
    ledger = Ledger("toy/one", "toy/things")
    with database.transaction() as connection:
        ledger.open(connection, origin=at(0))
        for first, last in [(0, 2), (4, 6), (2, 3), (5, 7)]:
            ledger.confirm(connection, Window(at(first), at(last)))
    with database.connect() as connection:
        assert ledger.confirmed(connection) == [Window(at(0), at(3)), Window(at(4), at(7))]
        assert ledger.holes(connection, Window(at(0), at(9))) == [Window(at(3), at(4)), Window(at(7), at(9))]
        assert Ledger("toy/two", "toy/things").confirmed(connection) == []


def test_an_earlier_start_moves_the_origin_back_and_a_later_one_does_not_move_it(database: Database) -> None:
    ledger = Ledger("toy/one", "toy/things")
    with database.transaction() as connection:
        assert ledger.open(connection, origin=at(5)) == at(5)
        assert ledger.open(connection, origin=at(9)) == at(5)
        assert ledger.open(connection, origin=at(1)) == at(1)


def test_progress_is_kept_per_window_and_lane_group_until_it_is_forgotten(database: Database) -> None:
    live, backfill = Ledger("toy/one", "toy/things"), Ledger("toy/one", "toy/things", "backfill")
    window = Window(at(0), at(1))
    with database.transaction() as connection:
        live.advance(connection, window, "page-2", at(1))
        live.advance(connection, window, "page-3", None)
        (progress,) = live.progress(connection)
        assert (progress.next_token, progress.pages, progress.confirmed_until) == ("page-3", 2, at(1))
        assert backfill.progress(connection) == []
        live.forget(connection, window)
        assert live.progress(connection) == []
