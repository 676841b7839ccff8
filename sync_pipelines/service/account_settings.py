"""The settings webhooks are verified with, as the configuration in force says: an applied version is followed without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sync_pipelines.config import Config
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable

READ_EVERY_S = 5.0

_LOG = logging.getLogger(__name__)


class AccountSettings:
    """Settings by account.

    Args:
        config: The configuration at the start, for a database that is away from the beginning.
        read: Reads the one in force.
    """

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        self._read = read
        self._follow(config)

    def of(self, account: str) -> Any | None:
        """The account's settings; ``None`` if there is no such account."""
        return self._by_account.get(account)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follows the configuration as long as the context lasts; for the application's lifespan."""
        following = asyncio.create_task(self._keep_following())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _keep_following(self) -> None:
        while True:
            try:
                self._follow(await asyncio.to_thread(self._read))
            except (ConfigError, DatabaseUnavailable) as error:
                _LOG.warning("the configuration can not be read, the one before is followed: %s", error)
            await asyncio.sleep(READ_EVERY_S)

    def _follow(self, config: Config) -> None:
        self._by_account = {account.id: account.settings for account in config.accounts}
