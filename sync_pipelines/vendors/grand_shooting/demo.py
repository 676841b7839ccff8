"""The demo's fan-out round: one real batch run of every link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagster import DagsterInstance, Definitions

from sync_pipelines.config import Config
from sync_pipelines.orchestration.launch import QUIET, reason
from sync_pipelines.vendors.grand_shooting.defs import REPLICAS, register_partitions


def rounds(definitions: Definitions, instance: DagsterInstance, config: Config) -> Iterator[dict[str, Any]]:
    """Materializes the replica of each link and tells what the run wrote."""
    register_partitions(instance, [link.id for link in config.links])
    for link in config.links:
        result = definitions.resolve_job_def("grand_shooting_batch").execute_in_process(
            instance=instance, partition_key=link.id, run_config=QUIET, raise_on_error=False
        )
        found: dict[str, Any] = {}
        for event in result.get_asset_materialization_events() if result.success else ():
            if event.asset_key == REPLICAS:
                found = {name: entry.value for name, entry in event.materialization.metadata.items()}
        yield {
            "stream": "grand_shooting/replicas",
            "account": link.id,
            "run_id": result.run_id,
            "status": "complete" if result.success else "failed",
            "error": None if result.success else reason(result),
            "fetched": found.get("fetched", 0),
            "inserted": found.get("written", 0),
            "updated": 0,
            "dead_lettered": found.get("dead_lettered", 0),
            "api_calls": found.get("api_calls", 0),
            "duration_s": found.get("duration_s", 0),
        }
