"""Work on Amazon's rows beside the five-minute beat: missing lines, sweeps within the quota, warnings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core.budget import Lane, read_budgets
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.errors import DataError, Throttled
from sync_pipelines.core.store import Storer
from sync_pipelines.core.sync import Mode, Request, exclusive, sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.windows import Window
from sync_pipelines.vendors.amazon import operations
from sync_pipelines.vendors.amazon.client import PAGE_SIZE
from sync_pipelines.vendors.amazon.completeness import incomplete_orders
from sync_pipelines.vendors.amazon.settings import OrdersApi, Settings
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines.vendors.amazon.tenants import credential_ages
from sync_pipelines.vendors.amazon.vendor import Reader

WARN_AHEAD = timedelta(days=14)
_ENDS = {
    "client_secret": ("secret_ends", "rotate the client secret and set settings.secret_created_on"),
    "authorization": ("authorization_ends", "let the seller authorize again and set settings.authorized_on"),
}
"""Kind of the concern and what to do, by credential."""
ERROR_STANDS = timedelta(minutes=30)
QUIET = timedelta(hours=6)
QUIET_USUAL = 3
"""A tenant is unusually quiet if each of the last four weeks had at least so many orders in the same hours, and this one none."""


# -- missing lines ------------------------------------------------------------------------------------------------------------


@dataclass
class MissingItems:
    """What `sync_missing_items` did.

    Attributes:
        found: Orders whose lines were absent or fewer than the order says.
        fetched: Orders read anew.
        written: Orders rewritten with their lines.
        unknown: Orders that Amazon no longer knows.
        left: Orders not asked for, for want of quota or because of the limit.
    """

    found: int = 0
    fetched: int = 0
    written: int = 0
    unknown: int = 0
    left: int = 0
    stopped_because: str | None = None


def sync_missing_items(reader: Reader, *, database: Database, account: str, run_id: str, limit: int = 500) -> MissingItems:
    """Finds orders with missing lines and reads them one by one, newest first.

    Raises:
        StreamBusy: Another such run of this account is under way.
    """
    done = MissingItems()
    storer = Storer(orders, account, run_id, reader.settings)
    with exclusive(database, f"amazon/missing_items@{account}"):
        missing = incomplete_orders(database, account)
        done.found = len(missing)
        for order_id in missing[:limit]:
            try:
                page = reader.one(order_id)
            except DataError:
                done.unknown += 1
                continue
            except Throttled as error:
                done.stopped_because = f"quota: {error}"
                break
            done.fetched += 1
            with database.transaction() as connection:
                _make_different(connection, account, order_id)
                outcome = storer.page(connection, page, received_at=clock(connection))
            done.written += outcome.counts.updated + outcome.counts.inserted
    done.left = done.found - done.fetched - done.unknown
    return done


def _make_different(connection: Connection[Any], account: str, order_id: str) -> None:
    """An order that is equal but for its lost lines would be left alone by the upsert; an empty hash equals nothing."""
    key = [account, order_id]
    connection.execute("UPDATE amazon.orders SET content_hash = '' WHERE account = %s AND order_id = %s", key)
    connection.execute("UPDATE amazon.order_items SET content_hash = '' WHERE account = %s AND order_id = %s", key)


# -- sweeps -------------------------------------------------------------------------------------------------------------------


@dataclass
class Sweep:
    """What a sweep read and what it left out.

    Attributes:
        totals: Of the part that was read; ``None`` if nothing was.
        wanted: The window that should have been read.
        read: The part that the quota could afford, the youngest.
        calls_needed: Listing calls that the whole window would have cost, by the orders stored so far.
        calls_affordable: Listing calls left to this lane.
    """

    wanted: Window
    calls_needed: int
    calls_affordable: int
    read: Window | None = None
    totals: SyncTotals | None = None

    @property
    def skipped_h(self) -> float:
        """Hours of the wanted window that were left out."""
        read_s = (self.read.end - self.read.start).total_seconds() if self.read else 0.0
        return round(((self.wanted.end - self.wanted.start).total_seconds() - read_s) / 3600, 2)

    @property
    def says(self) -> str:
        """One sentence for people."""
        quota = f"about {self.calls_needed} calls needed, {self.calls_affordable} affordable"
        if self.read is None:
            return f"skipped: {quota}; the live lane keeps its reserve"
        return (
            f"read {self.read}; left out {self.skipped_h} h ({quota})" if self.skipped_h else f"read all of {self.wanted} ({quota})"
        )


def sweep(reader: Reader, *, database: Database, account: str, run_id: str, reach: timedelta) -> Sweep:
    """Reads recent time again against orders that showed up late, as far back as the quota can afford.

    Args:
        reader: A client in the backfill lane.
        database: Where orders and budgets are.
        account: ``vendor/name``.
        run_id: The Dagster run.
        reach: How far back.

    Raises:
        StreamBusy: Another backfill of this account is under way.
    """
    with database.connect() as connection:
        end = clock(connection) - orders.safety_lag
    wanted = Window(end - reach, end)
    changed = _changes(database, account, wanted)
    affordable = _affordable(reader, database, account)
    found = Sweep(wanted, calls_needed=_calls(len(changed)), calls_affordable=affordable)
    if affordable < 1:
        return found
    # Half a page is kept for what is not stored yet: that is what the sweep looks for.
    room = affordable * PAGE_SIZE - PAGE_SIZE // 2
    start = wanted.start if len(changed) <= room else changed[room]
    if start >= wanted.end:
        return found
    found.read = Window(start, wanted.end)
    request = Request(Mode.WINDOW, Lane.BACKFILL, found.read)
    found.totals = sync_stream(
        orders, database=database, account=account, client=reader, run_id=run_id, settings=reader.settings, request=request
    )
    return found


def _changes(database: Database, account: str, window: Window) -> list[datetime]:
    """Change times of the stored orders within a window, youngest first."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT last_updated_at FROM amazon.orders WHERE account = %s AND last_updated_at >= %s AND last_updated_at < %s"
            " ORDER BY last_updated_at DESC",
            [account, window.start, window.end],
        ).fetchall()
    return [row[0].astimezone(UTC) for row in rows]


def _calls(changes: int) -> int:
    return max(1, math.ceil((changes + PAGE_SIZE // 2) / PAGE_SIZE))


def _affordable(reader: Reader, database: Database, account: str) -> int:
    """Listing calls that the backfill lane may take now."""
    listing = operations.V0_GET_ORDERS if reader.settings.orders_api is OrdersApi.V0 else operations.SEARCH_ORDERS
    spec = next(spec for spec in operations.bucket_specs(reader.settings) if spec.name == listing)
    reports = {report.bucket: report.calls_left for report in read_budgets(database, account)}
    return max(0, int(reports.get(listing, spec.burst) - spec.floor(Lane.BACKFILL)))


# -- concerns ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Concern:
    """Something a person should know about a tenant.

    Attributes:
        account: ``vendor/name``.
        kind: ``error_stands``, ``unusually_quiet``, ``secret_ends`` or ``authorization_ends``.
        since: When it began, or when it will happen; aware UTC.
        text: One sentence without secrets and personal data.
    """

    account: str
    kind: str
    since: datetime
    text: str


def concerns(database: Database, account: str, settings: Settings, *, now: datetime) -> list[Concern]:
    """What is wrong or will be wrong with a tenant.

    Args:
        database: Where polls and orders are.
        account: ``vendor/name``.
        settings: The account's.
        now: Aware UTC.
    """
    with database.connect() as connection:
        found = [*_standing_error(connection, account, now), *_unusual_quiet(connection, account, now)]
    return [*found, *_ages(account, settings, now.date())]


def _standing_error(connection: Connection[Any], account: str, now: datetime) -> list[Concern]:
    row = connection.execute(
        "SELECT failing_since, last_error FROM amazon.polls WHERE account = %s AND failing_since <= %s",
        [account, now - ERROR_STANDS],
    ).fetchone()
    if row is None:
        return []
    since = row[0].astimezone(UTC)
    return [Concern(account, "error_stands", since, f"{account}: every poll since {since:%Y-%m-%d %H:%M} UTC has failed: {row[1]}")]


def _unusual_quiet(connection: Connection[Any], account: str, now: datetime) -> list[Concern]:
    """Compares new orders of the last hours with the same hours of the last four weeks."""
    counts = [
        row[0]
        for row in connection.execute(
            "SELECT (SELECT count(*) FROM amazon.orders o WHERE o.account = %s"
            " AND o.purchased_at >= %s - week * interval '7 days' AND o.purchased_at < %s - week * interval '7 days')"
            " FROM generate_series(0, 4) AS week ORDER BY week",
            [account, now - QUIET, now],
        ).fetchall()
    ]
    if counts[0] > 0 or min(counts[1:]) < QUIET_USUAL:
        return []
    hours, usual = QUIET // timedelta(hours=1), sum(counts[1:]) / 4
    text = f"{account}: no order in the last {hours} hours; the same hours of the last four weeks had {usual:.0f} on average"
    return [Concern(account, "unusually_quiet", now - QUIET, text)]


def _ages(account: str, settings: Settings, today: date) -> list[Concern]:
    """Credentials that end within `WARN_AHEAD`, or have ended."""
    found = []
    for age in credential_ages(settings, today):
        if age.days_left <= WARN_AHEAD.days:
            kind, fix = _ENDS[age.what]
            since = datetime(age.ends_on.year, age.ends_on.month, age.ends_on.day, tzinfo=UTC)
            found.append(Concern(account, kind, since, f"{account}: {kind.replace('_', ' ')} on {age.ends_on}; {fix}"))
    return found
