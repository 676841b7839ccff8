"""One tree of errors; the type of an error says what happens next, its text says what a person can do.

``Throttled`` waits, ``TransientError`` is tried again, ``AuthError`` stops the account, ``DataError`` and ``ContractError`` become
dead letters, ``ConfigError`` ends the command. Texts name account, stream or field and never carry secrets or personal data.
"""

from __future__ import annotations

from datetime import datetime


class SyncError(Exception):
    """Root of every error this project raises on purpose.

    Args:
        message: What happened, to which account and stream, and what the reader can do.
        account: ``vendor/name`` the error belongs to, if any.
    """

    def __init__(self, message: str, *, account: str | None = None) -> None:
        super().__init__(message)
        self.account = account


class ConfigError(SyncError):
    """The configuration or the environment is wrong; the message names the place and the fix."""


class RemoteError(SyncError):
    """A vendor's answer, or its absence, kept us from going on.

    Args:
        status: HTTP status, or ``None`` if there was no answer.
        body: The start of the answer for the dead letter, never for the log.
    """

    def __init__(self, message: str, *, account: str | None = None, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(message, account=account)
        self.status = status
        self.body = body


class Throttled(RemoteError):
    """The quota is used up. ``retry_at`` (aware UTC) is the earliest sensible time to go on."""

    def __init__(
        self,
        message: str,
        *,
        account: str | None = None,
        status: int | None = None,
        body: bytes = b"",
        retry_at: datetime,
    ) -> None:
        super().__init__(message, account=account, status=status, body=body)
        self.retry_at = retry_at


class TransientError(RemoteError):
    """A time-out, a dropped connection or a 5xx: the same request may succeed later."""


class DatabaseUnavailable(TransientError):
    """Our own Postgres cannot be reached, or went away in the middle; the transaction is rolled back."""


class UnclearOutcome(TransientError):
    """A request with side effects got no usable answer; ask the vendor before sending it again."""


class AuthError(RemoteError):
    """The vendor refuses the credentials; this account stops until a person acts."""


class DataError(RemoteError):
    """The vendor refuses or garbles one record or request for good; a person must look at it."""


class ContractError(RemoteError):
    """The vendor answered something its documented contract does not allow."""


class LeaseLost(SyncError):
    """Another worker took over this task or lock; whatever was in flight here is rolled back."""


class StreamBusy(SyncError):
    """Another run of the same stream and account is under way."""


class BrakePulled(SyncError):
    """A change is implausibly large and waits for a person to confirm it."""
