"""A watch on a real database, with a clock that tests move, a real mail relay and a look-alike of Slack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import DagsterInstance

from sync_pipelines.config import AlertSettings, Config, Environment
from sync_pipelines.core.alerts import Finding, Look, Rule, Severity
from sync_pipelines.core.db import Database
from sync_pipelines.preparation import instance_file
from sync_pipelines.service.alerting.opening import links, open_channels
from sync_pipelines.service.alerting.rules import CHANNEL, CONFIGURATION, DATABASE, RULE_TROUBLE, all_rules
from sync_pipelines.service.alerting.sender import Outcome
from sync_pipelines.service.alerting.watch import ROUND_S, Channels, Watch, World
from sync_pipelines_tests.conftest import cloned
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.service.alerting.lookalikes import BOT, Relay, SlackLookalike, relay, slack

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@dataclass
class Planted:
    """A rule's findings, put there by a test."""

    findings: list[Finding] = field(default_factory=list)

    def __call__(self, _look: Look) -> list[Finding]:
        return self.findings


@dataclass
class House:
    """One watch and its surroundings."""

    database: Database
    environment: Environment
    relay: Relay
    slack: SlackLookalike
    now: datetime = BEGIN
    config: Config = field(default_factory=Config)
    planted: Planted = field(default_factory=Planted)
    urgent: Planted = field(default_factory=Planted)
    rules: tuple[Rule, ...] = ()
    watch: Watch = field(init=False)
    channels: Channels | None = None

    def __post_init__(self) -> None:
        error, warning = Severity.ERROR, Severity.WARNING
        own = (
            Rule(name="planted", title="Planted things", severity=warning, find=self.planted),
            Rule(name="urgent", title="Urgent things", severity=error, find=self.urgent, is_urgent=True),
        )
        watchdog = {DATABASE, CONFIGURATION, CHANNEL, RULE_TROUBLE, "dead_letters"}
        self.rules = self.rules or (*own, *(rule for rule in all_rules() if rule.name in watchdog))
        self.watch = self.new_watch()

    def new_watch(self) -> Watch:
        """As after a restart of the service."""
        world = World(
            database=self.database,
            rules=self.rules,
            read_config=lambda: self.config,
            open_channels=lambda settings: self.channels or open_channels(settings, self.environment, self.database),
            links=lambda settings: links(settings, self.environment),
            now=lambda: self.now,
        )
        return Watch(world, self.config)

    def tell(self, *people: dict[str, Any], **settings: Any) -> None:
        """Configures who is told."""
        self.config = replace(
            self.config,
            alerts=AlertSettings.model_validate(
                {
                    "email": {"host": "127.0.0.1", "port": self.relay.port, "security": "none", "sender": "watch@example.com"},
                    "slack": {"token": BOT, "channel": "C-OPS", "base_url": self.slack.url},
                    "people": people,
                    **settings,
                }
            ),
        )

    def passes(self, **time: float) -> list[Outcome]:
        """Lets time pass, round by round; long times in longer steps."""
        span = timedelta(**time)
        until = self.now + span
        step = timedelta(seconds=ROUND_S if span < timedelta(minutes=4) else 60 if span <= timedelta(hours=1) else 300)
        outcomes: list[Outcome] = []
        while self.now < until:
            self.now = min(until, self.now + step)
            outcomes += self.watch.round()
        return outcomes

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def execute(self, query: str, *values: Any) -> None:
        with self.database.connect() as connection:
            connection.execute(query, values)  # type: ignore[arg-type]


@contextmanager
def _house(database: Database, tmp_path: Path, **options: Any) -> Iterator[House]:
    with relay(tmp_path) as mail:
        clock: list[House] = []
        with slack(clock=lambda: clock[0].now.timestamp()) as workspace:  # noqa: PLW0108 - the house is made after
            house = House(database, Environment.read({}, here=tmp_path), mail, workspace, **options)
            clock.append(house)
            yield house


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Iterator[House]:
    """A watch with planted rules and the watchdog's own."""
    with _house(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def whole_house(database: Database, tmp_path: Path) -> Iterator[House]:
    """A watch with exactly the product's rules."""
    with _house(database, tmp_path, rules=all_rules(), now=datetime.now(UTC)) as opened:
        yield opened


@pytest.fixture(scope="session")
def _template_with_dagster(_started_server: TestServer, _template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The migrated template with Dagster's tables, made once by Dagster itself: that takes seconds."""
    name = f"{_template}_with_dagster"
    with psycopg.connect(_started_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {_template} strategy file_copy")
    with _instance(_started_server.url(name), tmp_path_factory.mktemp("dagster")):
        return name


@pytest.fixture
def database_url(request: pytest.FixtureRequest, postgres_server: TestServer, _template: str) -> Iterator[str]:
    """The URL of a fresh, migrated, empty database; with Dagster's tables for tests that have an instance."""
    with_dagster = "dagster" in request.fixturenames
    with cloned(postgres_server, request.getfixturevalue("_template_with_dagster") if with_dagster else _template) as url:
        yield url


@pytest.fixture
def dagster(database_url: str, tmp_path: Path) -> Iterator[DagsterInstance]:
    """A real Dagster instance whose tables are in the test's database."""
    with _instance(database_url, tmp_path) as instance:
        yield instance


@contextmanager
def _instance(url: str, folder: Path) -> Iterator[DagsterInstance]:
    (folder / "dagster").mkdir()
    (folder / "dagster" / "dagster.yaml").write_bytes(instance_file(Path(__file__).parents[3]).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in Environment.read({"SYNC_PIPELINES_STATE": str(folder)}).variables(url).items():
            patch.setenv(name, value)
        with DagsterInstance.get() as instance:
            yield instance


def failed_runs(url: str, runs: list[tuple[str, str, str, datetime]]) -> None:
    """Writes ended runs into Dagster's tables: stream, account, status and time."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for stream, account, status, at in runs:
            row = cursor.execute(
                "insert into dagster.runs (run_id, pipeline_name, status, run_body, end_time, update_timestamp)"
                " values (gen_random_uuid()::text, 'job', %s, '{}', %s, %s) returning run_id",
                [status, at.timestamp(), at.replace(tzinfo=None)],
            ).fetchone()
            assert row
            tags = [(row[0], "sync/stream", stream), (row[0], "sync/account", account)]
            cursor.executemany("insert into dagster.run_tags (run_id, key, value) values (%s, %s, %s)", tags)
