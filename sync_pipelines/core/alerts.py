"""What is wrong, for people: rules, what they find, and the two tables that remember what was found and who was told.

Rules are declared by the engine in `service.alerting.rules` and by vendors in their ``alerts.py`` (``RULES``). A rule only looks:
it says what is wrong *now*; opening, closing and telling is the ledger's and the sender's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from psycopg import Connection
from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, Table, Text, text
from sqlalchemy import Sequence as DatabaseSequence

from sync_pipelines.core.db import Database
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata


class Severity(StrEnum):
    """How bad, from least to worst."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        subject: Account and stream, link, queue or process: with the rule, what makes it the same thing at the next look.
        summary: One sentence that names account and volumes, without secrets and personal data.
        run_id: The latest run concerned.
        count: How many failures, letters, … it stands for; only a rising number counts as news.
        severity: If other than the rule's.
    """

    subject: str
    summary: str
    run_id: str | None = None
    count: int = 1
    severity: Severity | None = None


@dataclass(frozen=True)
class Look:
    """What a rule may look at; everything is read-only.

    Attributes:
        database: For what opens its own connection.
        connection: Autocommit.
        now: Aware UTC.
        started_at: When this watch began; what is only old because nothing ran is not wrong yet.
        settings: Settings of every configured account, by id.
        links: The configured fan-out links.
        streams: Every stream with each account it is read from.
        queue_waiting: Waiting tasks above which a queue is too long.
        error_standing: How long an error may stand.
        expiry: How long before its end a secret is reported.
    """

    database: Database
    connection: Connection[Any]
    now: datetime
    started_at: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[Any] = ()
    streams: Sequence[tuple[Stream[Any], str]] = ()
    queue_waiting: int = 10_000
    error_standing: timedelta = timedelta(minutes=30)
    expiry: timedelta = timedelta(days=14)

    def accounts(self, vendor: str) -> dict[str, Any]:
        """The settings of one vendor's accounts, by account id."""
        return {account: settings for account, settings in self.settings.items() if account.startswith(f"{vendor}/")}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of thing that can be wrong.

    Attributes:
        name: Stored with every alert.
        title: Heading of its group in a message.
        severity: Of what it finds, unless the finding says otherwise.
        find: Says what is wrong now.
        patience: A finding is believed only after it was there for so long without a break.
        every: Least time between two looks; in between the last findings count.
        is_urgent: Told at once, even if the person got an ordinary message a moment ago.
    """

    name: str
    title: str
    severity: Severity
    find: Callable[[Look], Iterable[Finding]]
    patience: timedelta = timedelta(0)
    every: timedelta = timedelta(0)
    is_urgent: bool = False


change_sequence = DatabaseSequence("alert_changes", schema=SYNC_SCHEMA, metadata=metadata, data_type=BigInteger)
"""Every opening and every closing draws one number, so that what is new since a message needs no clock."""

alerts_table = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="Account and stream, link, queue or process"),
    Column("severity", Text, nullable=False, comment="info, warning or error"),
    Column("summary", Text, nullable=False, comment="One sentence, without secrets and personal data"),
    instant("opened_at", nullable=False),
    instant("last_seen_at", nullable=False, comment="When it was last found; to the minute"),
    Column("seen_count", BigInteger, nullable=False, comment="How many failures, letters, … it stands for"),
    instant("risen_at", nullable=False, comment="When seen_count last rose"),
    instant("closed_at", comment="When it was no longer found"),
    Column("run_id", Text, comment="The latest run concerned"),
    Column("opened_change", BigInteger, nullable=False, comment="Number of the opening"),
    Column("closed_change", BigInteger, comment="Number of the closing"),
    Index("ix_alerts_open", "rule", "subject", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("ix_alerts_opened_change", "opened_change"),
    Index("ix_alerts_closed_change", "closed_change"),
    schema=SYNC_SCHEMA,
    comment="What is or was wrong",
)

deliveries_table = Table(
    "alert_deliveries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("person", Text, nullable=False, comment="Name, or the Slack channel that several share"),
    Column("channel", Text, nullable=False, comment="email or slack"),
    Column("state", Text, nullable=False, comment="sending, waiting for another attempt, or sent"),
    Column("is_urgent", Boolean, nullable=False, comment="Sent at once, whenever the message before was"),
    Column("covers", BigInteger, nullable=False, comment="Changes of sync.alerts up to this number are in it"),
    Column("alerts", Integer, nullable=False, comment="Openings and closings it tells"),
    Column("attempts", Integer, nullable=False),
    instant("planned_at", nullable=False),
    instant("intended_at", nullable=False, comment="Written before the latest attempt"),
    instant("next_attempt_at"),
    instant("sent_at"),
    Column("error", Text, comment="Why the latest attempt failed"),
    Index("ix_alert_deliveries_unsent", "person", "channel", unique=True, postgresql_where=text("state <> 'sent'")),
    Index("ix_alert_deliveries_sent", "person", "channel", "sent_at"),
    schema=SYNC_SCHEMA,
    comment="Which messages about alerts each person was sent",
)
