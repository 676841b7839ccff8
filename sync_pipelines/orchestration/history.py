"""Dagster's run history, counted into ``sync.daily_volumes`` before it is purged.

A sensor adds what has ended since it looked last, every minute; the daily maintenance counts the last closed days anew as a whole,
which heals whatever the sensor could not see in time. Both hold the same lock, so no run is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from sync_pipelines.core import volumes
from sync_pipelines.core.db import Database
from sync_pipelines.core.volumes import NUMBERS, Volume
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.partitions import ACCOUNT_TAG

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

SETTLING = timedelta(seconds=15)
"""A run that ended this lately may not be visible to everybody yet."""

RECOUNTED_DAYS = 3
"""Closed days that maintenance counts anew."""

_AT_ONCE = 500
_STEP = timedelta(days=1)
_DETAIL = ("fetched", "inserted", "updated", "unchanged", "stale", "deleted", "dead_lettered", "api_calls", "throttled", "waited_s")


def count_new(instance: DagsterInstance, database: Database, *, now: datetime, most_steps: int = 10) -> int:
    """Counts what has ended since the last time, at most ``most_steps`` days at once; returns how many runs."""
    counted = 0
    for _ in range(most_steps):
        with database.transaction() as connection:
            through = volumes.counted_through(connection) or _first_end(instance, now)
            until = min(through + _STEP, now - SETTLING)
            if until <= through:
                return counted
            runs = list(ended_runs(instance, through, until))
            volumes.add_volumes(connection, volumes_of(instance, runs))
            volumes.count_through(connection, until)
            counted += len(runs)
    return counted


def recount(instance: DagsterInstance, database: Database, *, now: datetime, days: int = RECOUNTED_DAYS) -> int:
    """Counts the last closed days anew; returns how many runs. Days whose runs may be purged are never among them."""
    counted = 0
    for back in range(1, days + 1):
        start = _midnight(now) - timedelta(days=back)
        with database.transaction() as connection:
            through = volumes.counted_through(connection)
            if through is None or through < start + _STEP:
                continue
            runs = list(ended_runs(instance, start, start + _STEP))
            volumes.replace_day(connection, start.date(), volumes_of(instance, runs))
            counted += len(runs)
    return counted


def ended_runs(instance: DagsterInstance, start: datetime, end: datetime) -> Iterator[RunRecord]:
    """Runs that ended in ``[start, end)``, a few hundred in memory at a time."""
    wanted = RunsFilter(statuses=ENDED, updated_after=start - timedelta(seconds=1))
    cursor = None
    while records := instance.get_run_records(wanted, limit=_AT_ONCE, cursor=cursor, ascending=True):
        yield from (one for one in records if one.end_time is not None and start.timestamp() <= one.end_time < end.timestamp())
        cursor = records[-1].dagster_run.run_id


def volumes_of(instance: DagsterInstance, records: Iterable[RunRecord]) -> list[Volume]:
    """What these runs did, by day, account and stream."""
    found: dict[tuple[date, str, str], Volume] = {}
    for record in records:
        day = datetime.fromtimestamp(record.end_time or 0, UTC).date()
        for subject, numbers in _parts(instance, record).items():
            volume = found.setdefault((day, *subject), Volume(day, *subject))
            for name in NUMBERS:
                setattr(volume, name, getattr(volume, name) + numbers.get(name, 0))
    return list(found.values())


def _parts(instance: DagsterInstance, record: RunRecord) -> dict[tuple[str, str], dict[str, Any]]:
    """A run's numbers by account and stream: of each sync it reports, or of its own subject if it reports none."""
    parts: dict[tuple[str, str], dict[str, Any]] = {}
    duration_s = (record.end_time or 0) - (record.start_time or record.end_time or 0)
    is_success = record.dagster_run.status is DagsterRunStatus.SUCCESS
    events = instance.get_records_for_run(record.dagster_run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION).records
    for event in events:
        made = event.asset_materialization
        if made is None or "fetched" not in made.metadata or "account" not in made.metadata:
            continue
        told = {name: value.value for name, value in made.metadata.items()}
        numbers = {name: told[name] for name in (*_DETAIL, "duration_s") if isinstance(told.get(name), int | float)}
        is_partial = told.get("status") == "partial" or bool(told.get("dead_lettered"))
        subject = (str(told["account"]), made.asset_key.to_user_string())
        known = parts.setdefault(subject, {})
        for name, value in numbers.items():
            known[name] = known.get(name, 0) + value
        known["partial"] = known.get("partial", 0) or int(is_partial)
    parts = parts or {_subject(record): {"duration_s": duration_s}}
    for numbers in parts.values():
        numbers["partial"] = int(is_success and bool(numbers.get("partial")))
        numbers["complete"] = int(is_success and not numbers["partial"])
        numbers["failed"] = int(record.dagster_run.status is DagsterRunStatus.FAILURE)
        numbers["canceled"] = int(record.dagster_run.status is DagsterRunStatus.CANCELED)
    return parts


def _subject(record: RunRecord) -> tuple[str, str]:
    """Account and stream of a run that reports no sync; a job's name where it has no stream, ``""`` where it has no account."""
    run = record.dagster_run
    account = run.tags.get(tags.ACCOUNT) or run.tags.get(ACCOUNT_TAG) or ""
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    stream = run.tags.get(tags.STREAM) or (assets[0] if len(assets) == 1 else None)
    if stream is None:
        stream = f"{account.split('/', 1)[0]}/{run.job_name}" if account else run.job_name
    if not account and run.tags.get("dagster/partition", "").count("/") == 1:
        account = run.tags["dagster/partition"]
    return account, stream


def _first_end(instance: DagsterInstance, now: datetime) -> datetime:
    """The day of the oldest run that is still known."""
    oldest = instance.get_run_records(RunsFilter(statuses=ENDED), limit=1, ascending=True)
    first = oldest[0].end_time if oldest else None
    return _midnight(datetime.fromtimestamp(first, UTC) if first else now)


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
