"""Databases for benches that change more than they can put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg

from sync_pipelines.migrations import migrate
from sync_pipelines_tests.servers import TestServer


@contextmanager
def fresh_database(server: TestServer) -> Iterator[str]:
    """The URL of a migrated database that goes at the end."""
    name = f"bench_{uuid4().hex[:12]}"
    url = f"{server.url().rpartition('/')[0]}/{name}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        migrate(url)
        try:
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
