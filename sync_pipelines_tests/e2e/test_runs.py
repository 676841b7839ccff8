"""Runs of the code server: terminated by a person, killed by the system."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psutil
import pytest

from sync_pipelines_tests.e2e.conftest import Up
from sync_pipelines_tests.sandboxes import Control

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ACCOUNT = "sendcloud/main"
ANSWERS_AFTER_S = 120.0
EVENTS = """
query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { __typename ... on MessageEvent { message } } } } }
"""
TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename ... on TerminateRunFailure { message } } }"


@pytest.fixture
def waiting_run(up: Up) -> Iterator[dict[str, Any]]:
    """A run whose vendor does not answer for long."""
    control = Control(f"{up.sandbox}/sendcloud")
    control.faults({"kind": "delay", "path": "/orders", "times": None, "seconds": ANSWERS_AFTER_S})
    test = str(uuid4())
    up.api.launch_run("sendcloud_orders", f"{ACCOUNT}|{datetime.now(UTC).date()}", test=test)
    try:
        up.api.until(lambda: [run["status"] for run in up.api.runs(test=test)] == ["STARTED"], "the run works")
        (run,) = up.api.runs(test=test)
        yield run | {"test": test, "process": _process(up, run["runId"])}
    finally:
        control.clear_faults()


def test_a_run_is_terminated_from_the_ui(up: Up, waiting_run: dict[str, Any]) -> None:
    answer = up.api.ask(TERMINATE, run=waiting_run["runId"])["terminateRun"]
    assert answer["__typename"] == "TerminateRunSuccess", answer
    (ended,) = up.api.ended_runs(1, seconds=60, test=waiting_run["test"])
    assert ended["status"] == "CANCELED"
    up.api.until(lambda: not _is_alive(waiting_run["process"]), "its process is gone", 30)


def test_a_killed_run_is_marked_as_failed(up: Up, waiting_run: dict[str, Any]) -> None:
    os.kill(waiting_run["process"], signal.SIGKILL)
    (ended,) = up.api.ended_runs(1, seconds=120, test=waiting_run["test"])
    assert ended["status"] == "FAILURE"


def test_a_run_that_was_killed_with_its_code_server_is_marked_as_failed(up: Up, waiting_run: dict[str, Any]) -> None:
    (server,) = [child for child in psutil.Process(up.pid).children() if {"api", "grpc"} <= set(child.cmdline())]
    server.kill()
    (ended,) = up.api.ended_runs(1, seconds=60, test=waiting_run["test"])
    assert ended["status"] == "FAILURE"
    assert not _is_alive(waiting_run["process"])
    up.api.until(up.api.is_reloaded, "a code server is there again", 60)


def _is_alive(process: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _process(up: Up, run: str) -> int:
    """The process that a run has told of."""
    for event in up.api.ask(EVENTS, run=run)["logsForRun"]["events"]:
        _, found, rest = event.get("message", "").partition("Started process for run (pid: ")
        if found:
            return int(rest.rstrip(")."))
    raise AssertionError("the run has told of no process")
