"""All that Dagster needs of a vendor, from its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster import Definitions

from sync_pipelines.core.vendor import Vendor
from sync_pipelines.orchestration.assets import stream_assets
from sync_pipelines.orchestration.reconciling import reconcile_check, reconcile_job, reconcile_schedule
from sync_pipelines.orchestration.retries import queues_of, retry_job, retry_schedule
from sync_pipelines.orchestration.schedules import stream_schedules


def vendor_definitions(
    vendor: Vendor,
    *,
    assets: Sequence[Any] = (),
    jobs: Sequence[Any] = (),
    schedules: Sequence[Any] = (),
    sensors: Sequence[Any] = (),
) -> Definitions:
    """Assets, checks, jobs and schedules of a vendor's streams and retry queues, with whatever the vendor adds."""
    stream_jobs, stream_beats = stream_schedules(vendor)
    reconcile = reconcile_job(vendor)
    retries = [(queue, retry_job(vendor, queue)) for queue in queues_of(vendor)]
    return Definitions(
        assets=[*stream_assets(vendor), *assets],
        asset_checks=[reconcile_check(vendor)],
        jobs=[*stream_jobs, reconcile, *(target for _, target in retries), *jobs],
        schedules=[
            *stream_beats,
            reconcile_schedule(vendor, reconcile),
            *(retry_schedule(vendor, queue, target) for queue, target in retries),
            *schedules,
        ],
        sensors=list(sensors),
    )
