"""One sync for all streams: windows, resuming, dead letters, scans and the brake, on a vendor small enough to think about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import pytest

from sync_pipelines.core import dead_letters, holds, partitions, replay
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.errors import (
    AuthError,
    ConfigError,
    ContractError,
    DatabaseUnavailable,
    RemoteError,
    StreamBusy,
    Throttled,
    TransientError,
)
from sync_pipelines.core.maintenance import maintain
from sync_pipelines.core.resend import resend, retry_due
from sync_pipelines.core.retention import Retention
from sync_pipelines.core.stream import DeletePolicy, Deletes, Page, Stream
from sync_pipelines.core.sync import Mode, Request, exclusive, sync_stream
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.core.windows import Ledger, Window
from sync_pipelines_tests.core.toy_stream import NOON, ToyVendor, create_tables, stored, toy_stream, truth
from sync_pipelines_tests.servers import TestServer

ACCOUNT = "toy/one"
START = NOON - timedelta(days=1)
ABSENT = DeletePolicy(Deletes.ABSENT, confirmations=2, brake_share=0.5, brake_rows=100)


@pytest.fixture
def things(database: Database) -> Database:
    create_tables(database)
    return database


@pytest.fixture
def vendor() -> ToyVendor:
    toy = ToyVendor()
    for number in range(10):
        toy.put(f"t{number}", minute=number, count=number, parts={"a": "red", "b": "blue"})
    return toy


def sync(database: Database, vendor: ToyVendor, stream: Stream[Any] | None = None, request: Request | None = None) -> SyncTotals:
    return sync_stream(
        stream or toy_stream(),
        database=database,
        account=ACCOUNT,
        client=vendor,
        run_id="run",
        settings=None,
        request=request or Request(start=START),
    )


def confirmed(database: Database) -> list[Window]:
    with database.connect() as connection:
        return Ledger(ACCOUNT, "toy/things").confirmed(connection)


def crashing(database: Database, server: TestServer, at: int, *, loses_page: bool) -> Callable[[int], None]:
    """The server dies and is back before the page ``at``: without its unlogged tables and, if wished, without the page before."""
    run_each(database, "ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")

    def before_page(served: int) -> None:
        if served == (at - 1 if loses_page else at):
            run_each(database, "CHECKPOINT")
        if served == at:
            server.kill()
            server.start()
            run_each(database, "ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")

    return before_page


def run_each(database: Database, *statements: LiteralString) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)


def crash(at: int, error: Exception) -> Any:
    def before_page(served: int) -> None:
        if served == at:
            raise error

    return before_page


def test_a_first_sync_reads_from_its_start_and_confirms_up_to_now(things: Database, vendor: ToyVendor) -> None:
    totals = sync(things, vendor)
    assert stored(things) == truth(vendor)
    assert (totals.fetched, totals.inserted, totals.status) == (10, 10, Status.COMPLETE)
    (window,) = confirmed(things)
    assert window.start == START
    assert datetime.now(UTC) - window.end < timedelta(minutes=1)


def test_a_stream_without_a_start_begins_thirty_days_ago(things: Database, vendor: ToyVendor) -> None:
    sync(things, vendor, request=Request())
    (window,) = confirmed(things)
    assert timedelta(days=30) <= datetime.now(UTC) - window.start < timedelta(days=31)


def test_a_crash_between_pages_resumes_at_the_next_page_and_confirms_only_then(things: Database, vendor: ToyVendor) -> None:
    vendor.before_page = crash(2, TransientError("gone"))
    with pytest.raises(TransientError):
        sync(things, vendor)
    assert len(stored(things)) == 6
    assert confirmed(things) == []
    vendor.before_page = lambda _: None
    pages_before = vendor.pages_served
    sync(things, vendor)
    assert stored(things) == truth(vendor)
    assert len(confirmed(things)) == 1
    assert vendor.pages_served - pages_before <= 3  # two left of the broken window, one for what came after it


def test_pages_that_the_server_lost_in_a_crash_are_not_confirmed_by_the_pages_after_them(
    things: Database, vendor: ToyVendor, postgres_server: TestServer
) -> None:
    vendor.before_page = crashing(things, postgres_server, at=2, loses_page=True)
    with pytest.raises(DatabaseUnavailable):
        sync(things, vendor)
    assert confirmed(things) == []
    sync(things, vendor)
    assert stored(things) == truth(vendor)


def test_a_window_that_the_vendor_could_not_show_whole_is_stored_and_read_again(things: Database, vendor: ToyVendor) -> None:
    def in_part(client: ToyVendor, window: Window, token: str | None) -> Iterator[Page]:
        for page in client.changed(window, token):
            yield replace(page, is_whole=False)

    totals = sync(things, vendor, replace(toy_stream(), changed=in_part))
    assert totals.status is Status.PARTIAL
    assert confirmed(things) == []
    assert stored(things) == truth(vendor)
    vendor.put("t-1", minute=-5)
    assert sync(things, vendor).inserted == 1
    assert len(confirmed(things)) == 1


def test_a_used_up_quota_ends_the_run_cleanly_and_the_next_goes_on(things: Database, vendor: ToyVendor) -> None:
    resume_at = datetime.now(UTC) + timedelta(hours=1)
    vendor.before_page = crash(1, Throttled("used up", retry_at=resume_at))
    totals = sync(things, vendor)
    assert (totals.status, totals.resume_at, totals.fetched) == (Status.PARTIAL, resume_at, 3)
    vendor.before_page = lambda _: None
    assert sync(things, vendor).status is Status.COMPLETE
    assert stored(things) == truth(vendor)


def test_a_token_past_its_life_starts_its_window_anew(things: Database, vendor: ToyVendor) -> None:
    stream = toy_stream(token_lifetime=timedelta(0))
    vendor.before_page = crash(2, TransientError("gone"))
    with pytest.raises(TransientError):
        sync(things, vendor, stream)
    vendor.before_page = lambda _: None
    totals = sync(things, vendor, stream)
    assert totals.fetched >= 10
    assert stored(things) == truth(vendor)


def test_holes_are_refilled_by_the_next_delta(things: Database, vendor: ToyVendor) -> None:
    ledger = Ledger(ACCOUNT, "toy/things")
    with things.transaction() as connection:
        ledger.open(connection, origin=START)
        ledger.confirm(connection, Window(START, NOON + timedelta(minutes=3)))
        ledger.confirm(connection, Window(NOON + timedelta(minutes=6), datetime.now(UTC)))
    sync(things, vendor, toy_stream(overlap=timedelta(0)))
    assert {"t3", "t4", "t5"} <= set(stored(things))
    assert len(confirmed(things)) == 1


def test_a_confirmed_window_can_be_read_again_and_changes_nothing(things: Database, vendor: ToyVendor) -> None:
    sync(things, vendor)
    before = confirmed(things)
    window = Window(NOON, NOON + timedelta(minutes=5))
    totals = sync(things, vendor, request=Request(mode=Mode.WINDOW, window=window))
    assert (totals.fetched, totals.unchanged, totals.written) == (5, 5, 0)
    assert confirmed(things) == before


def test_two_runs_of_one_stream_and_account_do_not_overlap_but_a_backfill_runs_beside(things: Database, vendor: ToyVendor) -> None:
    with exclusive(things, f"toy/things@{ACCOUNT}#live"):
        with pytest.raises(StreamBusy):
            sync(things, vendor)
        window = Window(NOON, NOON + timedelta(minutes=5))
        sync(things, vendor, request=Request(mode=Mode.WINDOW, lane=Lane.BACKFILL, window=window))
    assert len(stored(things)) == 5


def test_a_paging_token_that_repeats_is_an_error_and_not_a_loop(things: Database, vendor: ToyVendor) -> None:
    body = b'{"things":[]}'
    stream = toy_stream()
    looping = Stream(
        **{name: getattr(stream, name) for name in ("key", "table", "description", "records", "parse", "key_of")},
        changed=lambda _client, _window, _token: iter([Page(body, "toy", "GET /things", "again")] * 3),
    )
    with pytest.raises(ContractError, match="repeats a token"):
        sync(things, vendor, looping)
    assert confirmed(things) == []


def test_a_broken_record_is_one_dead_letter_and_its_page_mates_are_stored(things: Database, vendor: ToyVendor) -> None:
    vendor.things["t4"]["count"] = "secret text"
    totals = sync(things, vendor)
    assert (totals.dead_lettered, totals.inserted) == (1, 9)
    assert set(stored(things)) == set(truth(vendor)) - {"t4"}
    with things.connect() as connection:
        (letter,) = dead_letters.find(connection)
    assert (letter.key, letter.state, letter.subject) == ("t4", "open", "toy/things")
    assert "count" in letter.error
    assert "secret text" not in letter.error
    assert b"secret text" in letter.payload
    sync(things, vendor, request=Request(start=START, mode=Mode.FULL))
    with things.connect() as connection:
        assert [one.seen for one in dead_letters.find(connection)] == [2]


def test_a_value_the_database_refuses_is_a_dead_letter_too(things: Database, vendor: ToyVendor) -> None:
    vendor.things["t2"]["count"] = 2**40
    vendor.things["t5"]["name"] = "nul \x00 inside"
    totals = sync(things, vendor)
    assert (totals.dead_lettered, totals.inserted) == (2, 8)


def test_an_edited_letter_is_stored_and_resolved(things: Database, vendor: ToyVendor) -> None:
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor)
    with things.transaction() as connection:
        (letter,) = dead_letters.find(connection)
        dead_letters.edit(connection, letter.id, letter.payload.replace(b'"four"', b"4"))
        (edited,) = dead_letters.find(connection)
    assert resend(toy_stream(), edited, database=things, run_id="again", settings=None, client=None) is None
    assert stored(things)["t4"][1] == 4
    with things.connect() as connection:
        assert dead_letters.find(connection) == []


def test_a_letter_resolves_itself_when_a_newer_version_is_stored(things: Database, vendor: ToyVendor) -> None:
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor)
    vendor.put("t4", minute=30, count=4)
    sync(things, vendor, request=Request(start=START, mode=Mode.FULL))
    with things.connect() as connection:
        (letter,) = dead_letters.find(connection, states=["resolved"])
    assert letter.resolved_by == "newer version"


def test_retries_follow_their_delays_and_then_wait_for_a_person(things: Database, vendor: ToyVendor) -> None:
    queue = RetryQueue("toy-dlq", (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20)))
    stream = toy_stream(retry_queue=queue)
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor, stream)
    waits = []
    for _ in range(3):
        with things.transaction() as connection:
            (letter,) = dead_letters.find(connection)
            assert letter.next_attempt_at
            waits.append(round((letter.next_attempt_at - datetime.now(UTC)).total_seconds() / 60))
            connection.execute("UPDATE sync.dead_letters SET next_attempt_at = clock_timestamp()")
        retry_due(stream, database=things, run_id="retry", settings=None, client=vendor, account=ACCOUNT)
    assert waits == [5, 10, 20]
    with things.connect() as connection:
        (letter,) = dead_letters.find(connection)
    assert (letter.state, letter.attempts, letter.next_attempt_at) == ("open", 3, None)


@pytest.mark.parametrize(
    "error",
    [
        TransientError("away", account=ACCOUNT),
        AuthError("refused", account=ACCOUNT),
        Throttled("full", account=ACCOUNT, retry_at=NOON),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_vendor_that_can_not_be_asked_uses_up_no_attempt(things: Database, vendor: ToyVendor, error: RemoteError) -> None:
    def away(_client: ToyVendor, _key: str) -> Page:
        raise error

    queue = RetryQueue("toy-dlq", (timedelta(minutes=5), timedelta(minutes=10)))
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor, toy_stream(retry_queue=queue))
    for _ in range(4):
        with things.transaction() as connection:
            connection.execute("UPDATE sync.dead_letters SET next_attempt_at = clock_timestamp()")
        stream = toy_stream(retry_queue=queue, fetch_one=away)
        done = retry_due(stream, database=things, run_id="retry", settings=None, client=vendor, account=ACCOUNT)
        assert (done.postponed, done.retrying, done.opened) == (1, 0, 0)
        with things.connect() as connection:
            (letter,) = dead_letters.find(connection)
        assert (letter.state, letter.attempts) == ("retrying", 0)
        assert letter.next_attempt_at
        assert letter.next_attempt_at > datetime.now(UTC) + timedelta(minutes=4)
        assert "count" in letter.error, "the first reason stays"


def test_a_letter_that_nobody_could_ask_about_for_a_week_is_a_persons(things: Database, vendor: ToyVendor) -> None:
    def away(_client: ToyVendor, _key: str) -> Page:
        raise TransientError("away", account=ACCOUNT)

    stream = toy_stream(retry_queue=RetryQueue("toy-dlq", (timedelta(minutes=5),)), fetch_one=away)
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor, stream)
    with things.transaction() as connection:
        connection.execute(
            "UPDATE sync.dead_letters SET next_attempt_at = clock_timestamp(), opened_at = opened_at - interval '8 days'"
        )
    retry_due(stream, database=things, run_id="retry", settings=None, client=vendor, account=ACCOUNT)
    with things.connect() as connection:
        (letter,) = dead_letters.find(connection)
    assert (letter.state, letter.next_attempt_at) == ("open", None)
    assert "could not be asked" in letter.error


def test_a_vendor_that_is_away_is_not_asked_for_every_letter(things: Database, vendor: ToyVendor) -> None:
    asked: list[str] = []

    def away(_client: ToyVendor, key: str) -> Page:
        asked.append(key)
        raise TransientError("away", account=ACCOUNT)

    stream = toy_stream(retry_queue=RetryQueue("toy-dlq", (timedelta(minutes=5),)), fetch_one=away)
    for thing in vendor.things.values():
        thing["count"] = "many"
    sync(things, vendor, stream)
    with things.transaction() as connection:
        connection.execute("UPDATE sync.dead_letters SET next_attempt_at = clock_timestamp()")
    done = retry_due(stream, database=things, run_id="retry", settings=None, client=vendor, account=ACCOUNT)
    assert (len(asked), done.postponed) == (3, 3)


def test_a_resolved_letter_can_not_be_edited(things: Database, vendor: ToyVendor) -> None:
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor)
    with things.transaction() as connection:
        (letter,) = dead_letters.find(connection)
        dead_letters.resolve(connection, [letter.id], by="anna")
    with (
        things.transaction() as connection,
        pytest.raises(ConfigError, match=r"is resolved already \(by: anna\); nothing was changed"),
    ):
        dead_letters.edit(connection, letter.id, b"{}")
    with things.connect() as connection, pytest.raises(ConfigError, match="there is no dead letter 999"):
        dead_letters.edit(connection, 999, b"{}")


def test_the_due_letters_of_others_in_a_queue_do_not_keep_an_account_waiting(things: Database, vendor: ToyVendor) -> None:
    stream = toy_stream(retry_queue=RetryQueue("toy-dlq", (timedelta(minutes=5),)))
    vendor.things["t4"]["count"] = "four"
    sync(things, vendor, stream)
    with things.transaction() as connection:
        for key in ("a", "b"):
            others = {"account": "toy/other", "subject": stream.key, "key": key, "cause": "DataError", "error": "broken"}
            letter = dead_letters.NewLetter(**others, payload=b"{}", request="", run_id="run", retry=stream.retry_queue)
            dead_letters.open_letter(connection, letter)
        connection.execute("UPDATE sync.dead_letters SET next_attempt_at = clock_timestamp() - id * interval '1 minute'")
    done = retry_due(stream, database=things, run_id="retry", settings=None, client=vendor, account=ACCOUNT, limit=2)
    assert done.opened == 1


def test_replay_changes_nothing_and_never_undoes_what_is_newer(things: Database, vendor: ToyVendor) -> None:
    sync(things, vendor)
    vendor.put("t1", minute=40, count=99)
    sync(things, vendor, request=Request(start=START, mode=Mode.FULL))
    before = stored(things)
    assert list(replay.rehearse(toy_stream(), database=things, account=ACCOUNT, settings=None)) == []
    totals = replay.replay(toy_stream(), database=things, account=ACCOUNT, run_id="replay", settings=None)
    assert (totals.written, totals.stale) == (0, 1)
    assert stored(things) == before


def test_replay_rewrites_what_todays_mapping_maps_otherwise_and_a_dry_run_shows_it(things: Database, vendor: ToyVendor) -> None:
    sync(things, vendor)
    old = toy_stream()

    def parse(raw: bytes, context: Any) -> Any:
        record = old.parse(raw, context)
        record.row["name"] = record.row["name"].upper()
        return record

    mapped = toy_stream()
    object.__setattr__(mapped, "parse", parse)
    changes = list(replay.rehearse(mapped, database=things, account=ACCOUNT, settings=None))
    assert len(changes) == 10
    assert changes[0].columns == {"name": ("thing", "THING")}
    assert stored(things)["t1"][0] == "thing"
    assert replay.replay(mapped, database=things, account=ACCOUNT, run_id="replay", settings=None).updated == 10
    assert stored(things)["t1"][0] == "THING"


def full(database: Database, vendor: ToyVendor) -> SyncTotals:
    return sync(database, vendor, toy_stream(is_windowed=False, deletes=ABSENT), Request(mode=Mode.FULL))


def test_a_record_missed_by_two_complete_scans_becomes_a_tombstone(things: Database, vendor: ToyVendor) -> None:
    full(things, vendor)
    del vendor.things["t3"]
    assert full(things, vendor).deleted == 0
    assert "t3" in stored(things)
    assert full(things, vendor).deleted == 1
    assert stored(things) == truth(vendor)


def test_a_record_that_comes_back_in_between_is_not_buried(things: Database, vendor: ToyVendor) -> None:
    full(things, vendor)
    kept = vendor.things.pop("t3")
    full(things, vendor)
    vendor.things["t3"] = kept
    full(things, vendor)
    del vendor.things["t3"]
    assert full(things, vendor).deleted == 0


def test_a_scan_that_broke_off_goes_on_and_counts_once(things: Database, vendor: ToyVendor) -> None:
    full(things, vendor)
    del vendor.things["t9"]
    vendor.before_page = crash(vendor.pages_served + 2, TransientError("gone"))
    with pytest.raises(TransientError):
        full(things, vendor)
    vendor.before_page = lambda _: None
    assert full(things, vendor).deleted == 0
    assert full(things, vendor).deleted == 1


def test_a_scan_whose_notes_were_lost_in_a_crash_buries_nobody(
    things: Database, vendor: ToyVendor, postgres_server: TestServer
) -> None:
    hasty = toy_stream(is_windowed=False, deletes=replace(ABSENT, confirmations=1))
    sync(things, vendor, hasty)
    vendor.before_page = crashing(things, postgres_server, at=vendor.pages_served + 1, loses_page=False)
    with pytest.raises(DatabaseUnavailable):
        sync(things, vendor, hasty)
    assert sync(things, vendor, hasty).deleted == 0
    assert stored(things) == truth(vendor)


def test_a_stream_has_one_scan_at_a_time_whatever_the_lane(things: Database, vendor: ToyVendor) -> None:
    def begin_another(served: int) -> None:
        if served == 1:
            with pytest.raises(StreamBusy):
                sync(things, vendor, request=Request(mode=Mode.FULL, lane=Lane.BACKFILL))

    vendor.before_page = begin_another
    sync(things, vendor, request=Request(mode=Mode.FULL, start=START))
    assert stored(things) == truth(vendor)


def test_the_brake_holds_a_mass_deletion_until_a_person_confirms_it(things: Database, vendor: ToyVendor) -> None:
    full(things, vendor)
    everything = dict(vendor.things)
    vendor.things = {"t0": everything["t0"]}
    full(things, vendor)
    held = full(things, vendor)
    assert held.deleted == 0
    assert "brake" in (held.stopped_because or "")
    assert len(stored(things)) == 10
    with things.transaction() as connection:
        (hold,) = holds.holds(connection)
        assert holds.confirm_hold(connection, hold.id, by="tester")
    assert full(things, vendor).deleted == 9
    with things.connect() as connection:
        assert holds.holds(connection) == []


def test_an_empty_list_deletes_nothing(things: Database, vendor: ToyVendor) -> None:
    full(things, vendor)
    vendor.things = {}
    for _ in range(3):
        assert full(things, vendor).deleted == 0
    assert len(stored(things)) == 10


def test_an_answer_outside_of_the_contract_is_kept_and_resolves_when_reading_goes_on(things: Database, vendor: ToyVendor) -> None:
    vendor.before_page = crash(1, ContractError("not a page", body=b"<html>"))
    with pytest.raises(ContractError):
        sync(things, vendor)
    with things.connect() as connection:
        (letter,) = dead_letters.find(connection)
    assert (letter.key, letter.payload) == ("page", b"<html>")
    vendor.before_page = lambda _: None
    sync(things, vendor)
    with things.connect() as connection:
        assert dead_letters.find(connection) == []
    assert stored(things) == truth(vendor)


def test_upkeep_drops_whole_days_past_their_retention_and_makes_days_ahead(things: Database, vendor: ToyVendor) -> None:
    sync(things, vendor)
    today = datetime.now(UTC).date()
    with things.connect() as connection:
        partitions.ensure_days(connection, "archive", first=today - timedelta(days=10), days=11)
    done = maintain(things, Retention(archive_days=7))
    with things.connect() as connection:
        days = partitions.existing_days(connection, "archive")
        row = connection.execute("SELECT count(*) FROM sync.archive").fetchone()
    assert done.archive_days_dropped == 3
    assert (days[0], days[-1]) == (today - timedelta(days=7), today + timedelta(days=3))
    assert row
    assert row[0] > 0
