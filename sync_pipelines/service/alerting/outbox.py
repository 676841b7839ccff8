"""Who was told what: ``sync.alert_deliveries``, with the intent written before a message is sent.

Each person has at most one unsent message on each channel; until it is taken, whatever happens is folded into it. A message found
in state ``sending`` by the holder of the lock belongs to a sender that died in between: nobody knows whether it went out. It is
sent again, says so, and keeps its Message-ID, because twice is better than never.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from sync_pipelines.service.alerting.people import Recipient

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=30)

SENDING, WAITING, SENT = "sending", "waiting", "sent"

_LAST = """
select max(covers) filter (where state = 'sent') as covered, max(sent_at) as sent_at,
       max(sent_at) filter (where is_urgent) as urgent_at
from sync.alert_deliveries where person = %s and channel = %s
"""

_UNSENT = """
select id, state, attempts, next_attempt_at, error, is_urgent from sync.alert_deliveries
where person = %s and channel = %s and state <> 'sent'
"""

_INTEND = """
insert into sync.alert_deliveries as d
    (person, channel, state, is_urgent, covers, alerts, attempts, planned_at, intended_at)
values (%(person)s, %(channel)s, 'sending', %(urgent)s, %(covers)s, %(alerts)s, 1, %(now)s, %(now)s)
on conflict (person, channel) where state <> 'sent' do update
set state = 'sending', is_urgent = d.is_urgent or excluded.is_urgent, covers = excluded.covers, alerts = excluded.alerts,
    attempts = d.attempts + 1, intended_at = excluded.intended_at, next_attempt_at = null
returning id
"""


@dataclass(frozen=True, slots=True)
class Last:
    """What a person was told before. ``covered`` is a change number."""

    covered: int | None
    sent_at: datetime | None
    urgent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message that was tried and not taken, or whose sender died."""

    id: int
    state: str
    attempts: int
    next_attempt_at: datetime | None
    error: str | None
    is_urgent: bool

    @property
    def is_unclear(self) -> bool:
        """Whether it may have gone out."""
        return self.state == SENDING


def last(connection: Connection[Any], recipient: Recipient) -> Last:
    """The latest message that was taken."""
    with connection.cursor(row_factory=class_row(Last)) as cursor:
        return cursor.execute(_LAST, [recipient.person, recipient.channel]).fetchone() or Last(None, None, None)


def unsent(connection: Connection[Any], recipient: Recipient) -> Unsent | None:
    """The message that still has to go."""
    with connection.cursor(row_factory=class_row(Unsent)) as cursor:
        return cursor.execute(_UNSENT, [recipient.person, recipient.channel]).fetchone()


def intend(connection: Connection[Any], recipient: Recipient, *, covers: int, alerts: int, is_urgent: bool, now: datetime) -> int:
    """Writes down that the message is about to be sent; returns its id."""
    row = connection.execute(
        _INTEND,
        {
            "person": recipient.person,
            "channel": recipient.channel,
            "urgent": is_urgent,
            "covers": covers,
            "alerts": alerts,
            "now": now,
        },
    ).fetchone()
    assert row is not None  # noqa: S101  # an upsert always answers a row
    return int(row[0])


def sent(connection: Connection[Any], delivery_id: int, now: datetime) -> None:
    """It was taken."""
    connection.execute(
        "update sync.alert_deliveries set state = 'sent', sent_at = %s, error = null where id = %s", [now, delivery_id]
    )


def failed(connection: Connection[Any], delivery_id: int, error: str, *, now: datetime, retry_after_s: float | None) -> None:
    """It was not taken; the next attempt is when the channel says, or later each time."""
    connection.execute(
        "update sync.alert_deliveries set state = 'waiting', error = %s, next_attempt_at = %s + case"
        " when %s::float8 is not null then make_interval(secs => %s::float8)"
        " else least(%s * 2.0 ^ least(attempts - 1, 12), %s) end where id = %s",
        [error, now, retry_after_s, retry_after_s, FIRST_PAUSE, LONGEST_PAUSE, delivery_id],
    )


def sent_without_database(connection: Connection[Any], recipient: Recipient, *, sent_at: datetime) -> None:
    """Writes down afterwards a message that went out while the database was away; it told nothing of what the tables hold."""
    connection.execute(
        "insert into sync.alert_deliveries"
        " (person, channel, state, is_urgent, covers, alerts, attempts, planned_at, intended_at, sent_at)"
        " select %(person)s, %(channel)s, 'sent', true, coalesce(max(covers) filter (where state = 'sent'),"
        " (select min(opened_change) - 1 from sync.alerts where closed_at is null), 0), 1, 1,"
        " %(at)s, %(at)s, %(at)s from sync.alert_deliveries where person = %(person)s and channel = %(channel)s",
        {"person": recipient.person, "channel": recipient.channel, "at": sent_at},
    )


def failing(connection: Connection[Any], now: datetime, *, attempts: int = 3) -> list[tuple[str, str, int, str]]:
    """Person, channel, attempts and error of messages that were refused several times in a row."""
    return connection.execute(
        "select person, channel, attempts, coalesce(error, '') from sync.alert_deliveries"
        " where state = 'waiting' and attempts >= %s and intended_at > %s order by person, channel",
        [attempts, now - 4 * LONGEST_PAUSE],
    ).fetchall()
