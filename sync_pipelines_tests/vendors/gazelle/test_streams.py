"""Gazelle's streams from the look-alike to the tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core import erasures
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.sync import Mode
from sync_pipelines.core.tables import COMMON_COLUMNS
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.gazelle import streams
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.gazelle.studio import ACCOUNT, Studio


@pytest.fixture
def studio(sandbox: Callable[..., RunningSandbox], database: Database) -> Studio:
    return Studio(sandbox("gazelle", size="tiny"), database)


@pytest.fixture
def larger_studio(sandbox: Callable[..., RunningSandbox], database: Database) -> Studio:
    return Studio(sandbox("gazelle"), database)


def full_reads(studio: Studio) -> int:
    """Whole nodes the vendor had to show."""
    return sum(count["full"] for count in studio.control.get("reads").values())


def as_text(moment: datetime | None) -> str | None:
    """As the vendor writes it."""
    return moment and f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_a_first_sync_stores_everything_there_is(studio: Studio) -> None:
    totals = studio.sync_all()
    assert studio.differences() == []
    assert {name: total.inserted for name, total in totals.items()} == {
        name: len(items) for name, items in studio.control.truth().items() if name != "deleted"
    }
    client = studio.query(
        "SELECT c.email, c.phone, c.city, k.email AS contact_email, k.phone AS contact_phone, l.city AS contact_city"
        " FROM gazelle.clients c JOIN gazelle.contacts k ON k.external_id = c.default_contact_external_id"
        " LEFT JOIN gazelle.contact_locations l ON l.external_id = k.external_id AND l.usage_type = 'STREET'"
    )
    assert len(client) == 20
    assert all(row["phone"] is None or re.fullmatch(r"\+\d{8,15}", row["phone"]) for row in client)
    assert all(row["email"] == row["contact_email"] and row["phone"] == row["contact_phone"] for row in client)
    assert all(row["city"] == row["contact_city"] for row in client)


def test_archived_contacts_are_stored_and_marked(studio: Studio) -> None:
    studio.control.post("mutate", names=["archive_contact"] * 2, seed=2)
    studio.sync("contacts")
    archived = {key for key, contact in studio.control.truth(stream="contacts")["contacts"].items() if contact["archived"]}
    assert len(archived) >= 2
    assert {key for key, row in studio.rows("contacts").items() if row["is_archived"]} == archived


def test_services_of_appointments_are_money_in_minor_units_and_quantities_in_units(studio: Studio) -> None:
    studio.sync("appointments")
    items = {
        item["id"]: item
        for event in studio.control.truth(stream="appointments")["appointments"].values()
        for item in event["services"]
    }
    rows = studio.query("SELECT * FROM gazelle.appointment_services")
    assert {row["service_id"]: (row["amount_minor"], row["quantity"], row["piano_external_id"]) for row in rows} == {
        key: (item["amount"], item["quantity"] / 100, item["pianoId"]) for key, item in items.items()
    }


def test_an_unchanged_day_writes_no_row_and_reads_no_whole_record(studio: Studio) -> None:
    studio.sync_all()
    first = full_reads(studio)
    studio.control.delete("reads")
    before = studio.query("SELECT pg_current_wal_insert_lsn() AS lsn")
    totals = studio.sync_all()
    assert before
    assert sum(total.written for total in totals.values()) == 0
    assert full_reads(studio) <= first // 5
    assert studio.query("SELECT count(*) AS n FROM gazelle.clients WHERE run_id > 'run-8'")[0]["n"] == 0


def test_after_a_day_of_changes_one_run_brings_the_tables_right(studio: Studio) -> None:
    studio.sync_all()
    edits = [
        "edit_client", "edit_contact", "edit_phone", "archive_contact", "edit_piano", "create_client", "create_event",
        "reschedule_event", "cancel_event", "complete_event", "move_piano", "add_timeline", "edit_timeline",
    ]  # fmt: skip
    studio.control.post("mutate", names=edits * 3, seed=1)
    studio.sync_all()
    assert studio.differences() == []


def test_what_vanishes_is_buried_after_two_scans(larger_studio: Studio) -> None:
    studio = larger_studio
    studio.sync_all()
    gone = studio.control.post("mutate", names=["delete_client", "delete_piano", "delete_event", "delete_contact"], seed=4)
    first = studio.sync_all()
    assert sum(total.deleted for total in first.values()) == 0
    second = studio.sync_all()
    assert sum(total.deleted for total in second.values()) >= 4
    assert gone[0]["id"] in studio.rows("clients", deleted=True)
    assert gone[1]["id"] in studio.rows("pianos", deleted=True)
    assert gone[2]["id"] in studio.rows("appointments", deleted=True)
    assert gone[3]["id"] in studio.rows("contacts", deleted=True)
    for _ in range(2):  # old visits vanish with their client, or lose a piano without their change time moving
        studio.sync("appointments", lane=Lane.BACKFILL)
    assert studio.differences("clients", "contacts", "pianos", "appointments") == []


def test_a_list_that_suddenly_is_short_deletes_nothing(larger_studio: Studio) -> None:
    studio = larger_studio
    studio.sync("clients")
    studio.control.post("mutate", names=["delete_client"] * 20, seed=1)
    studio.sync("clients")
    held = studio.sync("clients")
    assert held.deleted == 0
    assert held.stopped_because
    assert "brake" in held.stopped_because
    assert len(studio.rows("clients")) == 60


def test_a_record_that_comes_back_outranks_its_tombstone(studio: Studio) -> None:
    studio.sync("pianos")
    piano = next(iter(studio.rows("pianos")))
    with studio.database.transaction() as connection:
        connection.execute("UPDATE gazelle.pianos SET deleted_at = now(), version = now() WHERE external_id = %s", [piano])
    studio.sync("pianos")
    assert studio.differences("pianos") == []


def test_an_event_moved_out_of_the_daily_window_is_found_by_id(studio: Studio) -> None:
    studio.sync("appointments")
    upcoming = next(key for key, row in studio.rows("appointments").items() if row["starts_at"] > datetime.now(UTC))
    far = (datetime.now(UTC) + timedelta(days=700)).strftime("%Y-%m-%dT%H:%M:%SZ")
    studio.control.post("edit", collection="events", id=upcoming, fields={"start": far})
    studio.sync("appointments")
    assert studio.differences("appointments") == []


def test_the_daily_run_leaves_old_events_alone_and_the_weekly_one_finds_them_gone(studio: Studio) -> None:
    studio.sync("appointments")
    old = min(studio.rows("appointments").values(), key=lambda row: row["starts_at"])["external_id"]
    studio.control.post("vanish", collection="events", id=old)
    studio.sync("appointments")
    studio.sync("appointments")
    assert old in studio.rows("appointments")
    studio.sync("appointments", lane=Lane.BACKFILL)
    studio.sync("appointments")
    assert old in studio.rows("appointments", deleted=True)


class CutOffError(Exception):
    """The end of a run after its first page."""


def cut_off(_: SyncTotals) -> None:
    raise CutOffError


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_first_reading_that_was_cut_off_is_not_taken_for_the_whole_calendar(
    sandbox: Callable[..., RunningSandbox], database: Database, *, is_forgotten: bool
) -> None:
    studio = Studio(sandbox("gazelle", size="tiny"), database, page_size=5, lean_page_size=5)
    with pytest.raises(CutOffError):
        studio.sync("appointments", on_progress=cut_off)
    assert studio.rows("appointments")
    if is_forgotten:
        studio.query("UPDATE sync.scans SET updated_at = updated_at - interval '2 days' RETURNING 1")
    studio.sync("appointments")
    assert studio.differences("appointments") == []


def test_a_daily_reading_goes_on_where_a_weekly_one_was_cut_off_and_reads_all(
    sandbox: Callable[..., RunningSandbox], database: Database
) -> None:
    studio = Studio(sandbox("gazelle", size="tiny"), database, page_size=5, lean_page_size=5)
    studio.sync("appointments")
    long_ago = datetime.now(UTC) - timedelta(days=studio.settings.event_days_back + 5)
    for key, row in studio.rows("appointments").items():
        if row["starts_at"] < long_ago:
            studio.control.post("edit", collection="events", id=key, fields={"duration": 7})
    with pytest.raises(CutOffError):
        studio.sync("appointments", lane=Lane.BACKFILL, on_progress=cut_off)
    studio.sync("appointments")
    assert studio.differences("appointments") == []


def test_a_daily_run_reads_the_whole_calendar_when_no_weekly_one_has_ended(studio: Studio) -> None:
    studio.sync("appointments")
    oldest = min(studio.rows("appointments").values(), key=lambda row: row["starts_at"])["external_id"]
    studio.control.post("edit", collection="events", id=oldest, fields={"duration": 7})
    studio.sync("appointments")
    assert studio.differences("appointments") != []
    studio.query("UPDATE sync.scans SET whole_at = whole_at - interval '9 days' RETURNING 1")
    studio.sync("appointments")
    assert studio.differences("appointments") == []


def test_a_moved_piano_keeps_its_history_under_both_ids(studio: Studio) -> None:
    studio.sync_all()
    moved = studio.control.post("mutate", names=["move_piano"], seed=9)[0]["id"]
    studio.sync_all()
    assert studio.differences() == []
    history = studio.query("SELECT * FROM gazelle.piano_history WHERE external_id = %s", moved)[0]
    former = studio.rows("pianos")[history["predecessor_external_id"]]
    assert former["status"] == "INACTIVE"
    assert former["client_external_id"] != history["client_external_id"]
    assert not studio.query("SELECT FROM gazelle.timeline_entries WHERE piano_external_id = %s", former["external_id"])


def test_edits_while_paging_are_right_after_one_more_run(studio: Studio) -> None:
    studio.settings = studio.settings.model_copy(update={"page_size": 9, "lean_page_size": 9})
    for field in ("allClients", "allPianos", "allEventsBatched"):
        names = ["create_client", "edit_client", "edit_contact", "edit_piano", "move_piano", "reschedule_event"]
        studio.control.post("meanwhile", field=field, names=names, after=2, times=1)
    studio.sync_all()
    studio.sync_all()
    assert studio.differences() == []


def test_deletions_while_paging_lose_nothing_that_is_left(larger_studio: Studio) -> None:
    studio = larger_studio
    studio.settings = studio.settings.model_copy(update={"page_size": 9, "lean_page_size": 9})
    studio.control.post("meanwhile", field="allPianos", names=["delete_piano"], after=2, times=2)
    studio.sync("pianos")
    assert studio.control.truth(stream="pianos")["pianos"].keys() <= studio.rows("pianos").keys()
    studio.sync("pianos")
    studio.sync("pianos")
    assert studio.differences("pianos") == []


def test_a_thorough_run_finds_edits_that_moved_no_change_time(studio: Studio) -> None:
    studio.sync("clients")
    client = next(iter(studio.rows("clients")))
    studio.control.post("edit", collection="clients", id=client, fields={"preferenceNotes": "Ring twice"}, touch=False)
    studio.sync("clients")
    assert studio.rows("clients")[client]["preference_notes"] != "Ring twice"
    studio.sync("clients", lane=Lane.BACKFILL)
    assert studio.differences("clients") == []


def test_a_thorough_run_does_not_go_on_where_a_lean_one_stopped(studio: Studio) -> None:
    studio.settings = studio.settings.model_copy(update={"page_size": 5, "lean_page_size": 5})
    studio.sync("clients")
    first = min(studio.rows("clients").values(), key=lambda row: row["created_at"])["external_id"]
    studio.control.post("edit", collection="clients", id=first, fields={"preferenceNotes": "Ring twice"}, touch=False)
    studio.control.faults({"kind": "status", "status": 400, "path": "graphql", "skip": 2, "times": 1})
    with pytest.raises(DataError):
        studio.sync("clients")
    studio.sync("clients", lane=Lane.BACKFILL)
    assert studio.differences("clients") == []


def test_the_timeline_begins_where_the_settings_say(studio: Studio) -> None:
    moments = sorted(entry["occurredAt"] for entry in studio.control.truth(stream="timeline_entries")["timeline_entries"].values())
    studio.settings = studio.settings.model_copy(update={"start": datetime.fromisoformat(moments[70])})
    studio.sync("timeline_entries")
    assert len(studio.rows("timeline_entries")) == len([moment for moment in moments if moment >= moments[70]])


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_first_sync_of_the_timeline_goes_on_where_it_stopped_or_begins_anew(studio: Studio, *, is_forgotten: bool) -> None:
    studio.settings = studio.settings.model_copy(update={"page_size": 25})
    studio.control.faults({"kind": "status", "status": 400, "path": "graphql", "skip": 2, "times": 1})
    with pytest.raises(DataError):
        studio.sync("timeline_entries")
    assert 0 < len(studio.rows("timeline_entries")) < 120
    if is_forgotten:
        studio.query("UPDATE sync.window_progress SET updated_at = updated_at - interval '2 days' RETURNING 1")
    studio.sync("timeline_entries")
    assert studio.differences("timeline_entries") == []


def test_deleted_entries_are_buried_after_two_thorough_runs(studio: Studio) -> None:
    studio.sync("timeline_entries")
    entry = next(iter(studio.rows("timeline_entries")))
    studio.control.post("vanish", collection="timeline", id=entry)
    for _ in range(2):
        assert entry in studio.rows("timeline_entries")
        studio.sync("timeline_entries", lane=Lane.BACKFILL, mode=Mode.FULL)
    assert entry in studio.rows("timeline_entries", deleted=True)
    assert studio.differences("timeline_entries") == []


def test_a_day_of_the_timeline_can_be_read_again(studio: Studio) -> None:
    studio.sync("timeline_entries")
    entry = sorted(studio.rows("timeline_entries").values(), key=lambda row: row["occurred_at"])[50]
    studio.control.post("edit", collection="timeline", id=entry["external_id"], fields={"comment": "Corrected a year later"})
    day = entry["occurred_at"].replace(hour=0, minute=0, second=0)
    totals = studio.sync("timeline_entries", lane=Lane.BACKFILL, mode=Mode.WINDOW, window=Window(day, day + timedelta(days=1)))
    assert totals.updated == 1
    assert studio.differences("timeline_entries") == []


def test_a_schema_with_a_lost_field_and_a_new_word_still_syncs_and_says_so(studio: Studio) -> None:
    removed = ["PrivateClient.preferenceNotes", "PrivatePiano.caseColor", "PrivateEvent.travelMode"]
    studio.control.post("schema", removed=removed, enum_values={"PianoType": ["KEYTAR"]})
    piano = next(iter(studio.control.truth(stream="pianos")["pianos"]))
    studio.control.post("edit", collection="pianos", id=piano, fields={"type": "KEYTAR"})
    totals = studio.sync_all()
    assert not [line for line in studio.differences() if "preference_notes" not in line]
    assert totals["pianos"].dead_lettered == totals["clients"].dead_lettered == 0
    assert studio.rows("pianos")[piano]["type"] == "KEYTAR"
    assert {"type=KEYTAR", "caseColor is absent"} <= totals["pianos"].unknown_words
    assert "preferenceNotes is absent" in totals["clients"].unknown_words


def test_a_record_that_cannot_be_read_costs_only_itself(studio: Studio) -> None:
    client = next(iter(studio.control.truth(stream="clients")["clients"]))
    studio.control.post("edit", collection="clients", id=client, fields={"noContactUntil": "some day"})
    totals = studio.sync("clients")
    assert (totals.inserted, totals.dead_lettered) == (19, 1)


def test_views_for_reports(studio: Studio) -> None:
    studio.sync_all()
    overview = {row["external_id"]: row for row in studio.query("SELECT * FROM gazelle.client_overview")}
    truth: dict[str, Any] = studio.control.truth()
    assert overview.keys() == truth["clients"].keys()
    contacts = truth["contacts"]
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    for key, row in overview.items():
        default = contacts[truth["clients"][key]["defaultContactId"]]
        assert (row["contact_name"], row["phone"]) == (
            f"{default['firstName']} {default['lastName']}",
            default["phones"][0]["phoneNumber"] if default["phones"] else None,
        )
        visits = [event for event in truth["appointments"].values() if event["clientId"] == key and event["type"] == "APPOINTMENT"]
        held = [event["start"] for event in visits if event["start"] < now and event["status"] in {"ACTIVE", "COMPLETE"}]
        coming = [event["start"] for event in visits if event["start"] >= now and event["status"] == "ACTIVE"]
        assert as_text(row["last_appointment_at"]) == max(held, default=None)
        assert as_text(row["next_appointment_at"]) == min(coming, default=None)
        assert row["piano_count"] == sum(piano["clientId"] == key for piano in truth["pianos"].values())
        entries = [entry["occurredAt"] for entry in truth["timeline_entries"].values() if entry["clientId"] == key]
        assert as_text(row["last_entry_at"]) == max(entries, default=None)
    due = {row["external_id"] for row in studio.query("SELECT external_id FROM gazelle.pianos_due")}
    assert due == {key for key, piano in truth["pianos"].items() if piano["status"] == "ACTIVE" and piano["calculatedNextService"]}


def test_deleted_clients_and_contacts_lose_their_content_if_that_is_wished(studio: Studio) -> None:
    studio.sync_all()
    gone = [one["id"] for one in studio.control.post("mutate", names=["delete_client", "delete_contact"], seed=4)]
    studio.sync_all()
    studio.sync_all()
    rules, later = erasures.stream_rules(streams.STREAMS), datetime.now(UTC) + timedelta(days=40)

    def erase() -> dict[str, int]:
        return dict(+erasures.carry_out(rules, studio.database, ACCOUNT, studio.settings, now=later, run_id="erasing"))

    assert erase() == {}
    living = studio.rows("clients")
    studio.settings = studio.settings.model_copy(update={"deleted_clients_days": 30})
    assert erase()["gazelle.clients"] >= 1
    assert erase() == {}
    assert studio.rows("clients") == living
    buried = studio.rows("clients", deleted=True)[gone[0]]
    assert {name for name, value in buried.items() if value is not None} <= {"account", "external_id", *COMMON_COLUMNS}
    assert buried["raw"] == {}
