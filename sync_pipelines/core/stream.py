"""What a stream is: one frozen declaration that the engine, Dagster, the documentation and the tests all read.

The way of a record: the client yields a `Page`, the page is archived, `Stream.records` splits it, `Stream.parse` makes a `Record`
of each part, and the guarded upsert stores it. See `sync.sync_stream` for what moves a stream along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from psycopg import Connection
from sqlalchemy import Table

from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.personal import Personal
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Window

ClientT = TypeVar("ClientT")


@dataclass(frozen=True, slots=True)
class Page:
    """One response page as the client read it.

    Attributes:
        body: What is archived, byte for byte; `Stream.records` splits it, now and on replay.
        source: Which shape of the vendor's API it has (``v3``, ``v2``, …).
        request: What was asked, for the archive: method, path and query without secrets.
        next_token: Where paging goes on after this page; ``None`` on the last one.
        confirmed_until: The upper bound the vendor says it served, if that is earlier than the window asked for.
        is_whole: For a last page: whether with it all there is has been read. What ends otherwise is stored, but its window stays
            open, and `Scan.whole_at` stays what it was. Records that its scan neither met nor marked as existing are absent all the
            same.
    """

    body: bytes
    source: str
    request: str
    next_token: str | None = None
    confirmed_until: datetime | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What a mapping may know besides the record.

    Attributes:
        account: ``vendor/name``.
        source: Which shape of the vendor's API the record has.
        received_at: When the page was received, aware UTC; the version where the vendor has no change time.
        settings: The account's settings model of this vendor.
    """

    account: str
    source: str
    received_at: datetime
    settings: Any


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a stream's own write steps may know.

    Attributes:
        account: ``vendor/name``.
        run_id: The Dagster run.
        now: Write time, aware UTC.
        settings: The account's settings model.
    """

    account: str
    run_id: str
    now: datetime
    settings: Any


class Deletes(StrEnum):
    """How records that vanish at the vendor are found."""

    NEVER = "never"
    """The vendor keeps everything, or the stream cannot tell."""
    ABSENT = "absent"
    """A full scan that no longer contains a record says so; see `DeletePolicy`."""


@dataclass(frozen=True, slots=True)
class DeletePolicy:
    """When an absent record becomes a tombstone.

    Attributes:
        found_by: How deletions are found.
        confirmations: Consecutive complete scans that must miss a record.
        brake_share: Share of the living rows above which nothing is deleted until a person confirms.
        brake_rows: The same as an absolute number.
    """

    found_by: Deletes = Deletes.NEVER
    confirmations: int = 2
    brake_share: float = 0.05
    brake_rows: int = 200


@dataclass(frozen=True, slots=True)
class Sweep:
    """A regular re-read of recent time against changes that show up late.

    Attributes:
        name: Appears in the schedule's name: ``nightly``.
        cron: When, in UTC.
        reach: How far back from the safety lag.
    """

    name: str
    cron: str
    reach: timedelta


@dataclass(frozen=True, slots=True)
class Reconciling:
    """How a stream is compared with the vendor's own list; see `reconciling.reconcile_stream`.

    Attributes:
        every: Age of the last comparison at which the daily job makes another one; ``None``: only on demand.
        reach: How far back a windowed stream is compared, unless a window is asked for.
        listed_by: Columns of the row that hold the time by which the vendor lists a windowed stream; the first that is not null.
        read: Lists the vendor's records for comparison, by window or, with ``None``, all of them; where reading ``changed`` or
            ``everything`` leaves something out or has effects of its own.
    """

    every: timedelta | None = timedelta(days=1)
    reach: timedelta = timedelta(days=7)
    listed_by: tuple[str, ...] = ("version",)
    read: Callable[[Any, Window | None, str | None], Iterator[Page]] | None = None


@dataclass(frozen=True, kw_only=True)
class Stream(Generic[ClientT]):
    """One vendor collection kept in one table and its child tables.

    Attributes:
        key: ``vendor/table``.
        table: Parent table.
        children: Child tables, replaced as a set with their parent.
        description: One or two sentences for the Dagster UI and the documentation.
        records: Splits an archived body of a given source into the JSON text of its records.
        parse: Makes a `Record` of one record's JSON text. Raises `errors.DataError` or pydantic's ``ValidationError``.
        key_of: Best effort at the vendor key of a record that ``parse`` refuses, for its dead letter.
        changed: Windowed read: pages of what changed within a window, going on at a token.
        everything: Full read: pages of all there is, going on at a token.
        fetch_one: Reads a single record anew by its vendor key; lets a dead letter heal by itself.
        before_store: Sees a batch inside the transaction before it is stored and returns what shall be stored; for records that
            reach one row by several ways.
        after_store: Sees the stored batch inside the same transaction; for facts that belong to other rows.
        version_is_read_time: The vendor has no change time, so a record's version is when it was read.
        overlap: How far a delta run reads back into confirmed time.
        safety_lag: The youngest vendor time a delta run does not ask for.
        slice: Longest window read at once; longer ones are cut, oldest first.
        token_lifetime: How long a paging token can be resumed; afterwards its window is read again.
        cron: When delta runs start, in the account's time zone; ``None`` if only on demand.
        freshness: Age of the last success that is a failure.
        sweeps: Regular re-reads in a lower lane.
        deletes: When absent records become tombstones.
        reconciling: How our rows are compared with the vendor's own list; ``None`` where there is no list.
        retry_queue: Queue that retries dead letters of this stream by itself; ``None`` for none.
        max_runtime: A run of this stream is stopped after this time.
        kinds: Dagster kinds shown on the asset.
        only_accounts_of: Account vendors that feed this stream, where a vendor's streams are fed by different ones.
        personal: What is personal in its records, and how long it may stay; ``None`` if nothing is, or if the vendor's own rules
            (`vendor.Vendor.erasures`) see to it.
    """

    key: str
    table: Table
    description: str
    records: Callable[[bytes, str], Sequence[bytes]]
    parse: Callable[[bytes, ParseContext], Record]
    key_of: Callable[[bytes, str], str | None]
    children: tuple[Table, ...] = ()
    changed: Callable[[ClientT, Window, str | None], Iterator[Page]] | None = None
    everything: Callable[[ClientT, str | None], Iterator[Page]] | None = None
    fetch_one: Callable[[ClientT, str], Page] | None = None
    before_store: Callable[[Connection[Any], WriteContext, list[Record]], list[Record]] | None = None
    after_store: Callable[[Connection[Any], WriteContext, list[Record]], None] | None = None
    version_is_read_time: bool = False
    overlap: timedelta = timedelta(minutes=10)
    safety_lag: timedelta = timedelta(0)
    slice: timedelta = timedelta(days=7)
    token_lifetime: timedelta = timedelta(hours=24)
    cron: str | None = "*/15 * * * *"
    freshness: timedelta = timedelta(hours=1)
    sweeps: tuple[Sweep, ...] = ()
    deletes: DeletePolicy = field(default_factory=DeletePolicy)
    reconciling: Reconciling | None = field(default_factory=Reconciling)
    retry_queue: RetryQueue | None = None
    max_runtime: timedelta = timedelta(minutes=20)
    kinds: frozenset[str] = frozenset({"postgres"})
    only_accounts_of: tuple[str, ...] = ()
    personal: Personal | None = None

    def __post_init__(self) -> None:
        if self.changed is None and self.everything is None:
            raise ValueError(f"{self.key}: a stream reads by window (changed), in full (everything), or both")
        if self.deletes.found_by is Deletes.ABSENT and self.everything is None:
            raise ValueError(f"{self.key}: absence can only be found by reading everything")

    def reads_from(self, account: str) -> bool:
        """Whether this stream is read from that account."""
        return not self.only_accounts_of or account.split("/", 1)[0] in self.only_accounts_of

    @property
    def vendor(self) -> str:
        """The part of the key before the slash."""
        return self.key.split("/", 1)[0]

    @property
    def name(self) -> str:
        """The part of the key after the slash."""
        return self.key.split("/", 1)[1]

    @property
    def is_windowed(self) -> bool:
        """Whether the vendor can list by change time."""
        return self.changed is not None
