"""Makes an environment ready to work on: a database of the newest shape, and a home for Dagster."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from sync_pipelines.config import Environment, available_database
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines.migrations import migrate
from sync_pipelines.migrations.runner import DAGSTER_SCHEMA


@dataclass(frozen=True)
class Prepared:
    """What `prepare` found or made.

    Attributes:
        database_url: A running, current database.
        revisions: Our migrations applied now.
        is_dagster_migrated: Whether Dagster's own tables were made or upgraded now.
    """

    database_url: str
    revisions: list[str]
    is_dagster_migrated: bool


def prepare(environment: Environment) -> Prepared:
    """Starts the embedded server if it is needed, migrates, and puts ``dagster.yaml`` where Dagster looks for it.

    A current database is only looked at. Afterwards every process given `Environment.variables` can work.

    Raises:
        ConfigError: Nothing can be started with this environment.
        DatabaseUnavailable: The database can not be reached.
    """
    url = available_database(environment)
    revisions = migrate(url)
    home = environment.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    instance = instance_file().read_bytes()
    kept = home / "dagster.yaml"
    if not kept.exists() or kept.read_bytes() != instance:
        kept.write_bytes(instance)
    return Prepared(url, revisions, _migrate_dagster(environment, url))


def instance_file(here: Path | None = None) -> Path:
    """The project's ``dagster.yaml``: of the working directory, else of the checkout this package runs from.

    Raises:
        ConfigError: There is none.
    """
    for folder in (here or Path.cwd(), Path(__file__).parent.parent):
        if (folder / "dagster.yaml").exists():
            return folder / "dagster.yaml"
    raise ConfigError("there is no dagster.yaml here; run sync-pipelines in the project's folder")


def _migrate_dagster(environment: Environment, url: str) -> bool:
    """Lets Dagster make or upgrade its tables, once for each of its versions: the schema's comment says which was last."""
    current = f"dagster {version('dagster')} / {version('dagster-postgres')}"
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("select obj_description(to_regnamespace(%s), 'pg_namespace')", [DAGSTER_SCHEMA]).fetchone()
        if found and found[0] == current:
            return False
        made = subprocess.run(
            [sys.executable, "-m", "dagster", "instance", "migrate"],
            env=environment.child_environment(url),
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise DatabaseUnavailable(f"Dagster could not prepare its tables: {made.stderr.strip() or made.stdout.strip()}")
        connection.execute(sql.SQL("comment on schema {} is {}").format(sql.Identifier(DAGSTER_SCHEMA), sql.Literal(current)))
    return True
