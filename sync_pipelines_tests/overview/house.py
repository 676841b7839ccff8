"""A filled database: Dagster's real tables, daily volumes, windows, letters, quotas, links; in any size."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata
from sqlalchemy import create_engine

from sync_pipelines.config import Config
from sync_pipelines.config.loading import parse_config
from sync_pipelines.core.db import driver_url
from sync_pipelines.overview.watched import Watched, watched

ACCOUNTS = """\
accounts:
  - id: sendcloud/main
    credentials: {public_key: "${P}", secret_key: "${S}"}
  - id: amazon/north
    credentials: {client_id: "${P}", client_secret: "${S}", refresh_token: "${S}"}
    settings: {marketplaces: [A1PA6795UKMFR9]}
  - id: gazelle/studio
    credentials: {api_key: "${S}"}
    settings: {timezone: America/Montreal}
  - id: bigbuy/main
    credentials: {api_key: "${S}"}
  - id: grand_shooting/main
    credentials: {token: "${S}"}
    settings: {account_id: 12}
  - id: grand_shooting/paris
    credentials: {token: "${S}"}
    settings: {account_id: 34}
links:
  - id: paris
    main: grand_shooting/main
    secondary: grand_shooting/paris
    batch: {schedule: "*/15 * * * *", timezone: Europe/Paris}
"""

RUN = """insert into dagster.runs (run_id, pipeline_name, status, start_time, end_time, create_timestamp, update_timestamp)
values (%s, %s, %s, %s, %s, to_timestamp(%s) at time zone 'UTC', to_timestamp(%s) at time zone 'UTC')"""
TAG = "insert into dagster.run_tags (run_id, key, value) values (%s, %s, %s)"


def configured(text: str = ACCOUNTS) -> Config:
    """A configuration of every vendor; its credentials are looked up by nobody here."""
    return parse_config(text, source="accounts.yaml")


def make_dagster_tables(url: str) -> None:
    """Dagster's own tables, by Dagster's own declaration, as its storage makes them."""
    engine = create_engine(driver_url(url, "psycopg"), connect_args={"options": "-csearch_path=dagster"})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema if not exists dagster")
    for metadata in (RunStorageSqlMetadata, ScheduleStorageSqlMetadata, SqlEventLogStorageMetadata):
        metadata.create_all(engine)
    engine.dispose()


@dataclass
class House:
    """A database to be filled.

    Attributes:
        url: Its URL; migrated.
        seen: What is watched in it.
    """

    url: str
    seen: Watched = field(default_factory=lambda: watched(configured()))
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def execute(self, query: str, values: Sequence[Any] = ()) -> None:
        """One statement."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query.encode(), values)

    def run(
        self, job: str, status: str = "SUCCESS", *, ago: timedelta, took: float = 12, run_id: str | None = None, **tags: str
    ) -> str:
        """A run that started so long ago; ``account`` and ``stream`` are tags."""
        run_id = run_id or str(self.random.getrandbits(60))
        start = (self.now - ago).timestamp()
        end = start + took if status in {"SUCCESS", "FAILURE", "CANCELED"} else None
        self.execute(RUN, [run_id, job, status, start, end, start, end or start])
        for name, value in tags.items():
            self.execute(TAG, [run_id, f"sync/{name}", value])
        return run_id

    def volume(self, account: str, stream: str, *, days_ago: int = 0, **numbers: float) -> None:
        """One day's volume."""
        columns = ["day", "account", "stream", *numbers]
        values = [self.now.date() - timedelta(days=days_ago), account, stream, *numbers.values()]
        self.execute(f"insert into sync.daily_volumes ({', '.join(columns)}) values ({', '.join(['%s'] * len(columns))})", values)

    def window(
        self, account: str, stream: str, *spans: tuple[timedelta, timedelta], origin: timedelta = timedelta(days=30)
    ) -> None:
        """Confirmed windows, each from and to so long ago."""
        ranges = "{" + ",".join(f"[{(self.now - start).isoformat()},{(self.now - end).isoformat()})" for start, end in spans) + "}"
        values = [account, stream, self.now - origin, ranges]
        self.execute(
            "insert into sync.windows (account, stream, origin, confirmed, updated_at) values (%s, %s, %s, %s, now())", values
        )

    def letter(self, account: str, subject: str, key: str, *, state: str = "open", cause: str = "DataError") -> None:
        """A dead letter with content that must never be shown."""
        self.execute(
            "insert into sync.dead_letters (account, subject, key, state, cause, error, payload, request, opened_at, last_seen_at,"
            " run_id)"
            " values (%s, %s, %s, %s, %s, 'private words', 'private payload', 'private request', now(), now(), 'run')",
            [account, subject, key, state, cause],
        )

    def heartbeat(self, ago: timedelta = timedelta(seconds=20)) -> None:
        """Dagster's daemon was heard of."""
        beat = (self.now - ago).replace(tzinfo=None)
        self.execute("insert into dagster.daemon_heartbeats (daemon_type, timestamp) values ('SCHEDULER', %s)", [beat])

    def stop_schedule(self, name: str) -> None:
        """A person stopped a schedule."""
        body = json.dumps({"__class__": "InstigatorState", "origin": {"job_name": name}})
        values = [name, "STOPPED", "SCHEDULE", body]
        self.execute(
            "insert into dagster.instigators (selector_id, status, instigator_type, instigator_body) values (%s, %s, %s, %s)",
            values,
        )
