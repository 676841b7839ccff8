"""Reads the whole picture in one read-only transaction, so that its parts agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core import queue
from sync_pipelines.core.budget import BucketReport, read_budgets
from sync_pipelines.core.db import Database, clock
from sync_pipelines.core.links import LinkState
from sync_pipelines.core.oauth import read_token_ages
from sync_pipelines.overview import dagster_tables, ledgers
from sync_pipelines.overview.dagster_tables import Run
from sync_pipelines.overview.judging import DAYS, Facts, stream_state
from sync_pipelines.overview.models import (
    Alerts,
    Authorization,
    DagsterState,
    Health,
    History,
    JobState,
    Line,
    LinkDay,
    Links,
    LinkStatus,
    Queues,
    Quota,
    RunState,
    Status,
    StreamState,
    Tenant,
)
from sync_pipelines.overview.volumes import filled, summed
from sync_pipelines.overview.watched import Watched, WatchedStream
from sync_pipelines.registry import modules

MOST_DAYS = 366
"""Longest history that is answered at once."""

SHOWN_RUNS = 50

LAUNCHES_BY_HAND = (dagster_tables.BY_HAND, 6)
"""How far back runs that somebody launched in Dagster's UI are searched: as if so many accounts shared a job."""

BEATING_WITHIN = timedelta(minutes=2)
"""Dagster's daemons report every 30 seconds."""

_STATEMENT_TIMEOUT_MS = 5_000


def read_status(database: Database, watched: Watched, *, count_exactly: bool = False) -> Status:
    """Everything on the front page.

    Args:
        database: Migrated.
        watched: What is configured.
        count_exactly: Counts the rows of large tables too, which may take seconds.

    Raises:
        DatabaseUnavailable: It does not answer.
    """
    with _reading(database, is_bounded=not count_exactly) as (connection, now):
        streams, jobs = _streams_and_jobs(connection, watched, now, count_exactly=count_exactly)
        links = _links(connection, watched, now)
        tenants = _tenants(connection, watched, now, is_counted=count_exactly)
        dagster = _dagster(connection, watched, now)
        faults = [run_state(run, watched) for run in dagster_tables.failed_runs(connection)]
        alerts = ledgers.open_alert_count(connection)
    quotas = [_quota(report) for report in read_budgets(database)]
    authorizations = [Authorization(**asdict(ages)) for ages in read_token_ages(database)]
    states = [*(stream.health for stream in streams), *(link.health for link in links)]
    if dagster.is_prepared and not dagster.is_beating:
        states.append(Health.ATTENTION)
    return Status(
        at=now,
        health=min(states, key=lambda health: health.rank, default=Health.NEW),
        counts=dict(Counter(stream.health for stream in streams)),
        dagster=dagster,
        streams=streams,
        budgets=quotas,
        authorizations=authorizations,
        links=links,
        tenants=tenants,
        jobs=jobs,
        faults=faults,
        open_alerts=alerts,
    )


def read_history(database: Database, watched: Watched, of: WatchedStream, *, days: int) -> History:
    """One stream's past of so many days, today included."""
    with _reading(database) as (connection, now):
        since = now.date() - timedelta(days=days - 1)
        account, stream = of.subject
        found = ledgers.volumes(connection, since, account=account, stream=stream).get(of.subject, [])
        accounts = sum(other.job == of.job for other in watched.streams)
        jobs = [(of.job, accounts), LAUNCHES_BY_HAND]
        runs = [
            run
            for run in dagster_tables.newest_runs(connection, jobs, each=SHOWN_RUNS)
            if run.account == account and (run.job == of.job or run.stream == stream)
        ]
    return History(
        stream=stream,
        account=account,
        days=filled([day.volume for day in found], since, now.date()),
        runs=[run_state(run, watched) for run in runs[:SHOWN_RUNS]],
    )


def read_links(database: Database, watched: Watched) -> Links:
    """All links."""
    with _reading(database) as (connection, now):
        return Links(at=now, links=_links(connection, watched, now))


def read_queues(database: Database) -> Queues:
    """Every queue's lines, and the dead letters."""
    with _reading(database) as (connection, now):
        return Queues(
            at=now,
            lines=[Line(**asdict(line)) for line in queue.counts(connection)],
            letter_counts=ledgers.letter_counts(connection),
            letters=ledgers.newest_letters(connection),
        )


def read_alerts(database: Database, watched: Watched) -> Alerts:
    """The alert ledger."""
    with _reading(database) as (connection, now):
        found = {is_open: list(ledgers.alerts(connection, is_open=is_open)) for is_open in (True, False)}
    linked = {
        is_open: [
            alert.model_copy(
                update={"run_url": dagster_tables.run_url(watched.dagster_url, alert.run_id) if alert.run_id else None}
            )
            for alert in alerts
        ]
        for is_open, alerts in found.items()
    }
    return Alerts(at=now, open=linked[True], closed=linked[False])


def run_state(run: Run, watched: Watched) -> RunState:
    """A run with its address."""
    return RunState(**asdict(run), url=dagster_tables.run_url(watched.dagster_url, run.run_id))


def _streams_and_jobs(
    connection: Connection[Any], watched: Watched, now: datetime, *, count_exactly: bool
) -> tuple[list[StreamState], list[JobState]]:
    today = now.date()
    volumes = ledgers.volumes(connection, today - timedelta(days=DAYS - 1))
    confirmed = ledgers.confirmed(connection)
    letters: dict[tuple[str, str], Counter[str]] = {}
    for letter in ledgers.letter_counts(connection):
        letters.setdefault((letter.account, letter.subject), Counter())[letter.state] += letter.count
    holds = ledgers.holds(connection)
    subjects = list(watched.by_subject)
    trust = ledgers.trust(connection, subjects)
    tables = {item.stream.key: item.stream.table for item in watched.streams}
    rows = ledgers.rows_of(connection, tables, subjects, exactly=count_exactly)
    runs: dict[tuple[str, str], list[Run]] = {}
    accounts = Counter(item.job for item in watched.streams)
    for run in dagster_tables.newest_runs(connection, [*accounts.items(), LAUNCHES_BY_HAND]):
        if run.account and run.stream:
            runs.setdefault((run.account, run.stream), []).append(run)
    snapshots = [(item.stream.key, item.account) for item in watched.streams if not item.stream.is_windowed]
    materialized = dagster_tables.last_materialized(connection, snapshots)
    stopped = dagster_tables.stopped_schedules(connection)
    streams = [
        stream_state(
            item,
            Facts(
                now=now,
                days=tuple(volumes.get(item.subject, ())),
                runs=tuple(runs.get(item.subject, ())),
                materialized_at=materialized.get((item.stream.key, item.account)),
                confirmed=confirmed.get(item.subject),
                rows=rows[item.subject],
                letters=letters.get(item.subject, Counter()),
                holds=holds.get(item.subject, 0),
                trust=trust.get(item.subject),
                is_stopped=bool(item.stream.cron) and item.schedule in stopped,
            ),
            run_state=lambda run: run_state(run, watched),
        )
        for item in watched.streams
    ]
    others = sorted(set(volumes) - set(subjects))
    jobs = [
        JobState(
            account=account,
            job=job,
            last_7_days=summed(volumes[account, job], today, 7),
            last_30_days=summed(volumes[account, job], today, DAYS),
        )
        for account, job in others
    ]
    return streams, jobs


def _links(connection: Connection[Any], watched: Watched, now: datetime) -> list[LinkStatus]:
    if not watched.links:
        return []
    states: list[LinkState] = [
        state for module in modules("link_states") for state in module.link_states(connection, watched.links, now)
    ]
    lines = {
        (line.queue, line.account): line for name in {state.queue for state in states} for line in queue.counts(connection, name)
    }
    since = now.date() - timedelta(days=DAYS - 1)
    days: dict[tuple[str, date], LinkDay] = {}
    for row in connection.execute(
        "select subject, (hour at time zone 'UTC')::date, sum(received)::bigint, sum(processed)::bigint, sum(failed)::bigint,"
        " sum(dropped)::bigint from sync.hourly_volumes where hour >= %s and subject = any(%s) group by 1, 2",
        [datetime(since.year, since.month, since.day, tzinfo=UTC), [state.id for state in states]],
    ):
        days[row[0], row[1]] = LinkDay(day=row[1], received=row[2], processed=row[3], failed=row[4], dropped=row[5])
    wanted = [since + timedelta(days=number) for number in range(DAYS)]
    found = []
    for state in states:
        line = lines.get((state.queue, state.id))
        health = Health.STOPPED if state.state in {"inactive", "paused"} else Health.OK
        if state.failed or state.held:
            health = Health.ATTENTION
        if state.state == "open circuit":
            health = Health.FAILING
        found.append(
            LinkStatus(
                id=state.id,
                main=state.main,
                secondary=state.secondary,
                state=state.state,
                health=health,
                trouble=state.trouble[:200] if state.trouble else None,
                waiting=line.waiting + line.leased + line.retrying if line else 0,
                lag_s=round(line.oldest_s, 1) if line else 0.0,
                next_batch_at=state.next_batch_at,
                failed=state.failed,
                held=state.held,
                days=[
                    days.get((state.id, day)) or LinkDay(day=day, received=0, processed=0, failed=0, dropped=0) for day in wanted
                ],
            )
        )
    return found


def _tenants(connection: Connection[Any], watched: Watched, now: datetime, *, is_counted: bool) -> list[Tenant]:
    accounts = {item.account: item.settings for item in watched.streams}
    return [
        Tenant.model_validate(asdict(state))
        for module in modules("tenants")
        for state in module.tenant_states(connection, accounts, now.date(), is_counted=is_counted)
    ]


def _dagster(connection: Connection[Any], watched: Watched, now: datetime) -> DagsterState:
    found = dagster_tables.instance(connection)
    is_beating = found.daemon_beat_at is not None and now - found.daemon_beat_at < BEATING_WITHIN
    return DagsterState(**asdict(found), is_beating=is_beating, url=watched.dagster_url)


def _quota(report: BucketReport) -> Quota:
    rounded = {name: round(getattr(report, name), 1) for name in ("calls_left", "used")}
    return Quota(**{**asdict(report), **rounded, "waiting": dict(report.waiting)})


@contextmanager
def _reading(database: Database, *, is_bounded: bool = True) -> Iterator[tuple[Connection[Any], datetime]]:
    """A read-only transaction of one snapshot, and the database's time."""
    with database.transaction() as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        if is_bounded:
            connection.execute(f"set local statement_timeout = {_STATEMENT_TIMEOUT_MS}")
        yield connection, clock(connection)
