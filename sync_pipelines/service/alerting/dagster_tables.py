"""What the rules need to know from Dagster's own tables (schema ``dagster``), by SQL, so that it works when Dagster does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

LOOK_BACK = timedelta(days=3)
"""Runs that ended before are not looked at; a stream without a success for so long has missed its freshness anyway."""

OVERLAP_IDS = 2_000
"""Event ids are drawn before their transaction commits; so many are looked at once more."""

_HEARTBEATS = "select daemon_type, (body::json ->> 'timestamp')::float8 from dagster.daemon_heartbeats"

_RUNS = """
with ended as (
    select r.run_id, coalesce(t.stream, r.pipeline_name) as subject, coalesce(t.account, t.partition, '') as account, r.status,
           r.end_time
    from dagster.runs r
    cross join lateral (
        select max(value) filter (where key = 'sync/stream') as stream, max(value) filter (where key = 'sync/account') as account,
               max(value) filter (where key = 'dagster/partition/account') as partition
        from dagster.run_tags where run_tags.run_id = r.run_id
    ) t
    where r.status in ('SUCCESS', 'FAILURE') and r.end_time is not null and r.end_time > %(since)s
      and r.update_timestamp > to_timestamp(%(since)s)::timestamp - interval '1 day'
), lines as (
    select subject, account, max(end_time) filter (where status = 'SUCCESS') as succeeded from ended group by subject, account
)
select e.subject, e.account, lines.succeeded, count(*) as failures, min(e.end_time) as failing_since,
       (array_agg(e.run_id order by e.end_time desc))[1] as run_id
from ended e join lines using (subject, account)
where e.status = 'FAILURE' and e.end_time > coalesce(lines.succeeded, 0)
group by e.subject, e.account, lines.succeeded
order by e.subject, e.account
"""

_TICKS = """
select coalesce(t.tick_body::json ->> 'job_name', i.selector_id), i.instigator_type, t.status, t.at, t.failures
from dagster.instigators i
cross join lateral (
    select (array_agg(x.status order by x.id desc))[1] as status,
           (array_agg(x.tick_body order by x.id desc))[1] as tick_body,
           max((x.tick_body::json ->> 'timestamp')::float8) as at,
           count(*) filter (where x.status = 'FAILURE') as failures
    from (select id, status, tick_body from dagster.job_ticks k
          where k.selector_id = i.selector_id and k.status <> 'STARTED' order by k.timestamp desc limit 20) x
) t
where t.status = 'FAILURE' and i.status <> 'STOPPED'
"""

_MATERIALIZED = """
select asset_key, split_part(coalesce(partition, ''), '|', 1), max(extract(epoch from timestamp at time zone 'UTC')), max(id)
from dagster.event_logs
where dagster_event_type = 'ASSET_MATERIALIZATION' and id > %s
group by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a part of Dagster's daemon was last heard of."""

    daemon: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FailingRuns:
    """Runs of one stream (or job) and account that failed since its last success. Times are epoch seconds."""

    subject: str
    account: str
    succeeded: float | None
    failures: int
    failing_since: float
    run_id: str


@dataclass(frozen=True, slots=True)
class FailingTicks:
    """A schedule or sensor whose latest tick failed."""

    name: str
    kind: str
    at: datetime
    failures: int


def has_tables(connection: Connection[Any]) -> bool:
    """Whether Dagster has ever used this database."""
    row = connection.execute("select to_regclass('dagster.runs') is not null").fetchone()
    return bool(row and row[0])


def heartbeats(connection: Connection[Any]) -> list[Heartbeat]:
    """The last heartbeat of each daemon that ever ran."""
    return [Heartbeat(daemon, datetime.fromtimestamp(at, UTC)) for daemon, at in connection.execute(_HEARTBEATS).fetchall()]


def failing_runs(connection: Connection[Any], now: datetime) -> list[FailingRuns]:
    """Streams and jobs whose latest ended run failed."""
    with connection.cursor(row_factory=class_row(FailingRuns)) as cursor:
        return cursor.execute(_RUNS, {"since": (now - LOOK_BACK).timestamp()}).fetchall()


def failing_ticks(connection: Connection[Any]) -> list[FailingTicks]:
    """Running schedules and sensors whose latest finished tick failed."""
    return [
        FailingTicks(name, kind.lower(), datetime.fromtimestamp(at, UTC), failures)
        for name, kind, _, at, failures in connection.execute(_TICKS).fetchall()
    ]


def last_success_of_job(connection: Connection[Any], job: str) -> datetime | None:
    """When a run of this job last succeeded."""
    row = connection.execute(
        "select max(end_time) from dagster.runs where pipeline_name = %s and status = 'SUCCESS'", [job]
    ).fetchone()
    return datetime.fromtimestamp(row[0], UTC) if row and row[0] else None


class Materializations:
    """When each stream of each account was last stored, followed along the event log: after the first look only what is new."""

    def __init__(self) -> None:
        self._seen = 0
        self._last: dict[tuple[str, str], datetime] = {}

    def follow(self, connection: Connection[Any]) -> None:
        """Reads on."""
        for asset, account, at, newest in connection.execute(_MATERIALIZED, [max(0, self._seen - OVERLAP_IDS)]).fetchall():
            vendor, _, name = asset.strip("[]").replace('"', "").replace(" ", "").partition(",")
            key = (f"{vendor}/{name}", account)
            moment = datetime.fromtimestamp(float(at), UTC)
            self._last[key] = max(moment, self._last.get(key, moment))
            self._seen = max(self._seen, newest)

    def last(self, stream: str, account: str) -> datetime | None:
        """The latest success of a stream at an account."""
        return self._last.get((stream, account))
