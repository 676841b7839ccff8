"""A house with Dagster's tables in it."""

from __future__ import annotations

import pytest

from sync_pipelines_tests.overview.house import House, make_dagster_tables


@pytest.fixture
def house(database_url: str) -> House:
    """Migrated, with Dagster's tables, empty."""
    make_dagster_tables(database_url)
    return House(database_url)
