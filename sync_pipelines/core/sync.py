"""Moves a stream along: plans the windows, stores page by page, confirms what is whole. The same for every stream.

Each page is one transaction that holds the archived body, the rows, the dead letters and the progress, so a crash at any line costs
at most one page of repeated reading. A quota that is used up for long ends the run cleanly; the next one goes on at the token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from psycopg import Connection

from sync_pipelines.core import dead_letters, partitions, windows
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.errors import ContractError, StreamBusy, Throttled
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.scans import Scan
from sync_pipelines.core.store import StoreOutcome, Storer
from sync_pipelines.core.stream import Deletes, Page, Stream
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.core.windows import Ledger, Window

DEFAULT_HISTORY = timedelta(days=30)
"""Where a windowed stream's first sync starts unless ``settings.start`` says otherwise."""


class Mode(StrEnum):
    """What a run reads."""

    INCREMENTAL = "incremental"
    """Everything not yet confirmed, up to now."""
    WINDOW = "window"
    """One given window, confirmed or not."""
    FULL = "full"
    """All history the vendor still has."""


class Client(Protocol):
    """What the engine needs of a vendor's client."""

    @property
    def stats(self) -> CallStats:
        """Counts of this client's calls."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was asked to do.

    Attributes:
        mode: What to read.
        lane: Whose quota it uses.
        window: For `Mode.WINDOW`.
        start: Where the history of a windowed stream begins at its first sync; ``None`` is `DEFAULT_HISTORY` ago.
    """

    mode: Mode = Mode.INCREMENTAL
    lane: Lane = Lane.LIVE
    window: Window | None = None
    start: datetime | None = None

    @property
    def lane_group(self) -> str:
        """Runs of different groups may work on one stream at once, so that a backfill never holds up the live lane."""
        return "live" if self.lane in {Lane.LIVE, Lane.WEBHOOK, Lane.RETRY} else "backfill"

    @property
    def exclusive_part(self) -> str:
        """What of a stream and account only one run may read at a time: live everything, in a backfill the same window."""
        return f"backfill {self.window}" if self.lane_group == "backfill" and self.window is not None else self.lane_group


OnProgress = Callable[[SyncTotals], None]


def sync_stream(
    stream: Stream[Any],
    *,
    database: Database,
    account: str,
    client: Client,
    run_id: str,
    settings: Any,
    request: Request | None = None,
    on_progress: OnProgress = lambda _: None,
) -> SyncTotals:
    """Brings one stream of one account up to date, or as far as the quota allows.

    Args:
        stream: The declaration.
        database: Where rows, windows and archive live.
        account: ``vendor/name``.
        client: Whatever the stream's reading functions take; built for this account and lane.
        run_id: The Dagster run.
        settings: The account's settings model, handed to the mapping.
        request: What to read; by default a delta in the live lane.
        on_progress: Called after each stored page.

    Returns:
        The totals; ``status`` is ``partial`` if the quota ended the run before everything was read.

    Raises:
        StreamBusy: Another run of the same stream, account and lane group is under way.
        RemoteError: The vendor could not be read; what was stored before stays stored and confirmed windows stay true.
    """
    request = request or Request()
    run = _Run(stream, database, account, client, run_id, settings, request, on_progress)
    names = [f"{stream.key}@{account}#{request.exclusive_part}"]
    if run.reads_everything:
        # A stream has one scan at a time, whatever the lane: they would share what was seen and where it goes on.
        names.append(f"{stream.key}@{account}#scan")
    with exclusive(database, *names):
        return run.go()


@contextmanager
def exclusive(database: Database, *names: str) -> Iterator[None]:
    """Holds locks for the life of the block; what the block stores, it stores only while they stand, see `Database.locks`.

    Raises:
        StreamBusy: Somebody else holds one of them.
    """
    with database.locks(*names) as are_ours:
        if not are_ours:
            raise StreamBusy(f"{names[0]}: another run is under way; it will do this work, or try again when it has ended")
        yield


class _Run:
    """One call of `sync_stream`."""

    def __init__(
        self,
        stream: Stream[Any],
        database: Database,
        account: str,
        client: Client,
        run_id: str,
        settings: Any,
        request: Request,
        on_progress: OnProgress,
    ) -> None:
        self._stream, self._database, self._client, self._request = stream, database, client, request
        self._storer = Storer(stream, account, run_id, settings)
        self._ledger = Ledger(account, stream.key, request.lane_group)
        self._on_progress = on_progress
        self._totals = SyncTotals(stream.key, account, run_id)
        self._started = time.monotonic()
        self._account, self._run_id = account, run_id

    @property
    def reads_everything(self) -> bool:
        """Whether this run is a full scan."""
        return self._request.mode is Mode.FULL or not self._stream.is_windowed

    def go(self) -> SyncTotals:
        with self._database.connect() as connection:
            now = clock(connection)
            partitions.ensure_days(connection, "archive", first=now.date())
        try:
            if self.reads_everything:
                self._read_everything()
            else:
                self._read_windows(now)
        except Throttled as error:
            self._totals.status = Status.PARTIAL
            self._totals.stopped_because = f"quota: {error}"
            self._totals.resume_at = error.retry_at
        except ContractError as error:
            self._keep_evidence(error)
            raise
        finally:
            self._finish()
        return self._totals

    def _keep_evidence(self, error: ContractError) -> None:
        """Keeps an answer that the vendor's contract does not allow, for a person to look at; the window stays unconfirmed."""
        with self._database.transaction() as connection:
            dead_letters.open_letter(
                connection,
                dead_letters.NewLetter(
                    account=self._account,
                    subject=self._stream.key,
                    key=dead_letters.PAGE,
                    cause=type(error).__name__,
                    error=str(error),
                    payload=error.body[: dead_letters.RESPONSE_LIMIT],
                    request="",
                    run_id=self._run_id,
                ),
            )
        self._totals.dead_lettered += 1

    def _read_windows(self, now: datetime) -> None:
        for window, token in self._plan(now):
            self._read_window(window, token)

    def _plan(self, now: datetime) -> list[tuple[Window, windows.Progress | None]]:
        """The windows to read, oldest first, each with the progress of an earlier run if it can be resumed."""
        request, stream = self._request, self._stream
        with self._database.transaction() as connection:
            started = {item.window: item for item in self._ledger.progress(connection)}
            if request.mode is Mode.WINDOW:
                if request.window is None:
                    raise ValueError("a window run needs a window")
                wanted = [request.window]
            else:
                origin = self._ledger.open(connection, origin=self._origin(connection, now))
                wanted = windows.delta(
                    origin=origin,
                    confirmed=self._ledger.confirmed(connection),
                    now=now,
                    overlap=stream.overlap,
                    safety_lag=stream.safety_lag,
                )
        relevant = [window for window in started if any(_touch(window, other) for other in wanted)]
        fresh = windows.subtract(wanted, relevant)
        planned: list[tuple[Window, windows.Progress | None]] = [(window, started[window]) for window in relevant]
        planned += [(piece, None) for window in fresh for piece in window.slices(stream.slice)]
        return sorted(planned, key=lambda item: item[0])

    def _origin(self, connection: Connection[Any], now: datetime) -> datetime:
        known = self._ledger.origin(connection)
        if self._request.start is not None:
            return min(self._request.start, known) if known else self._request.start
        return known or (now - DEFAULT_HISTORY).replace(hour=0, minute=0, second=0, microsecond=0)

    def _read_window(self, window: Window, progress: windows.Progress | None) -> None:
        assert self._stream.changed is not None  # noqa: S101  # only windowed streams come here
        token, until = None, None
        if progress is not None:
            until = progress.confirmed_until
            with self._database.transaction() as connection:
                if clock(connection) - progress.updated_at < self._stream.token_lifetime:
                    token = progress.next_token
                else:
                    self._ledger.forget(connection, window)
        seen = {token} if token else set()
        for page in self._stream.changed(self._client, window, token):
            until = page.confirmed_until or until
            self._check_token(page, seen)
            with self._database.transaction() as connection:
                self._store(connection, page)
                if page.next_token is not None:
                    self._ledger.advance(connection, window, page.next_token, until)
                elif page.is_whole:
                    self._confirm(connection, window, until)
                    return
                else:
                    self._leave_open(connection, window)
                    return
            self._report()
        raise ContractError(
            f"{self._stream.key} of {self._account}: the client ended a window without a last page", account=self._account
        )

    def _confirm(self, connection: Connection[Any], window: Window, until: datetime | None) -> None:
        dead_letters.resolve_newer(connection, self._account, self._stream.key, [dead_letters.PAGE])
        self._ledger.forget(connection, window)
        end = min(window.end, until) if until is not None else window.end
        if end > window.start:
            whole = Window(window.start, end)
            self._ledger.confirm(connection, whole)
            self._totals.windows.append((whole.start, whole.end))

    def _leave_open(self, connection: Connection[Any], window: Window) -> None:
        """Stored, but not known to be all there is: the next run reads the window anew."""
        self._ledger.forget(connection, window)
        self._totals.status = Status.PARTIAL
        self._totals.stopped_because = f"the vendor could not show all of {window}"

    def _read_everything(self) -> None:
        if self._stream.everything is None:
            raise ContractError(f"{self._stream.key}: the vendor has no way to list everything; use --from and --to")
        scan = Scan(self._account, self._stream.key)
        with self._database.transaction() as connection:
            token = scan.resume(connection, self._stream.token_lifetime)
        seen = {token} if token else set()
        for page in self._stream.everything(self._client, token):
            self._check_token(page, seen)
            with self._database.transaction() as connection:
                outcome = self._store(connection, page)
                if self._stream.deletes.found_by is Deletes.ABSENT:
                    scan.saw(connection, outcome.keys)
                if page.next_token is not None:
                    scan.advance(connection, page.next_token)
                else:
                    self._finish_scan(connection, scan, is_whole=page.is_whole)
                    return
            self._report()
        raise ContractError(
            f"{self._stream.key} of {self._account}: the client ended a scan without a last page", account=self._account
        )

    def _finish_scan(self, connection: Connection[Any], scan: Scan, *, is_whole: bool) -> None:
        started = scan.finish(connection)
        if is_whole and self._stream.deletes.found_by is Deletes.ABSENT:
            outcome = scan.bury_absent(connection, self._stream, run_id=self._run_id, now=clock(connection))
            self._totals.deleted += outcome.deleted
            if outcome.held:
                self._totals.stopped_because = outcome.held
        if self._stream.is_windowed:
            origin = self._ledger.open(connection, origin=self._origin(connection, started))
            end = started - self._stream.safety_lag
            if end > origin:
                history = Window(origin, end)
                self._confirm(connection, history, None) if is_whole else self._leave_open(connection, history)

    def _check_token(self, page: Page, seen: set[str]) -> None:
        if page.next_token is None:
            return
        if page.next_token in seen:
            raise ContractError(
                f"{self._stream.key} of {self._account}: the vendor's paging repeats a token, which would never end",
                account=self._account,
                body=page.body[:2000],
            )
        seen.add(page.next_token)

    def _store(self, connection: Connection[Any], page: Page) -> StoreOutcome:
        outcome = self._storer.page(connection, page, received_at=clock(connection))
        totals = self._totals
        totals.add(outcome.fetched, outcome.counts, outcome.dead_lettered)
        totals.unknown += outcome.unknown
        totals.unknown_words |= outcome.unknown_words
        return outcome

    def _report(self) -> None:
        stats = self._client.stats
        self._totals.api_calls, self._totals.throttled = stats.api_calls, stats.throttled
        self._totals.waited_s = round(stats.waited_s, 3)
        self._totals.duration_s = round(time.monotonic() - self._started, 3)
        self._on_progress(self._totals)

    def _finish(self) -> None:
        if self._stream.is_windowed:
            with self._database.connect() as connection:
                confirmed = self._ledger.confirmed(connection)
                if confirmed:
                    self._totals.lag_s = round((clock(connection) - confirmed[-1].end).total_seconds(), 3)
        self._report()


def _touch(one: Window, other: Window) -> bool:
    return one.start < other.end and other.start < one.end
