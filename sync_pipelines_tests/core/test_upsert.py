"""The guarded upsert against an oracle: whatever order versions arrive in, the newest stays, and equal ones write nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.upsert import Record, UpsertCounts, tombstone, upsert
from sync_pipelines_tests.core.toy_stream import NOON, PARTS, THINGS, create_tables, stored

ACCOUNT = "toy/one"


@dataclass(frozen=True)
class Version:
    """One version of a thing; ``minute`` 0 to 5, a deletion has no content."""

    key: str
    minute: int
    count: int
    parts: frozenset[str]
    is_deleted: bool = False

    def record(self) -> Record:
        if self.is_deleted:
            return Record((self.key,), NOON + timedelta(minutes=self.minute), {}, b"{}", deleted=True)
        names = ",".join(f'"{part}"' for part in sorted(self.parts))
        raw = f'{{"id":"{self.key}","count":{self.count},"parts":[{names}]}}'.encode()
        parts = [{"part_id": part, "colour": f"{part}{self.count}"} for part in sorted(self.parts)]
        return Record((self.key,), NOON + timedelta(minutes=self.minute), {"name": "n", "count": self.count}, raw, {"parts": parts})


VERSIONS = st.builds(
    Version,
    key=st.sampled_from("abc"),
    minute=st.integers(0, 5),
    count=st.integers(0, 2),
    parts=st.frozensets(st.sampled_from("xyz")),
    is_deleted=st.booleans() | st.just(False),
)


@pytest.fixture
def things(database: Database) -> Database:
    create_tables(database)
    return database


def store(database: Database, versions: list[Version], **options: Any) -> UpsertCounts:
    with database.transaction() as connection:
        return upsert(
            connection,
            THINGS,
            [version.record() for version in versions],
            account=ACCOUNT,
            run_id="run",
            now=NOON,
            children=(PARTS,),
            **options,
        )


def expected(batches: list[list[Version]]) -> dict[str, Version]:
    """The newest version of each key; of equal times the later one, but a deletion wins over an update of its own time."""
    newest: dict[str, Version] = {}
    for batch in batches:
        for version in _last_of_each(batch):
            known = newest.get(version.key)
            if known is None or version.minute > known.minute or (version.minute == known.minute and not known.is_deleted):
                newest[version.key] = version
    return newest


def _last_of_each(batch: list[Version]) -> list[Version]:
    chosen: dict[str, Version] = {}
    for version in batch:
        if version.key not in chosen or chosen[version.key].minute <= version.minute:
            chosen[version.key] = version
    return list(chosen.values())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(VERSIONS, min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_newest_version_stays_whatever_order_they_arrive_in(things: Database, batches: list[list[Version]]) -> None:
    with things.connect() as connection:
        connection.execute("TRUNCATE toy.things, toy.parts")
    for batch in batches:
        store(things, batch)
    living = {key: version for key, version in expected(batches).items() if not version.is_deleted}
    assert stored(things) == {
        key: ("n", version.count, {part: f"{part}{version.count}" for part in version.parts}) for key, version in living.items()
    }


def test_a_later_deletion_of_a_deleted_record_outlives_the_updates_before_it(things: Database) -> None:
    store(things, [Version("a", 0, 0, frozenset(), is_deleted=True)])
    store(things, [Version("a", 2, 0, frozenset(), is_deleted=True)])
    store(things, [Version("a", 1, 0, frozenset()), Version("b", 1, 0, frozenset())])
    assert set(stored(things)) == {"b"}


def test_counts_say_what_became_of_each_record(things: Database) -> None:
    old = [Version("a", 1, 0, frozenset()), Version("b", 1, 0, frozenset()), Version("c", 3, 0, frozenset())]
    assert store(things, old) == UpsertCounts(inserted=3)
    mixed = [
        Version("a", 1, 0, frozenset()),
        Version("b", 2, 1, frozenset()),
        Version("c", 2, 1, frozenset()),
        Version("d", 1, 0, frozenset()),
    ]
    assert store(things, mixed) == UpsertCounts(inserted=1, updated=1, unchanged=1, stale=1)


def test_equal_records_write_no_row(things: Database) -> None:
    versions = [Version(key, 1, 0, frozenset("x")) for key in "abc"]
    store(things, versions)
    with things.connect() as connection:
        before = connection.execute("SELECT array_agg(xmin::text ORDER BY thing_id) FROM toy.things").fetchone()
        store(things, versions)
        assert connection.execute("SELECT array_agg(xmin::text ORDER BY thing_id) FROM toy.things").fetchone() == before


def test_a_removed_child_vanishes_with_its_parents_next_version(things: Database) -> None:
    store(things, [Version("a", 1, 0, frozenset("xyz"))])
    store(things, [Version("a", 2, 1, frozenset("y"))])
    assert stored(things)["a"] == ("n", 1, {"y": "y1"})


def test_a_stale_parent_leaves_the_newer_children_alone(things: Database) -> None:
    store(things, [Version("a", 2, 1, frozenset("y"))])
    store(things, [Version("a", 1, 0, frozenset("xz"))])
    assert stored(things)["a"] == ("n", 1, {"y": "y1"})


def test_a_tombstone_outlives_a_late_update_and_yields_to_a_newer_one(things: Database) -> None:
    store(things, [Version("a", 2, 0, frozenset("x"))])
    with things.transaction() as connection:
        tombstone(
            connection, THINGS, {("a",): NOON + timedelta(minutes=4)}, account=ACCOUNT, run_id="r", now=NOON, children=(PARTS,)
        )
    assert stored(things) == {}
    assert store(things, [Version("a", 3, 1, frozenset())]).stale == 1
    assert stored(things) == {}
    store(things, [Version("a", 5, 2, frozenset("z"))])
    assert stored(things) == {"a": ("n", 2, {"z": "z2"})}


def test_a_key_that_was_never_stored_can_be_buried(things: Database) -> None:
    store(things, [Version("a", 4, 0, frozenset(), is_deleted=True)])
    assert store(things, [Version("a", 3, 1, frozenset())]).stale == 1
    assert stored(things) == {}


def test_a_read_time_version_does_not_rewrite_an_equal_row(things: Database) -> None:
    store(things, [Version("a", 1, 0, frozenset())], version_is_read_time=True)
    assert store(things, [Version("a", 5, 0, frozenset())], version_is_read_time=True) == UpsertCounts(unchanged=1)
    assert store(things, [Version("a", 5, 1, frozenset())], version_is_read_time=True) == UpsertCounts(updated=1)


def test_a_changed_mapping_rewrites_rows_of_the_same_version_when_columns_are_compared(things: Database) -> None:
    store(things, [Version("a", 1, 0, frozenset("x"))])
    mapped_anew = Version("a", 1, 0, frozenset("x")).record()
    mapped_anew.row["name"] = "other"
    mapped_anew.children["parts"][0]["colour"] = "blue"
    with things.transaction() as connection:
        counts = upsert(
            connection, THINGS, [mapped_anew], account=ACCOUNT, run_id="r", now=NOON, children=(PARTS,), compare_columns=True
        )
    assert counts == UpsertCounts(updated=1)
    assert stored(things) == {"a": ("other", 0, {"x": "blue"})}


def test_two_children_of_one_key_are_refused(things: Database) -> None:
    record = Version("a", 1, 0, frozenset("x")).record()
    record.children["parts"] *= 2
    with pytest.raises(DataError, match="two child rows"), things.transaction() as connection:
        upsert(connection, THINGS, [record], account=ACCOUNT, run_id="r", now=NOON, children=(PARTS,))
    assert stored(things) == {}


def test_two_writers_that_insert_the_same_new_key_at_once_end_with_the_newest(things: Database) -> None:
    newer, older = Version("a", 2, 2, frozenset("x")), Version("a", 1, 1, frozenset("y"))
    with psycopg.connect(things.url) as first:
        upsert(first, THINGS, [newer.record()], account=ACCOUNT, run_id="r", now=NOON, children=(PARTS,))
        first.commit()
    assert store(things, [older]).stale == 1
    assert stored(things)["a"][1] == 2


def test_a_batch_expected_to_be_new_falls_back_when_a_key_has_appeared(things: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_pipelines.core.upsert.BATCH_ROWS", 2)
    store(things, [Version("d", 5, 2, frozenset("x"))])
    counts = store(things, [Version(key, 1, 0, frozenset()) for key in "abcde"])
    assert counts == UpsertCounts(inserted=4, stale=1)
    assert stored(things)["d"] == ("n", 2, {"x": "x2"})
