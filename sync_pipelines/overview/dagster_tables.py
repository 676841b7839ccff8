"""What the page and `status` read of Dagster's own tables, by SQL, so that they live when Dagster's processes do not.

The alerts have their own look at them in `service.alerting.dagster_tables`.

It relies on these columns of schema ``dagster`` (Dagster 1.13), and on nothing else of them:

- ``runs``: id, run_id, pipeline_name (the job), status, start_time and end_time (epoch seconds), create_timestamp, update_timestamp
- ``run_tags``: run_id, key, value; a backfill from the UI has the account in its partition's tags only
- ``event_logs``: id, asset_key, dagster_event_type, partition, timestamp (naive UTC)
- ``instigators``: status, instigator_type, instigator_body (JSON, ``origin.job_name`` is the schedule)
- ``daemon_heartbeats``: daemon_type, timestamp (naive UTC)

Every query is bounded by an index of Dagster's own. Before Dagster has made its tables everything reads as empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

RUNS_OF_A_JOB = 8
"""How far back the newest runs of a job are searched, for each account that it works for; windows and materializations remember
older successes."""

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

_RUN_COLUMNS = """
    r.run_id, r.pipeline_name as job, r.status,
    (select t.value from dagster.run_tags t
     where t.run_id = r.run_id and t.key in ('sync/account', 'dagster/partition/account', 'dagster/partition')
     order by array_position(array['sync/account', 'dagster/partition/account', 'dagster/partition'], t.key) limit 1) as account,
    (select t.value from dagster.run_tags t where t.run_id = r.run_id and t.key = 'sync/stream' limit 1) as stream,
    to_timestamp(coalesce(r.start_time, extract(epoch from r.create_timestamp at time zone 'UTC'))) as started_at,
    case when r.status in ('SUCCESS', 'FAILURE', 'CANCELED')
         then to_timestamp(coalesce(r.end_time, extract(epoch from r.update_timestamp at time zone 'UTC'))) end as ended_at
"""

_NEWEST_BY_JOB = f"""
select {_RUN_COLUMNS}
from unnest(%(jobs)s::text[], %(limits)s::int[]) as wanted(job, most)
cross join lateral (
    select * from dagster.runs where pipeline_name = wanted.job order by id desc limit wanted.most
) r
order by r.id desc
"""  # noqa: S608 - our own column names

_FAILED = f"""
select {_RUN_COLUMNS}
from (
    select * from dagster.runs where status = 'FAILURE' and update_timestamp > (now() at time zone 'UTC') - interval '7 days'
    order by update_timestamp desc limit %(limit)s
) r
order by r.update_timestamp desc
"""  # noqa: S608 - our own column names

_MATERIALIZED = """
select wanted.asset_key, wanted.partition, last.timestamp at time zone 'UTC'
from unnest(%(assets)s::text[], %(partitions)s::text[]) as wanted(asset_key, partition)
cross join lateral (
    select e.timestamp from dagster.event_logs e
    where e.asset_key = wanted.asset_key and e.dagster_event_type = 'ASSET_MATERIALIZATION' and e.partition = wanted.partition
    order by e.id desc limit 1
) last
"""

_UNFINISHED = """
select status, count(*) from dagster.runs
where status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING') group by status
"""

_STOPPED = """
select instigator_body::json #>> '{origin,job_name}' from dagster.instigators
where instigator_type = 'SCHEDULE' and status = 'STOPPED'
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        run_id: Dagster's id.
        job: Name of the job.
        status: Dagster's word: ``SUCCESS``, ``FAILURE``, ``STARTED``, …
        account: ``vendor/name``, if it works for one.
        stream: ``vendor/table``, if it reads one.
        started_at: Aware UTC; when it was requested, until it starts.
        ended_at: Aware UTC; ``None`` while it is under way.
    """

    run_id: str
    job: str
    status: str
    account: str | None
    stream: str | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Instance:
    """Dagster as a whole.

    Attributes:
        is_prepared: Whether its tables exist.
        daemon_beat_at: The oldest of its daemons' last heartbeats, aware UTC; ``None`` if there never was one.
        queued: Runs waiting to start.
        running: Runs under way.
    """

    is_prepared: bool
    daemon_beat_at: datetime | None = None
    queued: int = 0
    running: int = 0


def is_prepared(connection: Connection[Any]) -> bool:
    """Whether Dagster has made its tables."""
    row = connection.execute("select to_regclass('dagster.runs') is not null and to_regclass('dagster.instigators') is not null")
    return bool((row.fetchone() or (False,))[0])


def instance(connection: Connection[Any]) -> Instance:
    """How Dagster itself is doing."""
    if not is_prepared(connection):
        return Instance(is_prepared=False)
    beat = connection.execute("select min(timestamp) at time zone 'UTC' from dagster.daemon_heartbeats").fetchone()
    counts = dict(connection.execute(_UNFINISHED).fetchall())
    waiting = sum(counts.get(status, 0) for status in ("QUEUED", "NOT_STARTED"))
    return Instance(
        is_prepared=True,
        daemon_beat_at=_utc(beat[0]) if beat and beat[0] else None,
        queued=waiting,
        running=sum(counts.values()) - waiting,
    )


def newest_runs(connection: Connection[Any], jobs: Iterable[tuple[str, int]], *, each: int = RUNS_OF_A_JOB) -> list[Run]:
    """The newest runs of jobs, newest first.

    Args:
        connection: Any.
        jobs: Name of a job and how many accounts share it; a job without runs answers none.
        each: How many runs of each account, if all of them run equally often.
    """
    wanted = dict(jobs)
    if not wanted or not is_prepared(connection):
        return []
    limits = [each * max(1, accounts) for accounts in wanted.values()]
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(_NEWEST_BY_JOB, {"jobs": list(wanted), "limits": limits}).fetchall()


def failed_runs(connection: Connection[Any], *, limit: int = 10) -> list[Run]:
    """The runs of any job that failed within seven days, newest first."""
    if not is_prepared(connection):
        return []
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(_FAILED, {"limit": limit}).fetchall()


def last_materialized(connection: Connection[Any], wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """When a stream's partition was last materialized, whichever job did it.

    Args:
        connection: Any.
        wanted: Stream (``vendor/table``) and partition.
    """
    if not wanted or not is_prepared(connection):
        return {}
    keys = {(_asset_key(stream), partition): (stream, partition) for stream, partition in wanted}
    rows = connection.execute(
        _MATERIALIZED, {"assets": [asset for asset, _ in keys], "partitions": [partition for _, partition in keys]}
    ).fetchall()
    return {keys[asset, partition]: _utc(at) for asset, partition, at in rows}


def stopped_schedules(connection: Connection[Any]) -> frozenset[str]:
    """Names of the schedules that a person has stopped."""
    if not is_prepared(connection):
        return frozenset()
    return frozenset(name for (name,) in connection.execute(_STOPPED) if name)


def run_url(base: str, run_id: str) -> str:
    """A run's page in the Dagster UI."""
    return f"{base.rstrip('/')}/runs/{run_id}"


def _asset_key(stream: str) -> str:
    vendor, _, name = stream.partition("/")
    return f'["{vendor}", "{name}"]'


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)
