"""Bulk backfill through reports, for histories that the quota of single calls cannot walk (facts §9).

A report is asked for once and known by its id from then on, so that an interrupted backfill goes on with what Amazon already made.
Its rows have no buyer and no totals and rank below what the Orders API says about the same change.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from sync_pipelines.core import partitions
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.errors import ContractError, Throttled
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.store import Storer
from sync_pipelines.core.stream import Page
from sync_pipelines.core.sync import exclusive
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.core.windows import Ledger, Window
from sync_pipelines.vendors.amazon.mapping import REPORT
from sync_pipelines.vendors.amazon.privacy import without_persons
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines.vendors.amazon.vendor import Reader

LONGEST = timedelta(days=30)
"""Amazon's limit for reports by order date; that of reports by last update is not documented."""
KEPT_BY_AMAZON = timedelta(days=29)
ORDERS_PER_PAGE = 1_000
_REQUIRED = (
    "amazon-order-id",
    "purchase-date",
    "last-updated-date",
    "order-status",
    "fulfillment-channel",
    "sales-channel",
    "quantity",
)


@dataclass(frozen=True)
class Waiting:
    """A report that was asked for and is not stored yet."""

    window: Window
    report_id: str


def backfill(
    reader: Reader,
    *,
    database: Database,
    account: str,
    window: Window,
    run_id: str,
    patience_s: float = 1_800,
    poll_s: float = 30,
    sleep: Callable[[float], None] = time.sleep,
    on_progress: Callable[[SyncTotals], None] = lambda _: None,
) -> SyncTotals:
    """Stores all orders last changed within ``window`` from reports, and confirms the window.

    Args:
        reader: The account's client.
        database: Where orders, windows and report ids are.
        account: ``vendor/name``.
        window: Any length; asked for in pieces of `LONGEST`.
        run_id: The Dagster run.
        patience_s: How long to wait for Amazon to make the reports before the run ends cleanly.
        poll_s: Seconds between looks.
        sleep: Waits so many seconds.
        on_progress: Called after each stored page.

    Returns:
        The totals; ``partial`` if reports are still being made: the next run goes on with them.

    Raises:
        StreamBusy: Another bulk backfill of this account is under way.
    """
    totals = SyncTotals(orders.key, account, run_id)
    started = time.monotonic()
    bulk = _Bulk(reader, database, account, run_id, totals, on_progress)
    with exclusive(database, f"amazon/reports@{account}"):
        try:
            waiting = [item for piece in window.slices(LONGEST) if (item := bulk.request(piece)) is not None]
            while waiting:
                waiting = [item for item in waiting if not bulk.finish(item)]
                if waiting and time.monotonic() - started + poll_s > patience_s:
                    totals.status = Status.PARTIAL
                    totals.stopped_because = f"Amazon is still making {len(waiting)} reports; run again to go on with them"
                    break
                if waiting:
                    sleep(poll_s)
        except Throttled as error:
            totals.status, totals.stopped_because, totals.resume_at = Status.PARTIAL, f"quota: {error}", error.retry_at
    totals.api_calls, totals.throttled = reader.stats.api_calls, reader.stats.throttled
    totals.waited_s, totals.duration_s = round(reader.stats.waited_s, 3), round(time.monotonic() - started, 3)
    return totals


def split(text: str) -> Iterator[bytes]:
    """The orders of a report as JSON text, ``{"rows": [{column: text}]}``, without personal columns.

    Raises:
        ContractError: A column that we need is missing.
    """
    import pandas as pd  # half a second of every start, for the few that read a report

    frame = pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    missing = [name for name in _REQUIRED if name not in frame.columns]
    if missing:
        raise ContractError(f"a report of orders lacks the columns {', '.join(missing)}")
    for _, rows in frame.groupby("amazon-order-id", sort=False):
        yield encode_json({"rows": without_persons(rows.to_dict("records"))})


@dataclass
class _Bulk:
    """One call of `backfill`."""

    reader: Reader
    database: Database
    account: str
    run_id: str
    totals: SyncTotals
    on_progress: Callable[[SyncTotals], None]

    def request(self, window: Window) -> Waiting | None:
        """Asks for a report unless it is stored or already asked for."""
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT report_id, state, requested_at > clock_timestamp() - %s FROM amazon.report_requests"
                " WHERE account = %s AND range_start = %s AND range_end = %s",
                [KEPT_BY_AMAZON, self.account, window.start, window.end],
            ).fetchone()
        if row is not None and row[1] in {"stored", "empty"}:
            return None
        if row is not None and row[1] == "requested" and row[2]:
            return Waiting(window, row[0])
        report_id = self.reader.client.create_report(window.start, window.end)
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO amazon.report_requests (account, range_start, range_end, report_id, state, requested_at)"
                " VALUES (%s, %s, %s, %s, 'requested', clock_timestamp()) ON CONFLICT (account, range_start, range_end)"
                " DO UPDATE SET report_id = excluded.report_id, state = 'requested', requested_at = excluded.requested_at",
                [self.account, window.start, window.end, report_id],
            )
        return Waiting(window, report_id)

    def finish(self, item: Waiting) -> bool:
        """Stores a report if Amazon has made it; whether there is nothing left to wait for."""
        report = self.reader.client.get_report(item.report_id)
        status = report.get("processingStatus") if report is not None else "FATAL"
        if status == "DONE" and report is not None:
            self._store(item, self.reader.client.read_report_document(str(report.get("reportDocumentId"))))
        elif status == "CANCELLED":
            # We never cancel one, so there was nothing to tell (facts §9).
            self._settle(item, "empty", 0)
        elif status == "FATAL":
            self._settle(item, "failed", 0)
            self.totals.status = Status.PARTIAL
            self.totals.stopped_because = f"Amazon could not make the report for {item.window}; run again to ask for it anew"
        return status in {"DONE", "CANCELLED", "FATAL"}

    def _store(self, item: Waiting, text: str) -> None:
        """Stores page by page; a crash in between stores the same report again."""
        found = list(split(text))
        storer = Storer(orders, self.account, self.run_id, self.reader.settings)
        request = f"report {item.report_id} {item.window}"
        for start in range(0, len(found), ORDERS_PER_PAGE):
            body = b'{"orders":[' + b",".join(found[start : start + ORDERS_PER_PAGE]) + b"]}"
            with self.database.transaction() as connection:
                now = clock(connection)
                partitions.ensure_days(connection, "archive", first=now.date())
                outcome = storer.page(connection, Page(body, REPORT, request), received_at=now)
            self.totals.add(outcome.fetched, outcome.counts, outcome.dead_lettered)
            self.on_progress(self.totals)
        self._settle(item, "stored", len(found))

    def _settle(self, item: Waiting, state: str, found: int) -> None:
        """Notes the end, and confirms the window if it was read."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE amazon.report_requests SET state = %s, orders = %s, finished_at = clock_timestamp()"
                " WHERE account = %s AND range_start = %s AND range_end = %s",
                [state, found, self.account, item.window.start, item.window.end],
            )
            if state == "failed":
                return
            ledger = Ledger(self.account, orders.key, "backfill")
            ledger.open(connection, origin=item.window.start)
            ledger.confirm(connection, item.window)
        self.totals.windows.append((item.window.start, item.window.end))
