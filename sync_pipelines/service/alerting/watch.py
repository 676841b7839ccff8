"""The watchdog: every few seconds one round of looking, remembering and telling, in a thread of the service.

Of several processes one at a time does a round (advisory lock). While the database is away the watch goes on in memory: it tells
that, and writes it down once the database is back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection

from sync_pipelines.config import AlertSettings, Config
from sync_pipelines.core.alerts import Finding, Look, Rule
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable, SyncError
from sync_pipelines.core.faults import describe
from sync_pipelines.registry import all_vendors
from sync_pipelines.service.alerting import ledger, outbox
from sync_pipelines.service.alerting.channels import Channel
from sync_pipelines.service.alerting.digest import Links
from sync_pipelines.service.alerting.outage import Outage
from sync_pipelines.service.alerting.people import Recipient, recipients
from sync_pipelines.service.alerting.rules import CHANNEL, CONFIGURATION, DATABASE, RULE_TROUBLE
from sync_pipelines.service.alerting.sender import Outcome, deliver, send_due

ROUND_S = 10.0

LOCK = 7_305_511_020_220_002
"""Key of the advisory lock of the one watch that looks and sends."""

PURGE_EVERY = timedelta(hours=6)

RULE_TIMEOUT = "20s"
"""Of each query of a rule, so that one that is slow does not silence the others."""

_LOG = logging.getLogger(__name__)

Channels = Mapping[str, Channel | str]


@dataclass(frozen=True)
class World:
    """What the watch works with, replaceable for tests.

    Attributes:
        database: A pool of its own: one connection holds the lock, one works, one is for rules that open their own.
        rules: All of them.
        read_config: The configuration in force; reads it anew.
        open_channels: The ways to people by these settings; a text where one can not be opened.
        links: Where messages point to, by these settings.
        now: The clock, aware UTC.
    """

    database: Database
    rules: tuple[Rule, ...]
    read_config: Callable[[], Config]
    open_channels: Callable[[AlertSettings], Channels]
    links: Callable[[AlertSettings], Links]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass
class _Memory:
    """What a rule found at its last look, and since when it finds it."""

    looked_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    since: dict[str, datetime] = field(default_factory=dict)


class Watch:
    """The watchdog.

    Args:
        world: What it works with.
        config: The configuration at its start, for a database that is away from the beginning.
    """

    def __init__(self, world: World, config: Config) -> None:
        self._world = world
        self._config = config
        self._channels: Channels = {}
        self._memories = {rule.name: _Memory() for rule in world.rules}
        self._started_at = world.now()
        self._purged_at: datetime | None = None
        self._outage = Outage()
        self._config_problem: str | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watches as long as the context lasts; for the application's lifespan."""
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=[stop], name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            await asyncio.to_thread(thread.join, 5)
            await asyncio.to_thread(self._world.database.close)

    def _watch(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.round()
            except Exception as error:  # noqa: BLE001 - a bug in one round must not end the watch
                _LOG.error("a round of the watch failed: %s", describe(error).text)
            stop.wait(ROUND_S)

    def round(self) -> list[Outcome]:
        """One round; returns what became of the messages it sent."""
        try:
            with self._lock() as is_ours:
                if is_ours:
                    return self._look_and_tell()
                self._outage = Outage()  # the watch that has the lock writes down its own
                return []
        except DatabaseUnavailable:
            return self._without_database()

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        with self._world.database.connect() as connection:
            row = connection.execute("select pg_try_advisory_lock(%s)", [LOCK]).fetchone()
            is_ours = bool(row and row[0])
            try:
                yield is_ours
            finally:
                if is_ours and not connection.closed:
                    connection.execute("select pg_advisory_unlock(%s)", [LOCK])

    def _look_and_tell(self) -> list[Outcome]:
        world, now = self._world, self._world.now()
        self._follow_configuration()
        settings = self._config.alerts
        people = recipients(settings)
        with world.database.transaction() as connection:
            self._outage.write_down(connection, now)
            last = {recipient: outbox.last(connection, recipient) for recipient in people}
        self._outage = Outage(last=last)
        found, looked = self._look(now)
        with world.database.transaction() as connection:
            found += self._of_channels(connection, now)
            ledger.record(connection, found, looked=looked, known=[rule.name for rule in world.rules], now=now)
            if self._purged_at is None or now - self._purged_at > PURGE_EVERY:
                ledger.purge(connection, now)
                self._purged_at = now
        return send_due(
            world.database,
            people,
            self._channels,
            world.rules,
            links=world.links(settings),
            every=timedelta(minutes=settings.messages_every_minutes),
            may_interrupt=settings.urgent_at_once,
            now=world.now,
        )

    def _follow_configuration(self) -> None:
        try:
            self._config = self._world.read_config()
            self._config_problem = None
        except ConfigError as error:
            self._config_problem = str(error)
        self._channels = self._world.open_channels(self._config.alerts)

    def _look(self, now: datetime) -> tuple[list[tuple[Rule, Finding]], set[str]]:
        """Everything that is wrong and was for long enough, and which rules could look."""
        found: list[tuple[Rule, Finding]] = []
        looked: set[str] = set()
        rules = {rule.name: rule for rule in self._world.rules}
        if self._config_problem:
            text = f"the configuration can not be used, the one before is followed: {self._config_problem}"
            found.append((rules[CONFIGURATION], Finding("configuration", text)))
        with self._world.database.connect() as connection:
            connection.execute("select set_config('statement_timeout', %s, false)", [RULE_TIMEOUT])
            look = self._at(connection, now)
            for rule in self._world.rules:
                try:
                    found += [(rule, finding) for finding in self._believed(rule, look)]
                    looked.add(rule.name)
                except DatabaseUnavailable:
                    raise
                except (SyncError, psycopg.Error, LookupError, ValueError, TypeError, ArithmeticError) as error:
                    if connection.closed:
                        raise DatabaseUnavailable("the database went away while a rule looked") from error
                    text = f"rule {rule.name} can not look: {describe(error).text}"
                    found.append((rules[RULE_TROUBLE], Finding(rule.name, text)))
            connection.execute("reset statement_timeout")
        return found, looked

    def _believed(self, rule: Rule, look: Look) -> list[Finding]:
        memory = self._memories[rule.name]
        if memory.looked_at is None or look.now - memory.looked_at >= rule.every:
            memory.findings = tuple(rule.find(look))
            memory.looked_at = look.now
            memory.since = {finding.subject: memory.since.get(finding.subject, look.now) for finding in memory.findings}
        return [finding for finding in memory.findings if look.now - memory.since[finding.subject] >= rule.patience]

    def _at(self, connection: Connection[Any], now: datetime) -> Look:
        config, alerts = self._config, self._config.alerts
        return Look(
            database=self._world.database,
            connection=connection,
            now=now,
            started_at=self._started_at,
            settings={account.id: account.settings for account in config.accounts},
            links=config.links,
            streams=[
                (stream, account)
                for vendor in all_vendors()
                for account in config.account_ids(vendor.account_vendors)
                for stream in vendor.streams
                if stream.reads_from(account)
            ],
            queue_waiting=alerts.queue_waiting,
            error_standing=timedelta(minutes=alerts.error_standing_minutes),
            expiry=timedelta(days=alerts.expiry_days),
        )

    def _of_channels(self, connection: Connection[Any], now: datetime) -> list[tuple[Rule, Finding]]:
        """Messages that are refused again and again, for those who can be reached by another way."""
        rule = next(rule for rule in self._world.rules if rule.name == CHANNEL)
        return [
            (rule, Finding(f"{channel} to {person}", f"{channel} to {person}: not taken after {attempts} attempts: {error}"))
            for person, channel, attempts, error in outbox.failing(connection, now)
        ]

    def _without_database(self) -> list[Outcome]:
        """A round while the database is away: tells everyone, once an hour at most, from memory."""
        world, settings = self._world, self._config.alerts
        now = world.now()
        if not self._channels:
            self._channels = world.open_channels(settings)
        rule = next(rule for rule in world.rules if rule.name == DATABASE)
        every = timedelta(minutes=settings.messages_every_minutes)
        outcomes = []
        for recipient in self._due_without_database(now, every, settings):
            message = self._outage.message(rule, world.links(settings), now)
            outcome = deliver(recipient, message, self._channels)
            self._outage.note(recipient, outcome, world.now())
            outcomes.append(outcome)
        return outcomes

    def _due_without_database(self, now: datetime, every: timedelta, settings: AlertSettings) -> list[Recipient]:
        return self._outage.due(recipients(settings), now=now, every=every, may_interrupt=settings.urgent_at_once)
