"""Fixtures for every test: one embedded Postgres a session, one fresh migrated database a test, look-alikes on demand."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.migrations import migrate
from sync_pipelines_tests.sandboxes import RunningSandbox, run_sandbox
from sync_pipelines_tests.servers import TestServer

TEMPLATE = "sync_template"

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def _started_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    server = EmbeddedServer(
        tmp_path_factory.mktemp("postgres"), settings={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    )
    with ProcessGuard() as guard:
        test_server = TestServer(server, guard)
        test_server.start()
        yield test_server
        test_server.stop()


@pytest.fixture
def postgres_server(_started_server: TestServer) -> TestServer:
    """The session's server, running; a test may stop, kill and restart it."""
    _started_server.start()
    return _started_server


@pytest.fixture(scope="session")
def _template(_started_server: TestServer) -> str:
    _started_server.start()
    with psycopg.connect(_started_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {TEMPLATE}")
    migrate(_started_server.url(TEMPLATE))
    return TEMPLATE


@contextmanager
def cloned(server: TestServer, template: str) -> Iterator[str]:
    """The URL of a fresh copy of a database."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    yield server.url(name)
    server.start()
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")


@pytest.fixture
def database_url(postgres_server: TestServer, _template: str) -> Iterator[str]:
    """The URL of a fresh, migrated, empty database."""
    with cloned(postgres_server, _template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: TestServer) -> Iterator[str]:
    """The URL of a fresh database without any of our schemas."""
    name = f"empty_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}")
    yield postgres_server.url(name)
    postgres_server.start()
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated, empty database."""
    with Database(database_url, application_name="tests", max_connections=20) as opened:
        yield opened


@pytest.fixture
def sandbox() -> Iterator[Callable[..., RunningSandbox]]:
    """Starts a vendor's look-alike: ``sandbox("sendcloud", seed=1)``; stopped after the test."""
    running: list[RunningSandbox] = []

    def start(vendor: str, *, seed: int = 1, size: str = "demo", **options: object) -> RunningSandbox:
        running.append(run_sandbox(vendor, seed=seed, size=size, **options))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder of its own."""
    return tmp_path / ".sync_pipelines"


@pytest.fixture(scope="session", autouse=True)
def _no_inherited_pipe_signal() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
