"""When a message goes out: pure reckoning with times."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_pipelines.service.alerting.ledger import Alert
from sync_pipelines.service.alerting.outbox import Last, Unsent

QUIET = timedelta(seconds=60)
"""A message waits until nothing new came for so long, so that a burst of failures becomes one message that lists all of them …"""

LONGEST_COLLECTING = timedelta(minutes=12)
"""… but not longer than this."""


@dataclass(frozen=True, slots=True)
class Due:
    """A message to be sent now."""

    is_urgent: bool


def due(
    alerts: Sequence[Alert],
    *,
    last: Last,
    unsent: Unsent | None,
    urgent_rules: Collection[str],
    every: timedelta,
    may_interrupt: bool,
    now: datetime,
) -> Due | None:
    """Whether a person is to get a message now.

    Args:
        alerts: What it would tell (`ledger.told_of`).
        last: What the person was told before.
        unsent: A message that was tried before.
        urgent_rules: Rules whose openings are told at once.
        every: Least time between two messages.
        may_interrupt: Urgent openings do not wait for ``every``, though for an urgent message before.
        now: Aware UTC.
    """
    covered = last.covered or 0
    news = [alert for alert in alerts if alert.opened_change > covered or (alert.closed_change or 0) > covered]
    if not news:
        return Due(is_urgent=False) if unsent is not None and unsent.is_unclear else None
    is_urgent = any(alert.rule in urgent_rules and alert.opened_change > covered and alert.closed_at is None for alert in news)
    if unsent is not None:
        is_time = unsent.next_attempt_at is None or unsent.next_attempt_at <= now
        return Due(is_urgent=is_urgent) if is_time else None
    if last.sent_at is not None and now < last.sent_at + every:
        has_been_interrupted = last.urgent_at is not None and now < last.urgent_at + every
        return Due(is_urgent=True) if is_urgent and may_interrupt and not has_been_interrupted else None
    if is_urgent:
        return Due(is_urgent=True)
    moments = [max(alert.risen_at, alert.closed_at or alert.risen_at) for alert in news]
    first = min(alert.opened_at if alert.opened_change > covered else alert.closed_at or alert.opened_at for alert in news)
    if now >= max(moments) + QUIET or now >= first + LONGEST_COLLECTING:
        return Due(is_urgent=False)
    return None
