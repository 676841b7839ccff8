"""A piano business of 5,000 clients: the first sync, a day without changes, a day with some, and a thorough reading of it all."""

from __future__ import annotations

from typing import Any

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines_tests.bench.databases import fresh_database
from sync_pipelines_tests.bench.measures import Measure, processor_seconds
from sync_pipelines_tests.bench.sandbox_process import ServedSandbox, sandbox_process
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.vendors.gazelle.elsewhere import Elsewhere
from sync_pipelines_tests.vendors.gazelle.studio import Studio

CHANGES = 200
BUSY_DAY = ["edit_client", "edit_contact", "edit_piano", "create_event", "reschedule_event", "add_timeline", "create_client"]


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Each sync in a process of its own, the look-alike in another."""
    with sandbox_process("gazelle", size="tiny" if quick else "full") as vendor, fresh_database(server) as url:
        with Database(url) as database:
            running: Any = vendor
            studio = Studio(running, database)
            first = _Day("first sync", vendor, url)
            differences = len(studio.differences())
            quiet = _Day("unchanged day", vendor, url)
            thorough = _Day("unchanged day, every record in full", vendor, url, Lane.BACKFILL)
            changes = 10 if quick else CHANGES
            vendor.control.post("mutate", names=[BUSY_DAY[n % len(BUSY_DAY)] for n in range(changes)], seed=1)
            busy = _Day(f"day of {changes} changes", vendor, url)
            differences += len(studio.differences())
        measures = [
            Measure("gazelle", "records that differ from the truth after it all", differences, "records", at_most=0),
            Measure("gazelle", "unchanged day: whole records read, of the first sync's", quiet.full / first.full, "×", at_most=0.2),
            Measure("gazelle", "unchanged day: rows written", quiet.written, "rows", at_most=0),
            Measure("gazelle", "change detection: calls, of a thorough reading's", quiet.calls / thorough.calls, "×"),
            Measure("gazelle", "change detection: bytes, of a thorough reading's", quiet.bytes / thorough.bytes, "×", at_most=1),
            Measure(
                "gazelle", "change detection: work of the vendor", quiet.vendor_s / max(thorough.vendor_s, 0.01), "×", at_most=1
            ),
            Measure("gazelle", "change detection: duration", quiet.seconds / thorough.seconds, "×", at_most=1),
        ]
        return measures + [measure for day in (first, quiet, thorough, busy) for measure in day.measures()]


class _Day:
    """One run of every stream, and what it cost."""

    def __init__(self, name: str, vendor: ServedSandbox, url: str, lane: Lane = Lane.LIVE) -> None:
        self.name = name
        vendor.control.delete("reads")
        vendor.control.clear_log()
        work = processor_seconds(vendor.pid)
        totals, memory = Elsewhere(vendor.base_url, url, lane=lane).result()
        self.vendor_s = processor_seconds(vendor.pid) - work
        self.full = sum(count["full"] for count in vendor.control.get("reads").values())
        self.bytes = sum(call["size"] for call in vendor.control.log())
        self.memory_mb = memory / 2**20
        self.rows = sum(total["fetched"] for total in totals.values())
        self.written = sum(total[kind] for total in totals.values() for kind in ("inserted", "updated", "deleted"))
        self.calls = sum(total["api_calls"] for total in totals.values())
        self.seconds = sum(total["duration_s"] for total in totals.values())

    def measures(self) -> list[Measure]:
        """All of it."""
        return [
            Measure("gazelle", f"{self.name}: rows written", self.written, "rows"),
            Measure("gazelle", f"{self.name}: whole records read", self.full, "records"),
            Measure("gazelle", f"{self.name}: calls", self.calls, "calls"),
            Measure("gazelle", f"{self.name}: answers", self.bytes / 2**20, "MB"),
            Measure("gazelle", f"{self.name}: duration", self.seconds, "s"),
            Measure("gazelle", f"{self.name}: work of the vendor", self.vendor_s, "s"),
            Measure("gazelle", f"{self.name}: peak memory of the process", self.memory_mb, "MB", at_most=300),
        ]
