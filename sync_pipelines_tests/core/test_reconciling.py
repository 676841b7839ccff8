"""Comparing with the vendor's list: finds what was changed by hand, mends what the vendor knows, reports the rest, resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core import reconciliation
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError, DataError, Throttled
from sync_pipelines.core.reconciliation import Reconciliation
from sync_pipelines.core.reconciling import reconcile_stream
from sync_pipelines.core.stream import DeletePolicy, Deletes, Page, Stream
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.core.totals import Status
from sync_pipelines.core.windows import Window
from sync_pipelines_tests.core.toy_stream import NOON, ToyVendor, create_tables, stored, toy_stream, truth

WINDOW = Window(NOON - timedelta(days=1), NOON + timedelta(days=1))
ACCOUNT = "toy/one"


def fetch_one(vendor: ToyVendor, key: str) -> Page:
    if key not in vendor.things:
        raise DataError(f"no thing {key}", account=ACCOUNT)
    return next(vendor.page([vendor.things[key]], None))


STREAM = toy_stream(fetch_one=fetch_one)


@pytest.fixture
def vendor() -> ToyVendor:
    made = ToyVendor()
    for number in range(10):
        made.put(f"t{number}", minute=number, parts={"a": "red", "b": "blue"})
    return made


@pytest.fixture
def things(database: Database, vendor: ToyVendor) -> Database:
    create_tables(database)
    whole = Request(Mode.WINDOW, window=WINDOW)
    sync_stream(STREAM, database=database, account=ACCOUNT, client=vendor, run_id="sync", settings=None, request=whole)
    return database


def compare(database: Database, vendor: ToyVendor, stream: Stream[Any] = STREAM, **options: Any) -> Reconciliation:
    options.setdefault("window", WINDOW if stream.is_windowed else None)
    found = reconcile_stream(
        stream, database=database, account=ACCOUNT, client=vendor, run_id=options.pop("run_id", "compare"), settings=None, **options
    )
    assert found is not None
    return found


def run(database: Database, statement: str, *values: Any) -> None:
    with database.connect() as connection:
        connection.execute(statement.encode(), values)


def test_equal_tables_are_found_equal_and_nothing_is_written(things: Database, vendor: ToyVendor) -> None:
    found = compare(things, vendor)
    assert (found.equal, found.repaired, found.different, found.status) == (10, 0, 0, Status.COMPLETE)
    assert found.parts == [{"part": "2026-03-01", "theirs": 10, "ours": 10, "equal": 10}]
    with things.connect() as connection:
        assert connection.execute("SELECT count(*) FROM toy.things WHERE run_id <> 'sync'").fetchone() == (0,)


INVENTED_PART = (
    "INSERT INTO toy.parts SELECT account, thing_id, 'zzz', 'pink', raw, version, content_hash, deleted_at, first_seen_at,"
    " synced_at, run_id FROM toy.parts WHERE thing_id = 't3' AND part_id = 'a'"
)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM toy.things WHERE thing_id = 't3'",
        "UPDATE toy.things SET name = 'by hand' WHERE thing_id = 't3'",
        "UPDATE toy.things SET raw = '{}', content_hash = '\\x00', count = 7 WHERE thing_id = 't3'",
        "UPDATE toy.things SET version = version - interval '1 hour', name = 'older' WHERE thing_id = 't3'",
        "UPDATE toy.parts SET colour = 'by hand' WHERE thing_id = 't3' AND part_id = 'a'",
        "DELETE FROM toy.parts WHERE thing_id = 't3' AND part_id = 'a'",
        INVENTED_PART,
    ],
)
@pytest.mark.parametrize("is_windowed", [True, False])
def test_what_was_changed_by_hand_is_found_and_mended(things: Database, vendor: ToyVendor, damage: str, is_windowed: bool) -> None:
    run(things, damage)
    stream = STREAM if is_windowed else toy_stream(is_windowed=False)
    rehearsed = compare(things, vendor, stream, is_dry_run=True)
    assert (rehearsed.repaired, rehearsed.different) == (0, 1)
    assert stored(things) != truth(vendor)
    found = compare(things, vendor, stream)
    assert (found.equal, found.repaired, found.different) == (9, 1, 0)
    assert list(found.samples.values()) == [["t3"]]
    assert stored(things) == truth(vendor)
    assert compare(things, vendor, stream).equal == 10


def test_a_column_changed_by_hand_is_mended_where_the_version_is_the_read_time(things: Database, vendor: ToyVendor) -> None:
    stream = toy_stream(is_windowed=False, version_is_read_time=True)
    run(things, "UPDATE toy.things SET name = 'by hand', version = version - interval '1 day' WHERE thing_id = 't3'")
    found = compare(things, vendor, stream)
    assert (found.repaired, found.samples) == (1, {"altered": ["t3"]})
    assert stored(things) == truth(vendor)


INVENT = (
    "INSERT INTO toy.things SELECT account, 'forged', 'forged', 1, raw, version, content_hash, deleted_at, first_seen_at,"
    " synced_at, run_id FROM toy.things WHERE thing_id = 't3'"
)


@pytest.mark.parametrize(
    "stream", [STREAM, toy_stream(), toy_stream(is_windowed=False), toy_stream(is_windowed=False, fetch_one=fetch_one)]
)
def test_a_row_that_the_vendor_does_not_know_is_reported_and_stays(
    things: Database, vendor: ToyVendor, stream: Stream[Any]
) -> None:
    run(things, INVENT)
    found = compare(things, vendor, stream)
    assert (found.equal, found.repaired, found.different, found.samples) == (10, 0, 1, {"invented": ["forged"]})
    assert "forged" in stored(things)
    with things.connect() as connection:
        (recorded,) = reconciliation.latest(connection, stream.key)
    assert (recorded.account, recorded.different, recorded.samples) == (ACCOUNT, 1, {"invented": ["forged"]})


def test_a_row_that_left_the_window_meanwhile_is_asked_for_instead_of_suspected(things: Database, vendor: ToyVendor) -> None:
    vendor.put("t3", minute=60 * 24 * 3, name="changed since")
    found = compare(things, vendor)
    assert (found.equal, found.newer, found.repaired, found.different) == (9, 1, 0, 0)
    assert stored(things)["t3"][0] == "changed since"


def test_tombstones_of_living_records_and_versions_from_the_future_are_reported(things: Database, vendor: ToyVendor) -> None:
    run(things, "UPDATE toy.things SET deleted_at = now() WHERE thing_id = 't1'")
    run(things, "UPDATE toy.things SET version = now() + interval '1 year' WHERE thing_id = 't2'")
    found = compare(things, vendor)
    assert (found.equal, found.different, found.samples) == (8, 2, {"buried": ["t1"], "ahead": ["t2"]})


def test_a_record_that_cannot_be_read_is_a_dead_letter_and_no_difference(things: Database, vendor: ToyVendor) -> None:
    vendor.put("t3", minute=3, count="many")
    found = compare(things, vendor)
    assert (found.equal, found.different) == (9, 0)
    with things.connect() as connection:
        assert connection.execute("SELECT key FROM sync.dead_letters").fetchall() == [("t3",)]


def test_rows_that_the_full_scans_have_missed_already_are_left_to_them(things: Database, vendor: ToyVendor) -> None:
    stream = toy_stream(is_windowed=False, deletes=DeletePolicy(Deletes.ABSENT, confirmations=2, brake_share=1))
    del vendor.things["t3"]
    sync_stream(stream, database=things, account=ACCOUNT, client=vendor, run_id="scan", settings=None)
    found = compare(things, vendor, stream)
    assert (found.equal, found.different, found.parts[0]["leaving"]) == (9, 0, 1)


def test_many_unlisted_rows_cast_doubt_on_the_list_and_are_not_asked_for(
    things: Database, vendor: ToyVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_pipelines.core.reconciling.MOST_LOOK_UPS", 3)
    asked: list[str] = []
    stream = replace(
        STREAM, changed=lambda client, window, token: client.page([], token), fetch_one=lambda _, key: asked.append(key)
    )
    found = compare(things, vendor, stream)
    assert (found.different, len(found.samples["invented"]), asked, len(stored(things))) == (10, 10, [], 10)


def throttle_at(page: int) -> Callable[[int], None]:
    def hook(number: int) -> None:
        if number == page:
            raise Throttled("quota", retry_at=datetime.now(UTC) + timedelta(hours=1), account=ACCOUNT)

    return hook


def test_a_used_up_quota_ends_it_cleanly_and_the_next_one_goes_on(things: Database, vendor: ToyVendor) -> None:
    run(things, "DELETE FROM toy.things WHERE thing_id = 't1'")
    run(things, INVENT)
    vendor.pages_served = 0
    vendor.before_page = throttle_at(2)
    first = compare(things, vendor)
    assert (first.status, first.equal, first.repaired) == (Status.PARTIAL, 5, 1)
    assert first.resume_at is not None
    with things.connect() as connection:
        assert reconciliation.latest(connection, STREAM.key) == []
    vendor.before_page, vendor.pages_served = lambda _: None, 0
    second = compare(things, vendor, window=None)
    assert (second.status, second.scope, second.equal, second.repaired, second.different) == (Status.COMPLETE, first.scope, 9, 1, 1)
    assert vendor.pages_served == 2


def test_lost_notes_mean_comparing_anew(things: Database, vendor: ToyVendor) -> None:
    vendor.pages_served, vendor.before_page = 0, throttle_at(2)
    compare(things, vendor)
    run(things, "TRUNCATE sync.compared_keys")
    vendor.before_page = lambda _: None
    assert compare(things, vendor).equal == 10


def test_without_a_window_it_compares_the_confirmed_days_of_its_reach(things: Database, vendor: ToyVendor) -> None:
    found = compare(things, vendor, window=None)
    assert found.scope == "2026-02-28 to 2026-03-02"
    assert found.equal == 10


def test_what_cannot_be_compared_says_so(things: Database, vendor: ToyVendor) -> None:
    with pytest.raises(ConfigError, match="no list"):
        compare(things, vendor, replace(STREAM, reconciling=None))
    with pytest.raises(ConfigError, match="as a whole"):
        compare(things, vendor, toy_stream(is_windowed=False), window=WINDOW)
    assert reconcile_stream(STREAM, database=things, account="toy/unread", client=vendor, run_id="compare", settings=None) is None
