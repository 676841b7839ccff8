"""Which configuration is followed: the newest applied version, or the file until one was applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sync_pipelines.config.document import parse_document
from sync_pipelines.config.loading import load_config, parse_config
from sync_pipelines.config.models import Config
from sync_pipelines.core import config_store
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import encode_json


def active_config(database: Database, path: Path) -> Config:
    """The configuration in force.

    Args:
        database: Where applied versions are; migrated.
        path: The file that counts until a version was applied.

    Raises:
        ConfigError: It is missing or wrong.
    """
    with database.connect() as connection:
        version = config_store.active(connection)
    if version is None:
        return load_config(path)
    return parse_config(encode_json(version.document).decode(), source=f"configuration version {version.id}")


def document_of(path: Path) -> Any:
    """A file's content as a document for the store: as written, references to secrets unresolved.

    Raises:
        ConfigError: It cannot be read, or is wrong in itself.
    """
    load_config(path)
    try:
        return parse_document(path.read_text(encoding="utf-8"), path.name).data
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error}") from error
