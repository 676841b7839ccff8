"""Brings a database to the newest shape, in one transaction; a current database is only looked at.

Every branch is independent (``amazon_0001`` depends on ``engine_0001`` and on nothing of another vendor), so the version table
``sync.alembic_version`` holds one row for each branch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from sync_pipelines.core.db import driver_url, require_supported, safe_url
from sync_pipelines.core.errors import DatabaseUnavailable
from sync_pipelines.core.tables import SYNC_SCHEMA, metadata

DAGSTER_SCHEMA = "dagster"
"""Dagster makes its own tables there; it only needs the schema."""

MIGRATION_LOCK = 7_305_511_020_220_001
"""Key of the advisory lock that lets one process migrate at a time."""

HERE = Path(__file__).parent


def migrate(url: str) -> list[str]:
    """Migrates to the newest revisions of every branch.

    Args:
        url: The database, ``postgresql://…``.

    Returns:
        The revisions applied now; empty if the database was current.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        ConfigError: It is too old.
    """
    with _connect(url) as connection:
        if _is_current(connection):
            return []
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        before = _applied(connection)
        for schema in (SYNC_SCHEMA, DAGSTER_SCHEMA):
            connection.execute(text(f"create schema if not exists {schema}"))
        command.upgrade(_config(connection), "heads")
        return sorted(_applied(connection) - before)


def is_current(url: str) -> bool:
    """Whether `migrate` would change nothing."""
    with _connect(url) as connection:
        return _is_current(connection)


def target_metadata() -> MetaData:
    """All tables of the product: imports every module of ours that declares some."""
    import sync_pipelines.core as core
    import sync_pipelines.vendors as vendors

    for package in (core, vendors):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if package is core or module.name.endswith(".tables"):
                import_module(module.name)
    return metadata


def _is_current(connection: Connection) -> bool:
    schema = connection.scalar(text("select 1 from pg_namespace where nspname = :name"), {"name": DAGSTER_SCHEMA})
    return schema is not None and _known() <= _applied(connection)


def _applied(connection: Connection) -> set[str]:
    """Every revision that is in the database: the recorded heads and all they stand on."""
    context = MigrationContext.configure(connection, opts={"version_table_schema": SYNC_SCHEMA})
    known = _known()
    heads = tuple(head for head in context.get_current_heads() if head in known)
    return {revision.revision for revision in _script().iterate_revisions(heads, "base")} if heads else set()


def _known() -> set[str]:
    return {revision.revision for revision in _script().walk_revisions()}


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = create_engine(driver_url(url, "psycopg"), poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            driven: Any = connection.connection.dbapi_connection
            require_supported(driven.info.server_version, url)
            yield connection
    except OperationalError as error:
        if error.connection_invalidated or error.statement is None:
            reason = " ".join(str(error.orig).split()).rstrip(".?")
            raise DatabaseUnavailable(f"the database {safe_url(url)} is not reachable: {reason}. Check DATABASE_URL") from error
        raise
