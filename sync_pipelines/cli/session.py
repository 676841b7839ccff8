"""What commands that work on the instance share: a prepared database, Dagster's instance and our definitions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sync_pipelines.cli import output
from sync_pipelines.config import Config, Environment, available_database, embedded_server, in_force, load_config
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.opening import open_runtime, secrets_of
from sync_pipelines.preparation import prepare

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions


_STATEMENT_TIMEOUT_MS = 60_000
"""How long one statement of Dagster's storage may take."""


@dataclass(frozen=True, slots=True)
class Session:
    """An instance to run on."""

    instance: DagsterInstance
    definitions: Definitions


def configuration(environment: Environment | None = None) -> Config:
    """The configuration in force, which runs, schedules and alerts follow too; says once if the file differs from it.

    Raises:
        ConfigError: It is missing or wrong.
        DatabaseUnavailable: Nobody can say what was applied.
    """
    environment = environment or Environment.read()
    if environment.database_url is None and not embedded_server(environment).has_data:
        return load_config(environment.config_path)
    with Database(available_database(environment), application_name="sync-pipelines command", max_connections=1) as opened:
        found = in_force(opened, environment.config_path, secrets_of(opened, environment))
    if found.difference:
        output.note_once(found.difference)
    return found.config


def shown_configuration() -> Config:
    """The same for a command that only shows it: the file while the database is away, and says so."""
    environment = Environment.read()
    try:
        return configuration(environment)
    except DatabaseUnavailable as error:
        config = load_config(environment.config_path)
        output.note_once(f"{error}. This is {config.source}, not what may have been applied")
        return config


@contextmanager
def dagster_session(environment: Environment | None = None, *, vendor: str | None = None) -> Iterator[Session]:
    """Prepares the database if needed and opens the Dagster instance on it.

    Args:
        environment: By default that of this process.
        vendor: The only vendor whose definitions are needed: a command for one stream starts a second sooner without the others.
    """
    environment = environment or Environment.read()
    configuration(environment)
    environment.enter(prepare(environment).database_url)
    warnings.filterwarnings("ignore", module="dagster")
    from dagster import DagsterInstance

    from sync_pipelines.orchestration.orphans import fail_orphans

    definitions = _definitions(vendor)
    with DagsterInstance.get() as instance:
        # Keeps a connection open instead of opening 75 of them for one run.
        instance.optimize_for_webserver(statement_timeout=_STATEMENT_TIMEOUT_MS, pool_recycle=3600, max_overflow=10)
        fail_orphans(instance, is_code_server_down=False)
        yield Session(instance, definitions)


def _definitions(vendor: str | None) -> Definitions:
    if vendor is None:
        from sync_pipelines.definitions import defs

        return defs
    from sync_pipelines.orchestration.engine import assemble
    from sync_pipelines.registry import module

    return assemble([module(vendor, "defs").defs], open_runtime)


@contextmanager
def runtime() -> Iterator[Runtime]:
    """The runtime of a command that needs no Dagster; the database is prepared first."""
    environment = Environment.read()
    configuration(environment)
    url = prepare(environment).database_url
    os.environ["DATABASE_URL"] = url
    opened = open_runtime(Environment.read(), application_name="sync-pipelines command")
    try:
        yield opened
    finally:
        opened.database.close()


@contextmanager
def database() -> Iterator[Database]:
    """The prepared database, for commands that need no configuration."""
    environment = Environment.read()
    opened = Database(prepare(environment).database_url, application_name="sync-pipelines command")
    try:
        yield opened
    finally:
        opened.close()


def instant(option: str, text: str | None) -> datetime | None:
    """An option's ISO 8601 instant; UTC where it names no zone.

    Raises:
        ConfigError: It is none.
    """
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option} is {text!r}; it must be an ISO 8601 instant such as 2026-01-31T08:00:00Z") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def one_of(option: str, value: str | None, kind: Any) -> Any:
    """An option's value as a member of an enumeration.

    Raises:
        ConfigError: It is none.
    """
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        raise ConfigError(f"{option} is {value!r}; it must be one of {', '.join(str(member) for member in kind)}") from error
