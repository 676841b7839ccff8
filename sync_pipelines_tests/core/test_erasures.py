"""Personal data goes by rule, from every place, is recorded, and does not come back with the next reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core import dead_letters, erasures
from sync_pipelines.core.db import Database
from sync_pipelines.core.personal import Personal, text_without, without, without_anywhere
from sync_pipelines.core.reconciling import reconcile_stream
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Window
from sync_pipelines_tests.core.toy_stream import NOON, ToyVendor, create_tables, toy_stream

ACCOUNT = "toy/one"
WINDOW = Window(NOON - timedelta(days=1), NOON + timedelta(days=1))
PERSONAL = Personal(columns=("name",), fields=("name",), days=lambda settings: settings)
STREAM = toy_stream(personal=PERSONAL)
LATER = NOON + timedelta(days=10)


@pytest.fixture
def vendor() -> ToyVendor:
    made = ToyVendor()
    for number in range(5):
        made.put(f"t{number}", minute=number, name=f"Person {number}")
    return made


@pytest.fixture
def things(database: Database, vendor: ToyVendor) -> Database:
    create_tables(database)
    read(database, vendor)
    return database


def read(database: Database, vendor: ToyVendor, *, days: int | None = None) -> Any:
    whole = Request(Mode.WINDOW, window=WINDOW)
    return sync_stream(STREAM, database=database, account=ACCOUNT, client=vendor, run_id="sync", settings=days, request=whole)


def erase(database: Database, *, days: int | None, now: Any = LATER, personal: Personal = PERSONAL) -> dict[str, int]:
    rules = erasures.stream_rules([replace(STREAM, personal=personal)])
    return dict(+erasures.carry_out(rules, database, ACCOUNT, days, now=now, run_id="erasing"))


def rows(
    database: Database, query: str = "select name, raw ? 'name', count, run_id from toy.things order by thing_id"
) -> list[Any]:
    with database.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def test_without_a_setting_nothing_is_erased(things: Database) -> None:
    assert erase(things, days=None) == {}
    assert all(name and has_name for name, has_name, *_ in rows(things))


def test_what_is_old_enough_is_erased_from_columns_and_raw_once_and_recorded(things: Database, vendor: ToyVendor) -> None:
    now = NOON + timedelta(days=3, minutes=3)
    assert erase(things, days=3, now=now) == {"toy.things": 3}
    assert [(name, has_name) for name, has_name, *_ in rows(things)] == [(None, False)] * 3 + [
        ("Person 3", True),
        ("Person 4", True),
    ]
    assert rows(things)[0][2:] == (1, "erasing")
    assert erase(things, days=3, now=now) == {}
    assert rows(things, "select account, rule, place, rows, run_id from sync.erasures") == [
        (ACCOUNT, "personal_data_days=3", "toy.things", 3, "erasing")
    ]


def test_reading_again_brings_nothing_back_whether_the_rule_still_holds_or_not(things: Database, vendor: ToyVendor) -> None:
    erase(things, days=3)
    for days in (3, None):
        totals = read(things, vendor, days=days)
        assert (totals.unchanged, totals.updated) == (5, 0)
    assert {name for name, *_ in rows(things)} == {None}
    vendor.put("t0", minute=30, name="Person 0 moved")
    assert read(things, vendor).updated == 1
    assert rows(things)[0][0] == "Person 0 moved"


def test_what_is_too_old_is_stored_without_persons_and_equals_what_was_erased(database: Database, vendor: ToyVendor) -> None:
    create_tables(database)
    assert read(database, vendor, days=3).inserted == 5
    assert {(name, has_name) for name, has_name, *_ in rows(database)} == {(None, False)}
    done = reconcile_stream(STREAM, database=database, account=ACCOUNT, client=vendor, run_id="compare", settings=3, window=WINDOW)
    assert done is not None
    assert (done.equal, done.repaired, done.different) == (5, 0, 0)


def test_tombstones_have_a_rule_of_their_own(things: Database) -> None:
    of_deleted = Personal(
        columns=("name", "count"), fields=None, days=lambda settings: settings, since="deleted_at", rule="deleted_days"
    )
    rows_before = rows(things)
    assert erase(things, days=3, personal=of_deleted) == {}
    assert rows(things) == rows_before
    with things.connect() as connection:
        connection.execute("update toy.things set deleted_at = %s where thing_id = 't1'", [NOON])
    assert erase(things, days=3, personal=of_deleted) == {"toy.things": 1}
    assert rows(things, "select name, count, raw::text, thing_id from toy.things where deleted_at is not null") == [
        (None, None, "{}", "t1")
    ]


def test_letters_are_cleaned_and_what_only_passes_through_is_dropped(things: Database) -> None:
    with things.transaction() as connection:
        for key, payload in (("a", b'{"wrapped":{"id":1,"name":"Person"}}'), ("b", b"Person, not JSON"), ("c", b'{"id":1}')):
            dead_letters.open_letter(
                connection,
                dead_letters.NewLetter(
                    account=ACCOUNT, subject="toy/things", key=key, cause="X", error="x", payload=payload, request="toy", run_id="r"
                ),
            )
        connection.execute("update sync.dead_letters set opened_at = %s, original = payload", [NOON])
    now = LATER + timedelta(days=10_000)
    erased = erase(things, days=3, now=now)
    assert erased == {"toy.things": 5, "sync.dead_letters": 2, "sync.archive": 2}
    assert [bytes(payload) for (payload,) in rows(things, "select payload from sync.dead_letters order by key")] == [
        b'{"wrapped":{"id":1}}',
        b"{}",
        b'{"id":1}',
    ]
    assert rows(things, "select count(*) from sync.dead_letters where original::text like '%Person%'") == [(0,)]


def test_a_record_young_enough_is_left_as_it_is() -> None:
    record = Record(("t",), NOON, {"name": "Person"}, b'{"name": "Person"}')
    assert PERSONAL.permitted(record, 3, NOON + timedelta(days=2)) is record
    assert record.row == {"name": "Person"}


def test_places_are_taken_out_where_they_are_and_nowhere_else() -> None:
    value = {"name": "a", "shipment": {"name": "b"}, "details": {"notes": "c", "kept": 1}, "list": [{"name": "d"}]}
    assert without(value, ["name", "details.notes"]) == {
        "shipment": {"name": "b"},
        "details": {"kept": 1},
        "list": [{"name": "d"}],
    }
    assert without_anywhere(value, ["name"]) == {"shipment": {}, "details": {"notes": "c", "kept": 1}, "list": [{}]}
    assert text_without(b'{"price": 1.10}', ["name"]) == b'{"price": 1.10}'
    assert text_without(b'{"name": "a"}', None) == b"{}"
