"""Work that needs no vendor call is done by the service itself; what fails is left to the job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.queue import claim, counts, finish
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import Intake
from sync_pipelines.service.local_work import LocalWork
from sync_pipelines_tests.service.toy_service import ACCOUNTS, QUEUE, WEBHOOKS, ToySettings
from sync_pipelines_tests.waiting import eventually

PATH = "/webhooks/toy/main?key=present-key"


class Recorder:
    """A toy vendor's drain."""

    def __init__(self, *failing: Exception) -> None:
        self.done: list[tuple[str, str]] = []
        self.calls: list[Mapping[str, Any]] = []
        self._failing = list(failing)

    def __call__(self, database: Database, settings_of: Mapping[str, Any], /, *, run_id: str) -> None:
        self.calls.append(settings_of)
        if self._failing:
            raise self._failing.pop(0)
        while tasks := claim(database, QUEUE, run_id, accounts=list(settings_of)):
            with database.transaction() as connection:
                finish(connection, tasks)
            self.done += [(task.key, run_id) for task in tasks]


def client_of(url: str, work: Recorder) -> TestClient:
    service = Intake(opened := Database(url), [replace(WEBHOOKS[0], work_locally=work)], ACCOUNTS.get)
    return TestClient(service.before(create_app(opened, parts=[service.running])))


def test_work_is_done_without_a_run_and_only_for_accounts_that_have_some(database_url: str) -> None:
    work = Recorder()
    with client_of(database_url, work) as client:
        assert client.post(PATH, json={"refs": ["A", "B"]}).status_code == 200
        eventually(lambda: work.done == [("A", "service"), ("B", "service")])
        assert client.post(PATH, json={"refs": []}).status_code == 200
        assert client.post(PATH, json={"refs": ["C"]}).status_code == 200
        eventually(lambda: len(work.done) == 3)
    assert work.calls == [{"toy/main": ToySettings()}] * 2


def test_what_fails_stays_in_the_queue_for_the_job_and_the_intake_goes_on(
    database: Database, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    work = Recorder(DataError("cannot be done here"))
    with caplog.at_level(logging.WARNING), client_of(database_url, work) as client:
        assert client.post(PATH, json={"refs": ["A"]}).status_code == 200
        eventually(lambda: len(work.calls) == 1)
        assert client.post(PATH, json={"refs": ["B"]}).status_code == 200
    with database.connect() as connection:
        assert [line.waiting for line in counts(connection, QUEUE.name)] == [2]
    assert "cannot be done here" in caplog.text


def test_an_unexpected_error_is_told_and_does_not_end_the_work(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    work = Recorder(ValueError("private"), KeyError("private"))
    local = LocalWork(database, work, ACCOUNTS.get, rest_s=0)

    async def work_thrice() -> None:
        running = asyncio.create_task(local.run())
        for calls in (1, 2, 3):
            local.wake("toy/main")
            await asyncio.to_thread(eventually, lambda calls=calls: len(work.calls) == calls)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with caplog.at_level(logging.WARNING):
        asyncio.run(work_thrice())
    assert "work of toy/main is left to its job: unexpected ValueError" in caplog.text
    assert "unexpected KeyError" in caplog.text
    assert "private" not in caplog.text
