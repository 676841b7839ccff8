"""Keeps Dagster's own storage at its retention's size: it has a retention for ticks, and none for runs, events and checks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from dagster import DagsterInstance, RunsFilter
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import BackfillTagsTable, BulkActionsTable, RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import BACKFILL_ID_TAG

from sync_pipelines.core.maintenance import CHUNK
from sync_pipelines.orchestration.history import ENDED

_RUNS_AT_ONCE = 100


@dataclass(slots=True)
class Purged:
    """What was deleted."""

    runs: int = 0
    check_results: int = 0
    events_without_run: int = 0
    instigators: int = 0
    backfills: int = 0

    def as_json(self) -> dict[str, int]:
        """As flat numbers."""
        return asdict(self)


def purge_history(instance: DagsterInstance, before: datetime, *, ticks_before: datetime | None = None) -> Purged:
    """Deletes runs that ended before ``before`` with their events and logs, and what deleting runs leaves behind.

    The caller has counted them (`history`). What is current stays: an asset's and a check's latest state, runs under way, backfills
    that are not over or still have a run.

    Args:
        instance: The instance.
        before: Aware UTC.
        ticks_before: The same for ticks, if another time; aware UTC.
    """
    purged = Purged()
    while records := instance.get_run_records(
        RunsFilter(statuses=ENDED, updated_before=before), limit=_RUNS_AT_ONCE, ascending=True
    ):
        for record in records:
            run_id = record.dagster_run.run_id
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            instance.delete_run(run_id)
            purged.runs += 1
    for state in instance.all_instigator_state():
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, (ticks_before or before).timestamp())
        purged.instigators += 1
    events, runs = instance.event_log_storage, instance.run_storage
    if isinstance(events, SqlEventLogStorage):
        connect = events.index_connection
        purged.check_results = _delete_in_chunks(connect, AssetCheckExecutionsTable, _old_check_results(before))
        purged.events_without_run = _delete_in_chunks(connect, SqlEventLogStorageTable, _old_events_without_run(before))
    if isinstance(runs, SqlRunStorage):
        old = _old_backfills(before)
        of_old = sa.exists().where(BulkActionsTable.c.key == BackfillTagsTable.c.backfill_id, old)
        _delete_in_chunks(runs.connect, BackfillTagsTable, of_old)
        purged.backfills = _delete_in_chunks(runs.connect, BulkActionsTable, old)
    return purged


def _old_check_results(before: datetime) -> Any:
    """Results older than the retention, but never the latest of a check."""
    table, newer = AssetCheckExecutionsTable, AssetCheckExecutionsTable.alias("newer")
    has_newer = sa.exists().where(
        newer.c.asset_key == table.c.asset_key, newer.c.check_name == table.c.check_name, newer.c.id > table.c.id
    )
    return sa.and_(table.c.create_timestamp < before.replace(tzinfo=None), has_newer)


def _old_events_without_run(before: datetime) -> Any:
    table = SqlEventLogStorageTable
    return sa.and_(table.c.run_id == "", table.c.timestamp < before.replace(tzinfo=None))


def _old_backfills(before: datetime) -> Any:
    """Backfills that are over and whose runs are purged already; nothing but runs' tags refers to them."""
    table = BulkActionsTable
    over = [status.value for status in BULK_ACTION_TERMINAL_STATUSES]
    has_runs = sa.exists().where(RunTagsTable.c.key == BACKFILL_ID_TAG, RunTagsTable.c.value == table.c.key)
    return sa.and_(table.c.timestamp < before.replace(tzinfo=None), table.c.status.in_(over), ~has_runs)


def _delete_in_chunks(connect: Callable[[], AbstractContextManager[Any]], table: Any, condition: Any) -> int:
    total = 0
    while True:
        with connect() as connection:
            ids = sa.select(table.c.id).where(condition).order_by(table.c.id).limit(CHUNK)
            count = int(connection.execute(sa.delete(table).where(table.c.id.in_(ids.scalar_subquery()))).rowcount)
        total += count
        if count < CHUNK:
            return total
