"""Long work says how far it is: one line in the run's log every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from sync_pipelines.core.totals import SyncTotals

_EVERY_S = 10.0


def reporter(log: Callable[[str], None]) -> Callable[[SyncTotals], None]:
    """A progress callback that logs at most every `_EVERY_S` seconds."""
    last = time.monotonic()

    def report(totals: SyncTotals) -> None:
        nonlocal last
        if time.monotonic() - last < _EVERY_S:
            return
        last = time.monotonic()
        log(
            f"{totals.fetched} fetched, {totals.written} written, {totals.unchanged} unchanged, "
            f"{totals.api_calls} calls, {totals.waited_s:.0f} s waited for quota, {totals.duration_s:.0f} s"
        )

    return report
