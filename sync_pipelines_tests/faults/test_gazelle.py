"""Gazelle under a process that dies, and at full size."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.gazelle.elsewhere import Elsewhere
from sync_pipelines_tests.vendors.gazelle.studio import Studio

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
KILLS = 20 if IS_SOAK else 1
MOST_MEMORY = 300 * 2**20


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_a_sync_killed_anywhere_goes_on_and_ends_right(
    sandbox: Callable[..., RunningSandbox], database: Database, database_url: str
) -> None:
    studio = Studio(sandbox("gazelle", size="demo" if IS_SOAK else "tiny"), database)
    rng = random.Random(6)
    for _ in range(KILLS):
        asked = len(studio.control.log()) + rng.randrange(1, 30)
        elsewhere = Elsewhere(studio.sandbox.base_url, database_url, page_size=5, lean_page_size=5)
        while elsewhere.process.is_alive() and len(studio.control.log()) < asked:
            elsewhere.process.join(0.01)
        elsewhere.process.kill()
        elsewhere.process.join()
        studio.control.post("mutate", names=["edit_client", "edit_piano", "create_event", "move_piano", "add_timeline"], seed=asked)
    studio.sync_all()
    studio.sync_all()
    assert studio.differences() == []


@pytest.mark.skipif(not IS_SOAK, reason="full size: make soak")
@pytest.mark.timeout(3600)
def test_the_full_business_fits_and_an_unchanged_day_is_cheap(
    sandbox: Callable[..., RunningSandbox], database: Database, database_url: str
) -> None:
    studio = Studio(sandbox("gazelle", size="full"), database)
    totals, memory = Elsewhere(studio.sandbox.base_url, database_url).result()
    print({name: (total["inserted"], total["api_calls"], total["duration_s"]) for name, total in totals.items()}, memory)
    assert studio.differences() == []
    assert memory <= MOST_MEMORY
    first = studio.control.get("reads")
    studio.control.delete("reads")
    again, memory = Elsewhere(studio.sandbox.base_url, database_url).result()
    second = studio.control.get("reads")
    print(
        {name: (total["inserted"] + total["updated"], total["api_calls"], total["duration_s"]) for name, total in again.items()},
        memory,
    )
    assert sum(total["inserted"] + total["updated"] + total["deleted"] for total in again.values()) == 0
    assert sum(count["full"] for count in second.values()) <= sum(count["full"] for count in first.values()) / 5
    assert memory <= MOST_MEMORY
