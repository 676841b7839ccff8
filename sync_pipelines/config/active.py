"""Which configuration is followed: the newest applied version, or the file until one was applied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_pipelines.config.document import parse_document
from sync_pipelines.config.loading import load_config, parse_config
from sync_pipelines.config.models import Config
from sync_pipelines.config.sealing import sealed
from sync_pipelines.core import config_store
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.secrets import Secrets


@dataclass(frozen=True)
class InForce:
    """The configuration that everything follows.

    Attributes:
        config: What it says.
        version: The applied version; ``None`` while the file counts.
        difference: One line for a person if the file says something else than the applied version.
    """

    config: Config
    version: int | None = None
    difference: str | None = None


def active_config(database: Database, path: Path) -> Config:
    """The configuration in force.

    Args:
        database: Where applied versions are; migrated.
        path: The file that counts until a version was applied.

    Raises:
        ConfigError: It is missing or wrong.
    """
    version = _applied(database)
    return load_config(path) if version is None else _parsed(version)


def in_force(database: Database, path: Path, secrets: Secrets | None = None) -> InForce:
    """The configuration in force, and whether the file agrees with it.

    Args:
        database: Where applied versions are; may be empty yet.
        path: The file that counts until a version was applied; may be missing afterwards.
        secrets: To compare literal credentials with what was stored of them.

    Raises:
        ConfigError: What counts is missing or wrong.
    """
    version = _applied(database)
    if version is None:
        return InForce(load_config(path))
    difference = None
    if not _agrees(path, version, database, secrets):
        difference = f"{path.name} differs from the applied version {version.id}: run `sync-pipelines config plan`"
    return InForce(_parsed(version), version.id, difference)


def read_file(path: Path) -> tuple[Any, Config]:
    """A file's content as a document, as written with its references unresolved, and what it says.

    Raises:
        ConfigError: It cannot be read, or is wrong in itself.
    """
    config = load_config(path)
    try:
        return parse_document(path.read_text(encoding="utf-8"), path.name).data, config
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error}") from error


def _applied(database: Database) -> config_store.Version | None:
    with database.connect() as connection:
        return config_store.active(connection) if config_store.exists(connection) else None


def _parsed(version: config_store.Version) -> Config:
    return parse_config(encode_json(version.document).decode(), source=f"configuration version {version.id}")


def _agrees(path: Path, version: config_store.Version, database: Database, secrets: Secrets | None) -> bool:
    """Whether the file says what was applied; one that is not there says nothing else."""
    try:
        document = parse_document(path.read_text(encoding="utf-8"), path.name).data
        if config_store.document_digest(document) == version.digest:
            return True
        config = load_config(path)
        with database.connect() as connection:
            document = sealed(document, config, connection, secrets).document
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError, ConfigError):
        return False
    return config_store.document_digest(document) == version.digest
