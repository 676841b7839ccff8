"""When a night begins, through the oddities of local time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from sync_pipelines.vendors.gazelle.nightly import due_night, is_thorough, next_night

MONTREAL = ZoneInfo("America/Montreal")


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        ("2026-01-15T06:59:00", "2026-01-14", None),
        ("2026-01-15T07:00:00", "2026-01-14", "2026-01-15"),
        ("2026-01-15T07:01:00", "2026-01-15", None),
        ("2026-01-18T20:00:00", "2026-01-14", "2026-01-18"),
        ("2026-01-18T06:00:00", "2026-01-14", "2026-01-17"),
        # Clocks jump from 02:00 to 03:00 at 07:00 UTC.
        ("2026-03-08T06:59:00", "2026-03-07", None),
        ("2026-03-08T07:00:00", "2026-03-07", "2026-03-08"),
        # 01:00 to 02:00 comes twice, 02:00 only once.
        ("2026-11-01T06:59:00", "2026-10-31", None),
        ("2026-11-01T07:00:00", "2026-10-31", "2026-11-01"),
    ],
)
def test_a_night_begins_at_two_local_time(now: str, last: str, due: str | None) -> None:
    found = due_night(datetime.fromisoformat(now).replace(tzinfo=UTC), MONTREAL, date.fromisoformat(last))
    assert (found and found.isoformat()) == due


def test_the_next_night_is_the_one_that_will_be_due() -> None:
    before, after = datetime(2026, 1, 15, 6, 59, tzinfo=UTC), datetime(2026, 1, 15, 7, 0, tzinfo=UTC)
    assert next_night(before, MONTREAL) == after
    assert next_night(after, MONTREAL) == datetime(2026, 1, 16, 7, 0, tzinfo=UTC)


def test_a_new_account_is_due_at_once() -> None:
    assert due_night(datetime(2026, 1, 15, 18, tzinfo=UTC), MONTREAL, None) == date(2026, 1, 15)


@pytest.mark.parametrize(
    ("day", "last", "expected"),
    [
        ("2026-11-22", "2026-11-21", True),
        ("2026-11-23", "2026-11-22", False),
        ("2026-11-24", "2026-11-20", True),
        ("2026-11-22", None, False),
    ],
)
def test_sundays_and_missed_sundays_are_thorough(day: str, last: str | None, *, expected: bool) -> None:
    assert is_thorough(date.fromisoformat(day), last and date.fromisoformat(last)) is expected  # type: ignore[arg-type]
