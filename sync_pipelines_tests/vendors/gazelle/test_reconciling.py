"""Gazelle's tables compared with its lists."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.vendors.gazelle import streams, vendor
from sync_pipelines_tests.damage import Damage, compare
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.gazelle.studio import ACCOUNT, Studio


@pytest.fixture
def studio(sandbox: Callable[..., RunningSandbox], database: Database) -> Studio:
    return Studio(sandbox("gazelle", size="tiny"), database)


def test_a_synced_studio_equals_the_vendors_lists(studio: Studio) -> None:
    studio.sync_all()
    with vendor.connect(studio.context(Lane.BACKFILL)) as reader:
        for stream in streams.STREAMS:
            found = compare(studio.database, stream, ACCOUNT, reader, studio.settings)
            assert (found.repaired, found.different, found.samples) == (0, 0, {}), stream.key
            assert found.equal > 0 or stream.is_windowed


def test_planted_differences_are_found_mended_and_reported(studio: Studio) -> None:
    studio.sync_all()
    altered = {
        "clients": ("company_name", "'by hand'"),
        "pianos": ("make", "'by hand'"),
        "contacts": ("role", "'by hand'"),
        "appointments": ("duration_minutes", "1"),
    }
    named = {stream.name: stream for stream in streams.STREAMS}
    damage = {name: Damage(studio.database, named[name], change) for name, change in altered.items()}
    with vendor.connect(studio.context(Lane.BACKFILL)) as reader:
        for name, planted in damage.items():
            planted.must_be_found(compare(studio.database, named[name], ACCOUNT, reader, studio.settings))
            again = compare(studio.database, named[name], ACCOUNT, reader, studio.settings)
            assert (again.repaired, again.different) == (0, 1)
