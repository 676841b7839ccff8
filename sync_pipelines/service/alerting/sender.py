"""Sends what is due: intents first, then all messages side by side, then what became of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_pipelines.core.alerts import Rule
from sync_pipelines.core.db import Database
from sync_pipelines.service.alerting import ledger, outbox, pace
from sync_pipelines.service.alerting.channels import Channel, NotSent
from sync_pipelines.service.alerting.digest import Links, Message, compose
from sync_pipelines.service.alerting.people import Recipient
from sync_pipelines.service.alerting.words import clean, cut

SIDE_BY_SIDE = 8
"""Messages on their way at once, so that one relay that hangs does not hold up the others."""

ERROR_LIMIT = 500

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message; no error means that it was taken."""

    recipient: Recipient
    error: str | None = None
    retry_after_s: float | None = None


def send_due(
    database: Database,
    recipients: Sequence[Recipient],
    channels: Mapping[str, Channel | str],
    rules: Sequence[Rule],
    *,
    links: Links,
    every: timedelta,
    may_interrupt: bool,
    now: Callable[[], datetime],
) -> list[Outcome]:
    """Sends every message whose time has come. Only the holder of the watch's lock may call it.

    Args:
        database: With the ledger.
        recipients: Who is to be told.
        channels: The ways, by name; a text says why a way can not be used.
        rules: For headings, their order and urgency.
        links: Where messages point to.
        every: Least time between two messages to one person on one channel.
        may_interrupt: Whether urgent openings are told before.
        now: The clock.
    """
    planned: list[tuple[int, Recipient, Message]] = []
    titles = {rule.name: rule.title for rule in rules}
    urgent = {rule.name for rule in rules if rule.is_urgent}
    at = now()
    with database.transaction() as connection:
        newest = ledger.newest_change(connection)
        for recipient in recipients:
            last = outbox.last(connection, recipient)
            waiting = outbox.unsent(connection, recipient)
            alerts = ledger.told_of(connection, recipient.severities, covered=last.covered)
            found = pace.due(
                alerts, last=last, unsent=waiting, urgent_rules=urgent, every=every, may_interrupt=may_interrupt, now=at
            )
            if found is None:
                continue
            delivery = outbox.intend(connection, recipient, covers=newest, alerts=len(alerts), is_urgent=found.is_urgent, now=at)
            message = compose(
                alerts,
                covered=last.covered,
                titles=titles,
                links=links,
                key=f"alerts-{delivery}",
                at=at,
                may_repeat=waiting is not None and waiting.is_unclear,
            )
            planned.append((delivery, recipient, message))
    outcomes = []
    for delivery, outcome in _deliver(planned, channels):
        with database.transaction() as connection:
            if outcome.error is None:
                outbox.sent(connection, delivery, now())
            else:
                outbox.failed(connection, delivery, outcome.error, now=now(), retry_after_s=outcome.retry_after_s)
        outcomes.append(outcome)
    return outcomes


def _deliver(
    planned: Sequence[tuple[int, Recipient, Message]], channels: Mapping[str, Channel | str]
) -> Iterator[tuple[int, Outcome]]:
    """Sends side by side; yields outcomes as they come."""
    if not planned:
        return
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(planned)), thread_name_prefix="alerts") as threads:
        under_way: dict[Future[Outcome], int] = {
            threads.submit(deliver, recipient, message, channels): delivery for delivery, recipient, message in planned
        }
        for finished in as_completed(under_way):
            yield under_way[finished], finished.result()


def deliver(recipient: Recipient, message: Message, channels: Mapping[str, Channel | str]) -> Outcome:
    """Sends one message."""
    channel = channels.get(recipient.channel, f"there is no channel {recipient.channel}")
    if isinstance(channel, str):
        return Outcome(recipient, cut(clean(channel), ERROR_LIMIT))
    try:
        channel.send(recipient.address, message)
    except NotSent as error:
        _LOG.warning("a message by %s was not taken: %s", recipient.channel, error)
        return Outcome(recipient, cut(clean(str(error)), ERROR_LIMIT), error.retry_after_s)
    return Outcome(recipient)
