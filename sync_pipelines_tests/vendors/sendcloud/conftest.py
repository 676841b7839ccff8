"""One look-alike for all of SendCloud's tests, as new for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.http import HttpClient
from sync_pipelines.vendors.sendcloud.client import SendCloudClient, basic_auth, classify
from sync_pipelines_tests.sandboxes import RunningSandbox, run_sandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import Shop

KEYS = ("sandbox-public", "sandbox-secret")


def connect(running: RunningSandbox, *, keys: tuple[str, str] = KEYS, **options: Any) -> SendCloudClient:
    """A client without a budget that never really sleeps."""
    given = {"auth": basic_auth(*keys), "classify": classify, "sleep": lambda _: None, **options}
    return SendCloudClient(HttpClient(account="sendcloud/test", base_url=f"{running.base_url}/api", **given))


@pytest.fixture(scope="package")
def _started() -> Iterator[RunningSandbox]:
    started = run_sandbox("sendcloud")
    yield started
    started.stop()


@pytest.fixture
def running(_started: RunningSandbox) -> RunningSandbox:
    _started.control.post("reset")
    _started.control.clear_faults()
    _started.control.clear_log()
    return _started


@pytest.fixture
def client(running: RunningSandbox) -> Iterator[SendCloudClient]:
    opened = connect(running)
    yield opened
    opened.http.close()


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    """An account on a look-alike of its own."""
    return Shop(database, sandbox("sendcloud"))
