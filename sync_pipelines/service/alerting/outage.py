"""The ledger in memory for the time the database is away, and how it gets into the tables afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core.alerts import Rule, Severity
from sync_pipelines.service.alerting import outbox
from sync_pipelines.service.alerting.digest import Links, Message, compose
from sync_pipelines.service.alerting.ledger import Alert
from sync_pipelines.service.alerting.outbox import FIRST_PAUSE, LONGEST_PAUSE, Last
from sync_pipelines.service.alerting.people import Recipient
from sync_pipelines.service.alerting.rules import DATABASE
from sync_pipelines.service.alerting.sender import Outcome
from sync_pipelines.service.alerting.words import moment

BELIEVED_AFTER = timedelta(seconds=45)
"""A restart or a failover of the database takes less."""

SUBJECT = "database"

_WRITE_DOWN = """
insert into sync.alerts (rule, subject, severity, summary, opened_at, last_seen_at, seen_count, risen_at, opened_change)
values (%(rule)s, %(subject)s, 'error', %(summary)s, %(since)s, %(now)s, 1, %(since)s, nextval('sync.alert_changes'))
on conflict (rule, subject) where closed_at is null do nothing
"""


@dataclass
class Outage:
    """One time without the database.

    Attributes:
        last: What each person was told before, as known when the database was last there.
        since: When it was first found away; ``None`` while it is there.
        told: Who was told when.
        attempts: Attempts in vain, and when to try again.
    """

    last: Mapping[Recipient, Last] = field(default_factory=dict)
    since: datetime | None = None
    told: dict[Recipient, datetime] = field(default_factory=dict)
    attempts: dict[Recipient, tuple[int, datetime]] = field(default_factory=dict)

    def due(self, people: Iterable[Recipient], *, now: datetime, every: timedelta, may_interrupt: bool) -> list[Recipient]:
        """Who is to be told now."""
        self.since = self.since or now
        if now - self.since < BELIEVED_AFTER:
            return []
        return [
            recipient
            for recipient in people
            if str(Severity.ERROR) in recipient.severities
            and recipient not in self.told
            and now >= self.attempts.get(recipient, (0, now))[1]
            and now >= self._earliest(recipient, every, may_interrupt, now)
        ]

    def _earliest(self, recipient: Recipient, every: timedelta, may_interrupt: bool, now: datetime) -> datetime:
        last = self.last.get(recipient)
        before = (last.urgent_at if may_interrupt else last.sent_at) if last else None
        return before + every if before else now

    def message(self, rule: Rule, links: Links, now: datetime) -> Message:
        """What to tell."""
        since = self.since or now
        alert = Alert(
            id=0,
            rule=rule.name,
            subject=SUBJECT,
            severity=str(rule.severity),
            summary=self._summary(since),
            opened_at=since,
            last_seen_at=now,
            seen_count=1,
            risen_at=since,
            closed_at=None,
            run_id=None,
            opened_change=1,
            closed_change=None,
        )
        key = f"alerts-outage-{since:%Y%m%d%H%M%S}"
        return compose([alert], covered=None, titles={rule.name: rule.title}, links=links, key=key, at=now)

    def note(self, recipient: Recipient, outcome: Outcome, now: datetime) -> None:
        """What became of a message."""
        if outcome.error is None:
            self.told[recipient] = now
            return
        attempts = self.attempts.get(recipient, (0, now))[0] + 1
        pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 12), LONGEST_PAUSE)
        if outcome.retry_after_s is not None:
            pause = timedelta(seconds=outcome.retry_after_s)
        self.attempts[recipient] = (attempts, now + pause)

    def write_down(self, connection: Connection[Any], now: datetime) -> None:
        """Puts what happened into the tables, now that they are back; the next look closes the alert and tells the all-clear."""
        if self.since is None or now - self.since < BELIEVED_AFTER:
            return
        connection.execute(
            _WRITE_DOWN,
            {"rule": DATABASE, "subject": SUBJECT, "summary": self._summary(self.since), "since": self.since, "now": now},
        )
        for recipient, at in self.told.items():
            outbox.sent_without_database(connection, recipient, sent_at=at)

    @staticmethod
    def _summary(since: datetime) -> str:
        return f"the database is out of reach since {moment(since)}: nothing is read, stored or taken in until it is back"
