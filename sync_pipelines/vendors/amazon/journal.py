"""Polls of each tenant: when it was last asked, and with what result; feeds the view ``amazon.sync_state``."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.core.db import Database


@dataclass(frozen=True)
class Journal:
    """Notes the polls of one account."""

    database: Database
    account: str

    def begin(self) -> None:
        """A poll starts."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO amazon.polls (account, last_polled_at) VALUES (%s, clock_timestamp())"
                " ON CONFLICT (account) DO UPDATE SET last_polled_at = excluded.last_polled_at",
                [self.account],
            )

    def succeed(self) -> None:
        """The poll ended well, or cleanly for want of quota."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE amazon.polls SET last_success_at = clock_timestamp(), last_error = NULL, failing_since = NULL"
                " WHERE account = %s",
                [self.account],
            )

    def fail(self, error: BaseException) -> None:
        """The poll failed."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE amazon.polls SET last_error = %s, failing_since = coalesce(failing_since, last_polled_at)"
                " WHERE account = %s",
                [f"{type(error).__name__}: {error}"[:500], self.account],
            )
