"""Gazelle in Dagster: its streams as assets and jobs, and a sensor that starts them at 02:00 in each account's zone."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dagster import DefaultSensorStatus, Definitions, RunRequest, SensorDefinition, SensorEvaluationContext, SensorResult, sensor

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.orchestration import partitions, tags
from sync_pipelines.orchestration.assets import stream_assets
from sync_pipelines.orchestration.reconciling import reconcile_check, reconcile_job, reconcile_schedule
from sync_pipelines.orchestration.schedules import is_active, job_name, op_config, runtime, stream_schedules
from sync_pipelines.vendors.gazelle.nightly import due_night, is_thorough
from sync_pipelines.vendors.gazelle.vendor import VENDOR

THOROUGH = {"mode": "full", "lane": str(Lane.BACKFILL)}


def nightly_sensor(jobs: Sequence[Any]) -> SensorDefinition:
    """Starts every stream of an account whose night has begun; catches up after a night without power."""

    @sensor(
        name="gazelle_nightly",
        jobs=jobs,
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.RUNNING,
        description="Syncs each account daily at 02:00 in its own time zone; on Sundays every field of every record.",
    )
    def nightly(context: SensorEvaluationContext) -> SensorResult:
        nights = {account: date.fromisoformat(day) for account, day in json.loads(context.cursor or "{}").items()}
        requests: list[RunRequest] = []
        with runtime() as opened:
            accounts = opened.account_ids(VENDOR.account_vendors)
            zones = {account: _zone(opened, account) for account in accounts}
        partitions.register_accounts(context.instance, VENDOR, accounts)
        for account in accounts:
            last = nights.get(account)
            night = due_night(datetime.now(UTC), zones[account], last)
            if night is not None:
                requests += _night_of(context, account, thorough=is_thorough(night, last))
                nights[account] = night
        cursor = json.dumps({account: day.isoformat() for account, day in sorted(nights.items())})
        return SensorResult(run_requests=requests, cursor=cursor)

    return nightly


def _night_of(context: SensorEvaluationContext, account: str, *, thorough: bool) -> Iterator[RunRequest]:
    group = "backfill" if thorough else "live"
    for stream in VENDOR.streams:
        if is_active(context.instance, tags.exclusive(stream.key, account, group)):
            context.log.info("%s of %s is under way; tonight's run is left out", stream.key, account)
            continue
        yield RunRequest(
            job_name=job_name(stream),
            partition_key=partitions.partition_key(stream, account, datetime.now(UTC).date()),
            run_config=op_config(stream, THOROUGH) if thorough else {},
            tags=tags.run_tags(stream, account, group),
        )


def _zone(opened: Runtime, account: str) -> ZoneInfo:
    """The account's zone; UTC for one whose credentials are missing, so that its failing run tells somebody."""
    try:
        zone: ZoneInfo = opened.account(account, Lane.LIVE).settings.zone
    except ConfigError:
        return ZoneInfo("UTC")
    return zone


_jobs, _schedules = stream_schedules(VENDOR)

_reconcile = reconcile_job(VENDOR)

defs = Definitions(
    assets=[*stream_assets(VENDOR)],
    asset_checks=[reconcile_check(VENDOR)],
    jobs=[*_jobs, _reconcile],
    schedules=[*_schedules, reconcile_schedule(VENDOR, _reconcile)],
    sensors=[nightly_sensor(_jobs)],
)
