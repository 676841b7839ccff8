"""What every entry point needs at hand: the database, the secrets, and one account's context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.retention import Retention
from sync_pipelines.core.vendor import AccountContext

AccountSource = Callable[[str, Lane], AccountContext]
"""Resolves ``vendor/name`` and a lane to a context by the active configuration; raises `errors.ConfigError`."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An opened environment.

    Attributes:
        database: Pooled connections; closed by whoever opened the runtime.
        account: Looks an account up in the active configuration.
        account_ids: Ids of the configured accounts of the given account vendors that are read.
        links: The configured links of vendors that copy one account to others.
        settings_of: An account's settings by its id, without looking up its credentials.
        retention: How long things are kept.
    """

    database: Database
    account: AccountSource
    account_ids: Callable[[tuple[str, ...]], list[str]]
    links: tuple[Any, ...] = ()
    settings_of: Callable[[str], Any] = lambda _: None
    retention: Retention = field(default_factory=Retention)
