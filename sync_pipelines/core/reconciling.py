"""Compares our rows with the vendor's own list, page by page, and stores what the vendor knows better.

Comparing and repairing are one act: each listed page goes through the guarded upsert with every column and child row compared, and
what that writes was missing or different. In a dry run the same is rolled back. Rows in the compared scope that were not listed are
asked for one by one where the vendor allows it; those it does not know are reported, never touched.

Each page is one transaction with its verdicts and the token of the next page, so a quota that is used up, or a crash, costs
nothing: the next comparison goes on there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core import archive, comparisons, partitions, reconciliation
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.errors import ConfigError, ContractError, DataError, Throttled
from sync_pipelines.core.reconciliation import REPAIRABLE, REPORTED, Reconciliation, Verdict
from sync_pipelines.core.store import Storer, letter_key
from sync_pipelines.core.stored_rows import EVERYTHING, StoredRow, StoredRows
from sync_pipelines.core.stream import Deletes, Page, Reconciling, Stream
from sync_pipelines.core.sync import Client, exclusive
from sync_pipelines.core.totals import Status
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.windows import Ledger, Window

MOST_LOOK_UPS = 200
"""Unlisted rows asked for one by one; if there are more, the list is doubted rather than our rows, and none is asked for."""

_CLOCKS_MAY_DIFFER = timedelta(hours=1)

OnProgress = Callable[[Reconciliation], None]


def reconcile_stream(
    stream: Stream[Any],
    *,
    database: Database,
    account: str,
    client: Client,
    run_id: str,
    settings: Any,
    window: Window | None = None,
    is_dry_run: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Reconciliation | None:
    """Compares one stream of one account with the vendor's list, or as much of it as the quota allows.

    Args:
        stream: The declaration.
        database: Where the rows are.
        account: ``vendor/name``.
        client: Built for this account and the backfill lane.
        run_id: The Dagster run.
        settings: The account's settings model.
        window: Vendor change time to compare; by default what the stream declares. Only for windowed streams.
        is_dry_run: Find everything, store and record nothing.
        on_progress: Called after each compared page.

    Returns:
        What was found; ``status`` is ``partial`` if the quota ended it early, and then it is not recorded yet. ``None`` if nothing
        has been read yet that could be compared.

    Raises:
        ConfigError: The vendor has no list to compare with, or none by time.
        StreamBusy: Another comparison of the same stream and account is under way.
        RemoteError: The vendor could not be read; the next comparison goes on where this one stopped.
    """
    if stream.reconciling is None:
        raise ConfigError(f"{stream.key}: the vendor has no list to compare with", account=account)
    if window is not None and not stream.is_windowed:
        raise ConfigError(f"{stream.key} can only be compared as a whole; leave out the time", account=account)
    with exclusive(database, f"{stream.key}@{account}#reconcile"):
        return _Comparison(
            stream, stream.reconciling, database, account, client, run_id, settings, is_dry_run=is_dry_run, on_progress=on_progress
        ).go(window)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What one comparison covers."""

    window: Window | None
    started_at: datetime
    token: str | None
    is_listed: bool

    def __str__(self) -> str:
        if self.window is None:
            return EVERYTHING
        first, last = self.window.start, self.window.end - timedelta(microseconds=1)
        return f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


class _Comparison:
    """One call of `reconcile_stream`."""

    def __init__(
        self,
        stream: Stream[Any],
        declared: Reconciling,
        database: Database,
        account: str,
        client: Client,
        run_id: str,
        settings: Any,
        *,
        is_dry_run: bool,
        on_progress: OnProgress,
    ) -> None:
        self._stream, self._declared, self._database, self._account = stream, declared, database, account
        self._client, self._is_dry_run, self._on_progress = client, is_dry_run, on_progress
        self._storer = Storer(stream, account, run_id, settings, compare_columns=True)
        self._result = Reconciliation(stream.key, account, run_id, EVERYTHING, is_dry_run=is_dry_run)
        self._name = f"{stream.key} (dry run)" if is_dry_run else stream.key
        self._stored = StoredRows(stream.table, stream.children, account)
        self._began = time.monotonic()

    def go(self, window: Window | None) -> Reconciliation | None:
        scope = self._begin(window)
        if scope is None:
            return None
        self._result.scope = str(scope)
        try:
            if not scope.is_listed:
                self._compare_list(scope)
            self._look_up_unlisted(scope)
        except Throttled as error:
            self._result.status = Status.PARTIAL
            self._result.stopped_because = f"quota: {error}"
            self._result.resume_at = error.retry_at
            self._sum_up(scope)
        else:
            self._conclude(scope)
        self._report()
        return self._result

    # Where it stands

    def _begin(self, asked: Window | None) -> _Scope | None:
        """The comparison to go on with, or a new one."""
        with self._database.transaction() as connection:
            now = clock(connection)
            partitions.ensure_days(connection, "archive", first=now.date())
            row = connection.execute(
                "SELECT scope_start, scope_end, started_at, next_token, is_listed, updated_at > clock_timestamp() - %s AND noted ="
                " (SELECT count(*) FROM sync.compared_keys k WHERE k.account = c.account AND k.stream = c.stream)"
                " FROM sync.comparisons c WHERE account = %s AND stream = %s",
                [self._stream.token_lifetime, self._account, self._name],
            ).fetchone()
            if row is not None:
                start, end, started_at, token, is_listed, is_alive = row
                known = Window(start.astimezone(UTC), end.astimezone(UTC)) if start else None
                if is_alive and (token is not None or is_listed) and asked in {None, known}:
                    return _Scope(known, started_at, token, is_listed)
            comparisons.forget(connection, self._account, self._name)
            window = asked
            if self._stream.is_windowed:
                window = asked or self._usual_window(connection, now)
                if window is None:
                    return None
            bounds = [window.start, window.end] if window else [None, None]
            connection.execute(
                "INSERT INTO sync.comparisons (account, stream, scope_start, scope_end, started_at, updated_at, is_listed, noted)"
                " VALUES (%s, %s, %s, %s, %s, %s, false, 0)",
                [self._account, self._name, *bounds, now, now],
            )
            return _Scope(window, now, None, is_listed=False)

    def _usual_window(self, connection: Connection[Any], now: datetime) -> Window | None:
        """Whole days back from the end of the confirmed time: what is not confirmed yet is not expected to be equal."""
        ledger = Ledger(self._account, self._stream.key)
        confirmed, origin = ledger.confirmed(connection), ledger.origin(connection)
        if not confirmed or origin is None:
            return None
        end = min(confirmed[-1].end, now - self._stream.safety_lag)
        first = (end - self._declared.reach).replace(hour=0, minute=0, second=0, microsecond=0)
        start = max(first, origin)
        return Window(start, end) if start < end else None

    # The vendor's list

    def _pages(self, scope: _Scope) -> Iterator[Page]:
        if self._declared.read is not None:
            return self._declared.read(self._client, scope.window, scope.token)
        if scope.window is not None:
            assert self._stream.changed is not None  # noqa: S101  # only windowed streams have a window
            return self._stream.changed(self._client, scope.window, scope.token)
        assert self._stream.everything is not None  # noqa: S101  # a stream without windows reads everything
        return self._stream.everything(self._client, scope.token)

    def _compare_list(self, scope: _Scope) -> None:
        seen = {scope.token} if scope.token else set()
        for page in self._pages(scope):
            if page.next_token in seen:
                raise ContractError(f"{self._stream.key} of {self._account}: the vendor's paging repeats a token")
            seen |= {page.next_token} if page.next_token else set()
            with self._database.transaction() as connection:
                comparisons.note(connection, self._account, self._name, self._compare(connection, page, scope))
                connection.execute(
                    "UPDATE sync.comparisons SET next_token = %s, is_listed = %s WHERE account = %s AND stream = %s",
                    [page.next_token, page.next_token is None, self._account, self._name],
                )
            self._report()
            if page.next_token is None:
                return
        raise ContractError(f"{self._stream.key} of {self._account}: the client ended a list without a last page")

    def _compare(self, connection: Connection[Any], page: Page, scope: _Scope) -> dict[tuple[str, ...], tuple[str, Verdict]]:
        """Stores a page with every column compared, unless this is a dry run; says of each record what that showed."""
        now = clock(connection)
        raws = self._stream.records(page.body, page.source)
        listed, _ = self._storer.parse(raws, source=page.source, received_at=now)
        before = self._stored.rows(connection, [record.key for record in listed])
        with connection.transaction(force_rollback=self._is_dry_run):
            outcome = self._storer.raws(connection, raws, source=page.source, received_at=now)
            if outcome.counts.inserted or outcome.counts.updated:
                archive.keep(
                    connection,
                    account=self._account,
                    stream=self._stream.key,
                    run_id=self._result.run_id,
                    source=page.source,
                    request=page.request,
                    body=page.body,
                    received_at=now,
                )
            after = self._stored.rows(connection, [*outcome.keys, *(record.key for record in listed)])
        verdicts = {}
        for record in listed:
            key = _texts(record.key)
            verdict = self._judge(record, before.get(key), after.get(key), scope, now)
            verdicts[key] = (self._part(record), verdict)
        return verdicts

    def _judge(self, record: Record, before: StoredRow | None, after: StoredRow | None, scope: _Scope, now: datetime) -> Verdict:
        if after is None:
            # A mark that the record exists unchanged, or a record that another row stands for.
            return Verdict.EQUAL
        is_settled = scope.window is None or self._listed_at(record) < scope.window.end
        if before is None:
            return Verdict.MISSING if is_settled else Verdict.NEWER
        if before.written == after.written:
            if before.is_deleted and not record.deleted:
                return Verdict.BURIED
            return Verdict.AHEAD if before.version > now + _CLOCKS_MAY_DIFFER else Verdict.EQUAL
        has_moved = before.content_hash != after.content_hash and before.version < after.version
        return Verdict.NEWER if has_moved and not (scope.window and is_settled) else Verdict.ALTERED

    def _listed_at(self, record: Record) -> datetime:
        for name in self._declared.listed_by:
            value = record.version if name == "version" else record.row.get(name)
            if isinstance(value, datetime):
                return value
        return record.version

    def _part(self, record: Record) -> str:
        return f"{self._listed_at(record).astimezone(UTC):%Y-%m-%d}" if self._stream.is_windowed else EVERYTHING

    # What the vendor did not list

    def _look_up_unlisted(self, scope: _Scope) -> None:
        with self._database.transaction() as connection:
            unlisted = self._stored.unlisted(
                connection, self._name, scope.window, listed_by=self._declared.listed_by, before=scope.started_at
            )
            settled = self._settled_without_asking(connection, unlisted)
            comparisons.note(
                connection, self._account, self._name, {key: (part, settled[key]) for key, part in unlisted if key in settled}
            )
        for key, part in unlisted:
            if key in settled:
                continue
            verdict: Verdict = Verdict.INVENTED
            page = self._fetched(key)
            with self._database.transaction() as connection:
                if page is not None:
                    found = self._compare(connection, page, scope)
                    is_broken = not found and bool(self._stream.records(page.body, page.source))
                    verdict = found[key][1] if key in found else Verdict.BROKEN if is_broken else Verdict.INVENTED
                comparisons.note(connection, self._account, self._name, {key: (part, verdict)})
            self._report()

    def _settled_without_asking(
        self, connection: Connection[Any], unlisted: Sequence[tuple[tuple[str, ...], str]]
    ) -> dict[tuple[str, ...], Verdict]:
        """Verdicts that need no call: broken records, rows on their way out, and all if there are too many to ask for."""
        if not unlisted:
            return {}
        letters = {
            row[0]
            for row in connection.execute(
                "SELECT key FROM sync.dead_letters WHERE account = %s AND subject = %s AND state <> 'resolved'",
                [self._account, self._stream.key],
            ).fetchall()
        }
        leaving = set()
        if self._stream.deletes.found_by is Deletes.ABSENT:
            absences = connection.execute(
                "SELECT key FROM sync.absences WHERE account = %s AND stream = %s", [self._account, self._stream.key]
            ).fetchall()
            leaving = {tuple(row[0]) for row in absences}
        verdicts = {key: Verdict.BROKEN for key, _ in unlisted if letters & {letter_key(key), key[0]}}
        verdicts |= {key: Verdict.LEAVING for key, _ in unlisted if key in leaving}
        if self._stream.fetch_one is None or len(unlisted) - len(verdicts) > MOST_LOOK_UPS:
            verdicts |= {key: Verdict.INVENTED for key, _ in unlisted if key not in verdicts}
        return verdicts

    def _fetched(self, key: tuple[str, ...]) -> Page | None:
        """The record read anew; ``None`` if the vendor does not know it."""
        assert self._stream.fetch_one is not None  # noqa: S101  # without it everything is settled without asking
        try:
            return self._stream.fetch_one(self._client, letter_key(key))
        except DataError:
            return None

    # The result

    def _sum_up(self, scope: _Scope) -> None:
        result = self._result
        with self._database.connect() as connection:
            rows = comparisons.found(connection, self._account, self._name, samples=reconciliation.SAMPLES)
        counts: dict[str, Counter[Verdict]] = {}
        for part, verdict, count, keys in rows:
            counts.setdefault(part, Counter())[verdict] += count
            if verdict in REPAIRABLE | REPORTED:
                known = result.samples.setdefault(verdict, [])
                known += [letter_key(tuple(key)) for key in keys[: reconciliation.SAMPLES - len(known)]]
        for part, found in counts.items():
            mended = sum(found[verdict] for verdict in REPAIRABLE)
            reported = sum(found[verdict] for verdict in REPORTED)
            theirs = sum(found.values()) - found[Verdict.INVENTED] - found[Verdict.LEAVING]
            result.equal += found[Verdict.EQUAL]
            result.newer += found[Verdict.NEWER]
            result.repaired += 0 if self._is_dry_run else mended
            result.different += reported + (mended if self._is_dry_run else 0)
            result.parts.append(
                {
                    "part": part,
                    "theirs": theirs,
                    "ours": sum(found.values()) - found[Verdict.MISSING] - found[Verdict.BURIED],
                    **{str(verdict): found[verdict] for verdict in Verdict if found[verdict]},
                }
            )

    def _conclude(self, scope: _Scope) -> None:
        self._sum_up(scope)
        with self._database.transaction() as connection:
            if not self._is_dry_run:
                reconciliation.record(connection, self._result)
            comparisons.forget(connection, self._account, self._name)

    def _report(self) -> None:
        stats = self._client.stats
        self._result.api_calls, self._result.throttled = stats.api_calls, stats.throttled
        self._result.waited_s = round(stats.waited_s, 3)
        self._result.duration_s = round(time.monotonic() - self._began, 3)
        self._on_progress(self._result)


def _texts(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(part) for part in key)
