"""What a vendor is to the rest of the product: its streams, and how to open a client for one account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import Letter, RetryQueue
from sync_pipelines.core.erasures import Rule
from sync_pipelines.core.secrets import Secrets
from sync_pipelines.core.stream import Stream


@dataclass(frozen=True, slots=True)
class AccountContext:
    """One account with everything a client needs; built from the active configuration.

    Attributes:
        id: ``vendor/name``.
        base_url: Where the vendor answers.
        auth_url: Token endpoint, if it has its own.
        credentials: Resolved credentials by name; never logged.
        settings: The vendor's settings model.
        database: For budgets and token caches.
        secrets: For rotating tokens; ``None`` without a master key.
        lane: Whose quota is used.
    """

    id: str
    base_url: str
    auth_url: str | None
    credentials: Mapping[str, str] = field(repr=False)
    settings: Any
    database: Database
    secrets: Secrets | None
    lane: Lane = Lane.LIVE

    @property
    def vendor(self) -> str:
        """The part of the id before the slash."""
        return self.id.split("/", 1)[0]


@dataclass(frozen=True, slots=True)
class CheckItem:
    """One line of ``sync-pipelines check``.

    Attributes:
        what: What was tried: ``credentials``, ``permission to read orders``.
        is_ok: Whether it works.
        detail: What was found, or what to do.
    """

    what: str
    is_ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class LetterRetry:
    """How letters of one subject, work that is no stream's record, are tried once more.

    Attributes:
        subject: Of the letters, such as ``sendcloud/label_requests``.
        queue: Retries them by itself.
        again: Does a letter's work once more from its payload, edited or not; takes account, client, run id and letter. Answers why
            it failed, in words that can be kept, or ``None``; the caller resolves the letter. A `errors.RemoteError` counts as
            failed, but `errors.Throttled` as not tried.
    """

    subject: str
    queue: RetryQueue
    again: Callable[[AccountContext, Any, str, Letter], str | None]


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor.

    Attributes:
        name: ``sendcloud``; the first part of account ids and stream keys.
        streams: What it is read for.
        connect: Opens the client that the streams' reading functions take.
        check: Tries an account's connection and permissions, without changing anything.
        accounts_of: Which account vendors feed these streams; by default the vendor itself (suppliers share one set of tables).
        next_beat: When a stream without a `Stream.cron` is read next: takes the stream's name, the account's id and settings, and
            an aware instant to look forward from.
        prerequisites: Tries what settings need of this machine, such as a package; takes the account's id and settings.
        retries: Letters besides those of the streams.
        erasures: Rules for personal data besides those of the streams (`stream.Stream.personal`).
    """

    name: str
    streams: tuple[Stream[Any], ...]
    connect: Callable[[AccountContext], Any]
    check: Callable[[Any], list[CheckItem]]
    accounts_of: tuple[str, ...] = ()
    next_beat: Callable[[str, str, Any, datetime], datetime | None] | None = None
    prerequisites: Callable[[str, Any], list[CheckItem]] | None = None
    retries: tuple[LetterRetry, ...] = ()
    erasures: tuple[Rule, ...] = ()

    @property
    def account_vendors(self) -> tuple[str, ...]:
        """The vendors in the ids of the accounts that feed these streams."""
        return self.accounts_of or (self.name,)

    def stream(self, name: str) -> Stream[Any]:
        """The stream called ``name`` (``orders``); KeyError if there is none."""
        return {stream.name: stream for stream in self.streams}[name]
