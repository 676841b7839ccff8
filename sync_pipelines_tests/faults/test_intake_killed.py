"""The intake is killed under load: what was answered with 200 is in the database, once, with its work."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest

from sync_pipelines.core import intake
from sync_pipelines.core.db import Database
from sync_pipelines_tests.service.load import send
from sync_pipelines_tests.service.process import running_service

KILLS = 20 if os.environ.get("SYNC_PIPELINES_SOAK") else 2
DELIVERIES = 20_000 if os.environ.get("SYNC_PIPELINES_SOAK") else 4_000


@pytest.mark.parametrize("seed", range(KILLS))
def test_every_answered_webhook_survives_kill_9(seed: int, database: Database, database_url: str) -> None:
    kill_after = random.Random(seed).randint(DELIVERIES // 20, DELIVERIES // 2)
    with running_service(database_url) as service:

        def kill(accepted: int) -> None:
            if accepted >= kill_after:
                os.kill(service.process.pid, signal.SIGKILL)

        load = send(service.url, DELIVERIES, connections=64, on_accepted=kill)
    assert kill_after <= len(load.accepted) < DELIVERIES
    stored = [json.loads(one.body)["number"] for one in intake.read(database, account="toy/main")]
    assert len(set(stored)) == len(stored)
    assert set(load.accepted) <= set(stored)
    with database.connect() as connection:
        keys = {key for (key,) in connection.execute("select key from sync.tasks")}
    assert keys == {f"ref-{number}" for number in stored}


def test_repeats_after_a_kill_are_stored_once(database: Database, database_url: str) -> None:
    for _ in range(2):
        with running_service(database_url) as service:
            load = send(service.url, 500, connections=32)
            os.kill(service.process.pid, signal.SIGKILL)
        assert len(load.accepted) == 500
    with database.connect() as connection:
        assert connection.execute("select count(*), count(distinct identity) from sync.deliveries").fetchone() == (500, 500)
        assert connection.execute("select count(*) from sync.tasks").fetchone() == (500,)
