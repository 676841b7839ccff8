"""The settings webhooks are verified with, as the configuration in force says: an applied version is followed without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sync_pipelines.config import Config, SecretLookup
from sync_pipelines.config.references import with_references
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.references import Reference

READ_EVERY_S = 5.0

_LOG = logging.getLogger(__name__)


class AccountSettings:
    """Settings by account.

    Args:
        config: The configuration at the start, for a database that is away from the beginning.
        read: Reads the one in force.
        secrets: Looks up keys that are secrets.
        read_every_s: Seconds between two readings.
    """

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        secrets: SecretLookup | None = None,
        *,
        read_every_s: float = READ_EVERY_S,
    ) -> None:
        self._read, self._secrets, self._read_every_s = read, secrets, read_every_s
        self._problem: str | None = None
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
                await asyncio.to_thread(lambda: self._follow(self._read()))
            except Exception as error:  # noqa: BLE001 - whatever made one reading fail, the next may succeed
                self._tell(describe(error).text)
            else:
                self._problem = None
            await asyncio.sleep(self._read_every_s)

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            _LOG.warning("the configuration can not be read, the one before is followed: %s", problem)
        self._problem = problem

    def _follow(self, config: Config) -> None:
        self._by_account = {account.id: _settled(account.bound_settings(self._secrets)) for account in config.accounts}


def _settled(settings: Any) -> Any:
    """The settings with their keys looked up now, for deliveries do not wait for the database; a missing one says so when used."""

    def settle(_: Any, reference: Reference) -> Reference:
        try:
            value = reference.value()
        except SyncError as error:
            failure = error  # the name of an except clause ends with it

            def missing(_: str) -> str:
                raise failure

            return reference.bound(missing)
        return reference.bound(lambda _: value)

    return with_references(settings, settle)
