"""The migrations: an empty database becomes complete, a current one is left alone, and the result is what the code declares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from sync_pipelines.core.db import driver_url
from sync_pipelines.migrations import is_current, migrate
from sync_pipelines.migrations.runner import target_metadata


def _last_transaction(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("select pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
        assert row
        return str(row[0])


def test_an_empty_database_is_prepared_and_a_current_one_is_not_changed(empty_database_url: str) -> None:
    assert not is_current(empty_database_url)
    assert "engine_0001" in migrate(empty_database_url)
    before = _last_transaction(empty_database_url)
    assert is_current(empty_database_url)
    assert migrate(empty_database_url) == []
    assert _last_transaction(empty_database_url) == before


def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = [revision for revisions in pool.map(migrate, [empty_database_url] * 4) for revision in revisions]
    assert sorted(applied) == sorted(set(applied))
    assert is_current(empty_database_url)


def test_the_migrated_schema_is_what_the_tables_declare(database_url: str) -> None:
    metadata = target_metadata()
    ours = {table.schema for table in metadata.tables.values()}
    engine = create_engine(driver_url(database_url, "psycopg"))

    def is_ours(item: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
        return kind != "table" or (getattr(item, "schema", None) in ours and name != "alembic_version" and not _is_partition(item))

    def _is_partition(item: object) -> bool:
        key = f"{getattr(item, 'schema', '')}.{getattr(item, 'name', '')}"
        return key in partitions

    with engine.connect() as connection:
        partitions = {
            row[0]
            for row in connection.exec_driver_sql(
                "select relnamespace::regnamespace || '.' || relname from pg_class where relispartition"
            )
        }
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "include_object": is_ours,
                "include_name": lambda name, kind, _: kind != "schema" or name in ours,
            },
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []
