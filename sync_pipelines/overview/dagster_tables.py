"""What the page, `status` and the alerts read of Dagster's own tables, by SQL, so that they live when Dagster's processes do not.

It relies on these columns of schema ``dagster`` (Dagster 1.13), and on nothing else of them:

- ``runs``: id, run_id, pipeline_name (the job), status, start_time and end_time (epoch seconds), create_timestamp, update_timestamp
- ``run_tags``: run_id, key, value; a backfill from the UI has the account in its partition's tags only
- ``event_logs``: id, asset_key, dagster_event_type, partition, timestamp (naive UTC)
- ``instigators``: selector_id, status, instigator_type, instigator_body (JSON, ``origin.job_name`` is the schedule)
- ``job_ticks``: id, selector_id, status, timestamp, tick_body (JSON: job_name, timestamp)
- ``daemon_heartbeats``: daemon_type, timestamp (naive UTC)

Every query is bounded by an index of Dagster's own, or by what is new since the last look. Before Dagster has made its tables
everything reads as empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

RUNS_OF_A_JOB = 8
"""How far back the newest runs of a job are searched, for each account that it works for; windows and materializations remember
older successes."""

BY_HAND = "__ASSET_JOB"
"""Dagster's name for the job of assets that are launched or backfilled in its UI."""

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

LOOK_BACK = timedelta(days=3)
"""Runs that ended before are not looked at; a stream without a success for so long has missed its freshness anyway."""

REMEMBERED = timedelta(days=8)
"""How far back the first look at materializations goes: the event log has millions of lines, and no stream is fresh for so long."""

OVERLAP_IDS = 2_000
"""Event ids are drawn before their transaction commits; so many are looked at once more."""

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

# "Between" and both columns of the order leave Postgres the index by job and id only. With "=" it walks all runs backwards until it
# has found enough of a job, which reads the whole table for a job that has few.
_NEWEST_BY_JOB = f"""
select {_RUN_COLUMNS}
from unnest(%(jobs)s::text[], %(limits)s::int[]) as wanted(job, most)
cross join lateral (
    select * from dagster.runs where pipeline_name between wanted.job and wanted.job
    order by pipeline_name desc, id desc limit wanted.most
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

_FAILING_RUNS = """
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

_FAILING_TICKS = """
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

_WHERE_RECENT_EVENTS_BEGIN = """
with recent as materialized (
    select id, run_id from dagster.runs where status in ('SUCCESS', 'FAILURE', 'CANCELED') and update_timestamp > %(since)s
), first as (
    select min(e.id) as id from dagster.event_logs e where e.run_id = (select run_id from recent order by id limit 1)
)
select greatest(0, coalesce((select id from first), (select max(id) from dagster.event_logs), 0) - %(overlap)s)
"""

_NEWLY_MATERIALIZED = """
select asset_key, split_part(coalesce(partition, ''), '|', 1), max(extract(epoch from timestamp at time zone 'UTC')), max(id)
from dagster.event_logs
where dagster_event_type = 'ASSET_MATERIALIZATION' and id > %s
group by 1, 2
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


def is_prepared(connection: Connection[Any]) -> bool:
    """Whether Dagster has made its tables."""
    row = connection.execute("select to_regclass('dagster.runs') is not null and to_regclass('dagster.instigators') is not null")
    return bool((row.fetchone() or (False,))[0])


def instance(connection: Connection[Any]) -> Instance:
    """How Dagster itself is doing."""
    if not is_prepared(connection):
        return Instance(is_prepared=False)
    counts = dict(connection.execute(_UNFINISHED).fetchall())
    waiting = sum(counts.get(status, 0) for status in ("QUEUED", "NOT_STARTED"))
    return Instance(
        is_prepared=True,
        daemon_beat_at=min((beat.at for beat in heartbeats(connection)), default=None),
        queued=waiting,
        running=sum(counts.values()) - waiting,
    )


def heartbeats(connection: Connection[Any]) -> list[Heartbeat]:
    """The last heartbeat of each daemon that ever ran."""
    if not is_prepared(connection):
        return []
    rows = connection.execute("select daemon_type, timestamp at time zone 'UTC' from dagster.daemon_heartbeats").fetchall()
    return [Heartbeat(daemon, _utc(at)) for daemon, at in rows]


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


def failing_runs(connection: Connection[Any], now: datetime) -> list[FailingRuns]:
    """Streams and jobs whose latest ended run failed."""
    if not is_prepared(connection):
        return []
    with connection.cursor(row_factory=class_row(FailingRuns)) as cursor:
        return cursor.execute(_FAILING_RUNS, {"since": (now - LOOK_BACK).timestamp()}).fetchall()


def failing_ticks(connection: Connection[Any]) -> list[FailingTicks]:
    """Running schedules and sensors whose latest finished tick failed."""
    if not is_prepared(connection):
        return []
    return [
        FailingTicks(name, kind.lower(), datetime.fromtimestamp(at, UTC), failures)
        for name, kind, _, at, failures in connection.execute(_FAILING_TICKS).fetchall()
    ]


def last_success_of_job(connection: Connection[Any], job: str) -> datetime | None:
    """When a run of this job last succeeded."""
    row = connection.execute(
        "select max(end_time) from dagster.runs where pipeline_name = %s and status = 'SUCCESS'", [job]
    ).fetchone()
    return datetime.fromtimestamp(row[0], UTC) if row and row[0] else None


def run_url(base: str, run_id: str) -> str:
    """A run's page in the Dagster UI."""
    return f"{base.rstrip('/')}/runs/{run_id}"


def _asset_key(stream: str) -> str:
    vendor, _, name = stream.partition("/")
    return f'["{vendor}", "{name}"]'


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


class Materializations:
    """When each stream of each account was last stored, followed along the event log: after the first look only what is new."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._last: dict[tuple[str, str], datetime] = {}

    def follow(self, connection: Connection[Any], now: datetime) -> None:
        """Reads on."""
        if not is_prepared(connection):
            return
        if self._seen is None:
            since = (now - REMEMBERED).astimezone(UTC).replace(tzinfo=None)
            row = connection.execute(_WHERE_RECENT_EVENTS_BEGIN, {"since": since, "overlap": OVERLAP_IDS}).fetchone()
            self._seen = row[0] if row else 0
        for asset, account, at, newest in connection.execute(_NEWLY_MATERIALIZED, [max(0, self._seen - OVERLAP_IDS)]).fetchall():
            vendor, _, name = asset.strip("[]").replace('"', "").replace(" ", "").partition(",")
            key = (f"{vendor}/{name}", account)
            moment = datetime.fromtimestamp(float(at), UTC)
            self._last[key] = max(moment, self._last.get(key, moment))
            self._seen = max(self._seen, newest)

    def last(self, stream: str, account: str) -> datetime | None:
        """The latest success of a stream at an account; ``None`` if none is remembered."""
        return self._last.get((stream, account))
