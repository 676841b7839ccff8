"""What every vendor's client and streams must survive: afterwards the tables equal the truth, and nothing was lost on the way.

A run may end with one of our own errors; never with another exception, and never with a row that the vendor does not have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from sync_pipelines.core import http
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import SyncError
from sync_pipelines_tests.conformance import mischief
from sync_pipelines_tests.conformance.subjects import SUBJECTS, Subject, open_subject

NOVELTY = "SANDBOX_NOVELTY"
IS_FULL = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
FAULTS: dict[str, dict[str, Any]] = {
    "quota storm": {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
    "503 with HTML": {"kind": "html"},
    "truncated JSON": {"kind": "truncate"},
    "null page": {"kind": "null"},
    "garbage": {"kind": "garbage"},
    "empty body": {"kind": "empty"},
    "connection reset": {"kind": "reset"},
}
FAULTS = FAULTS if IS_FULL else dict(list(FAULTS.items())[:4])
EVERY_VENDOR = pytest.mark.parametrize("kind", SUBJECTS, ids=lambda kind: kind.__name__)


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-offs are short here; that they are long enough elsewhere is proved with a clock of its own."""
    monkeypatch.setattr(http, "SHORTEST_THROTTLE_S", 0.05)
    monkeypatch.setattr(http, "LONGEST_BACKOFF_S", 0.05)


@pytest.fixture
def subject(kind: type[Subject], database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    with open_subject(kind, database, database_url, monkeypatch) as opened:
        yield opened


def try_to_sync(subject: Subject) -> SyncError | None:
    """One run; the error it ended with."""
    try:
        subject.sync()
    except SyncError as error:
        return error
    return None


def settle_down(subject: Subject) -> None:
    """The vendor is well again, and all is read."""
    subject.place.mischief.calm_down()
    subject.control.clear_faults()
    subject.settle()


@EVERY_VENDOR
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_broken_answers_are_got_over(subject: Subject, fault: dict[str, Any]) -> None:
    subject.control.faults({"path": subject.data, "times": 6, "probability": 0.5, "seed": 4, **fault})
    for _ in range(3):
        try_to_sync(subject)
    assert any(call["fault"] for call in subject.control.log())
    settle_down(subject)
    assert subject.differences() == []
    assert subject.letters() == 0


@EVERY_VENDOR
def test_an_outage_is_an_error_of_ours_and_costs_no_row(subject: Subject) -> None:
    subject.settle()
    subject.control.faults({"kind": "html", "path": subject.data, "times": None})
    subject.later()
    assert isinstance(try_to_sync(subject), SyncError)
    assert subject.differences() == []
    settle_down(subject)
    assert subject.differences() == []


@EVERY_VENDOR
@pytest.mark.parametrize("twist", [mischief.twice_each_end, mischief.shuffled], ids=["duplicates", "another order"])
def test_pages_with_duplicates_or_in_another_order_are_read(subject: Subject, twist: mischief.Twist) -> None:
    subject.place.mischief.twist = twist
    try_to_sync(subject)
    assert subject.place.mischief.pages
    settle_down(subject)
    assert subject.differences() == []
    assert subject.letters() == 0


@EVERY_VENDOR
def test_unknown_fields_change_nothing(subject: Subject) -> None:
    subject.place.mischief.twist = mischief.with_unknown_fields
    subject.settle()
    assert subject.place.mischief.pages
    assert subject.differences() == []
    assert subject.letters() == 0


@EVERY_VENDOR
def test_a_list_that_suddenly_is_empty_removes_nothing(subject: Subject) -> None:
    subject.settle()
    subject.place.mischief.twist = mischief.nothing
    for _ in range(2):
        subject.later()
        try_to_sync(subject)
        assert subject.differences() == []
    settle_down(subject)
    assert subject.differences() == []


@EVERY_VENDOR
def test_records_that_change_while_they_are_read_are_right_after_one_more_run(subject: Subject) -> None:
    subject.place.mischief.meanwhile, subject.place.mischief.every = subject.change, 2
    try_to_sync(subject)
    settle_down(subject)
    assert subject.differences() == []
    assert subject.letters() == 0


@EVERY_VENDOR
def test_a_token_that_expires_between_two_pages_is_renewed(subject: Subject) -> None:
    if type(subject).expire is Subject.expire:
        pytest.skip("its key does not expire")
    subject.place.mischief.meanwhile, subject.place.mischief.every = subject.expire, 2
    assert try_to_sync(subject) is None
    settle_down(subject)
    assert subject.differences() == []


@EVERY_VENDOR
def test_refused_credentials_stop_the_run_and_lose_nothing(subject: Subject) -> None:
    subject.control.faults({"kind": "status", "status": 401, "path": subject.data, "skip": 1, "times": 4})
    assert isinstance(try_to_sync(subject), SyncError | None)
    settle_down(subject)
    assert subject.differences() == []


@EVERY_VENDOR
def test_a_new_word_of_a_vocabulary_is_stored_as_it_is(subject: Subject) -> None:
    if subject.word is None:
        pytest.skip("its records here have no word that the vendor may add to")
    subject.place.mischief.rewrite = mischief.replaced(subject.word[0], NOVELTY)
    subject.settle()
    assert subject.rows_with(NOVELTY)
    assert subject.letters() == 0


@EVERY_VENDOR
def test_instants_without_a_zone_are_read_right_or_said_to_be_wrong(subject: Subject) -> None:
    subject.place.mischief.rewrite = mischief.without_zones
    error = try_to_sync(subject)
    waiting = subject.letters()
    subject.place.mischief.calm_down()
    if error is None and not waiting:
        subject.settle()
        assert subject.differences() == []
    elif not waiting:
        settle_down(subject)
        assert subject.differences() == []
    else:
        assert len(subject.differences()) <= waiting


@pytest.mark.parametrize("ahead_s", [600, -600], ids=["vendor ahead", "vendor behind"])
@EVERY_VENDOR
def test_clocks_that_differ_lose_nothing(
    kind: type[Subject], ahead_s: float, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_subject(kind, database, database_url, monkeypatch, vendor_is_ahead_s=ahead_s) as subject:
        try_to_sync(subject)
        if ahead_s < 0:
            # What a vendor that is ahead dates into our future, is read once it is our present.
            subject.change()
            subject.control.clock(advance=-ahead_s)
        settle_down(subject)
        assert subject.differences() == []
