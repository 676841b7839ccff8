"""The page over a house with ninety days behind it, or over nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.service.app import create_app
from sync_pipelines.service.page import Access, Pictures, page_routes
from sync_pipelines_tests.overview.house import House, make_dagster_tables

HERE = "http://127.0.0.1:8787"


@pytest.fixture
def house(database_url: str) -> House:
    """Migrated, with Dagster's tables, empty."""
    make_dagster_tables(database_url)
    return House(database_url)


@pytest.fixture
def open_page(database_url: str) -> Iterator[Callable[..., TestClient]]:
    """Starts the service with a page: ``open_page(house, token=…, client=("192.0.2.1", 1))``."""
    opened: list[Any] = []

    def start(
        house: House | None = None, *, token: str | None = None, address: str = "127.0.0.1", base_url: str = HERE
    ) -> TestClient:
        seen = (house or House(database_url)).seen
        database = Database(database_url, max_connections=4, timeout_s=1)
        pages = page_routes(Pictures(database, lambda: seen, max_age_s=0), Access(token))
        app = create_app(Database(database_url, timeout_s=1), routes=pages)
        client = TestClient(app, base_url=base_url, client=(address, 50_000), follow_redirects=False)
        client.__enter__()
        opened.extend((client, database))
        return client

    yield start
    for one in opened:
        one.__exit__(None, None, None)
