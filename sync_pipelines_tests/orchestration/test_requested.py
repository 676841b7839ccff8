"""Which request a partition and a config stand for."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from dagster import Failure

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.sync import Mode
from sync_pipelines.core.windows import Window
from sync_pipelines.orchestration import partitions
from sync_pipelines.orchestration.assets import SyncConfig, requested
from sync_pipelines_tests.core.toy_stream import toy_stream

WINDOWED = toy_stream(safety_lag=timedelta(minutes=2))
SNAPSHOT = toy_stream(is_windowed=False)
DAY = date(2026, 3, 1)


def instant(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def today() -> date:
    return datetime.now(UTC).date()


def test_todays_partition_reads_what_is_new_in_the_live_lane() -> None:
    request = requested(WINDOWED, SyncConfig(), today(), is_backfill=False)
    assert (request.mode, request.lane, request.window) == (Mode.INCREMENTAL, Lane.LIVE, None)


def test_another_days_partition_reads_that_day_again_in_the_backfill_lane() -> None:
    request = requested(WINDOWED, SyncConfig(), DAY, is_backfill=False)
    assert (request.mode, request.lane, request.window) == (Mode.WINDOW, Lane.BACKFILL, Window(instant(1), instant(2)))


def test_a_backfill_of_today_stops_at_the_safety_lag() -> None:
    before = datetime.now(UTC)
    request = requested(WINDOWED, SyncConfig(), before.date(), is_backfill=True)
    assert request.mode is Mode.WINDOW
    assert request.window is not None
    assert request.window.start < request.window.end <= datetime.now(UTC)


def test_a_snapshot_reads_everything() -> None:
    request = requested(SNAPSHOT, SyncConfig(), None, is_backfill=False)
    assert (request.mode, request.lane) == (Mode.FULL, Lane.LIVE)
    assert requested(SNAPSHOT, SyncConfig(), None, is_backfill=True).lane is Lane.BACKFILL


def test_config_names_another_window_mode_and_lane() -> None:
    config = SyncConfig(start="2026-03-01T06:00:00", end="2026-03-01T08:00:00+00:00", lane="retry")
    request = requested(WINDOWED, config, today(), is_backfill=False)
    assert (request.mode, request.lane, request.window) == (Mode.WINDOW, Lane.RETRY, Window(instant(1, 6), instant(1, 8)))
    full = requested(WINDOWED, SyncConfig(mode="full"), today(), is_backfill=False)
    assert (full.mode, full.window) == (Mode.FULL, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "2026-03-01"}, "end: empty, although start is '2026-03-01'; give both or neither, end as an ISO 8601 instant"),
        ({"end": "2026-03-01"}, "start: empty, although end is '2026-03-01'; give both or neither, start as an ISO 8601 instant"),
        ({"mode": "window", "start": "2026-03-01"}, "end: empty, although start is '2026-03-01'"),
        ({"mode": "window"}, "mode: 'window' needs start and end, each an ISO 8601 instant such as 2026-01-31T00:00:00Z"),
        ({"start": "yesterday", "end": "2026-03-01"}, "start: 'yesterday' is not an ISO 8601 instant"),
        ({"start": "2026-03-01", "end": "today"}, "end: 'today' is not an ISO 8601 instant"),
        ({"start": "2026-03-02", "end": "2026-03-01"}, "start: '2026-03-02' is not before end, '2026-03-01'"),
        ({"start": "2026-03-01", "end": "2026-03-01T00:00Z"}, "start: '2026-03-01' is not before end"),
        ({"mode": "full", "start": "2026-03-01", "end": "2026-03-02"}, "mode: 'full' does not go with start '2026-03-01' and end"),
        ({"mode": "incremental", "start": "2026-03-01", "end": "2026-03-02"}, "mode: 'incremental' does not go with start"),
        ({"mode": "Window"}, "mode: 'Window' is none of incremental, window, full"),
        ({"lane": "fast"}, "lane: 'fast' is none of live, webhook, retry, replay, backfill"),
    ],
)
def test_a_config_that_is_wrong_ends_the_run_naming_field_value_and_choices(given: dict[str, str], message: str) -> None:
    for stream, day in ((WINDOWED, today()), (WINDOWED, DAY), (SNAPSHOT, None)):
        with pytest.raises(Failure, match=f"^{re.escape(message)}") as refused:
            requested(stream, SyncConfig(**given), day, is_backfill=False)
        assert not refused.value.allow_retries


def test_a_time_for_what_is_read_whole_is_refused() -> None:
    config = SyncConfig(start="2026-03-01", end="2026-03-02")
    with pytest.raises(Failure, match=f"^start and end: {SNAPSHOT.key} is read whole each time; leave them out$"):
        requested(SNAPSHOT, config, None, is_backfill=False)


def test_empty_words_are_no_config() -> None:
    request = requested(WINDOWED, SyncConfig(mode="", lane="", start="", end=""), today(), is_backfill=False)
    assert request == requested(WINDOWED, SyncConfig(), today(), is_backfill=False)


def test_partition_keys_are_split_as_they_were_made() -> None:
    key = partitions.partition_key(WINDOWED, "toy/one", DAY)
    assert partitions.split_key(WINDOWED, str(key)) == ("toy/one", DAY)
    assert partitions.split_key(SNAPSHOT, partitions.partition_key(SNAPSHOT, "toy/one", DAY)) == ("toy/one", None)


def test_a_window_touches_every_day_it_reaches_into() -> None:
    touched = partitions.days_touched([(instant(1, 23), instant(3)), (instant(5, 1), instant(5, 2))])
    assert touched == [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 5)]
