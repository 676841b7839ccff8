"""What Dagster is shown: one asset, job and schedule a stream, the checks, and SendCloud's part word for word."""

from __future__ import annotations

from dagster import AssetKey, Definitions, DynamicPartitionsDefinition, MultiPartitionsDefinition

from sync_pipelines.definitions import defs
from sync_pipelines.orchestration import tags
from sync_pipelines.registry import all_streams
from sync_pipelines.vendors.sendcloud.defs import defs as sendcloud_defs


def asset_keys(definitions: Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def check_names(definitions: Definitions) -> set[str]:
    keys = definitions.resolve_asset_graph().asset_check_keys
    return {f"{key.asset_key.to_user_string()}:{key.name}" for key in keys}


def test_sendclouds_orders_are_an_asset_read_from_the_api_with_checks_and_beats() -> None:
    assert {
        "sendcloud/orders",
        "sendcloud/api/orders",
        "sendcloud/parcels",
        "sendcloud/api/parcels",
    } <= asset_keys(defs)
    assert {
        "sendcloud/orders:coverage",
        "sendcloud/orders:no_open_dead_letters",
        "sendcloud/parcels:coverage",
        "sendcloud/parcels:no_open_dead_letters",
    } <= check_names(defs)
    assert {schedule.name: schedule.cron_schedule for schedule in sendcloud_defs.schedules or []}.items() >= {
        "sendcloud_orders_delta": "*/15 * * * *",
        "sendcloud_orders_nightly_sweep": "30 2 * * *",
        "sendcloud_parcels_delta": "*/15 * * * *",
        "retry_sendcloud_dlq_schedule": "*/10 * * * *",
    }.items()
    job = defs.resolve_job_def("sendcloud_orders")
    assert job.tags[tags.MAX_RUNTIME] == "1200"
    assert job.tags[tags.STREAM] == "sendcloud/orders"


def test_every_stream_of_every_vendor_is_an_asset_with_its_api_upstream() -> None:
    graph = defs.resolve_asset_graph()
    for vendor, stream in all_streams().values():
        key = AssetKey([stream.vendor, stream.name])
        assert graph.get(key).parent_keys >= {AssetKey([vendor.name, "api", stream.name])}


def test_windowed_streams_are_partitioned_by_account_and_day_snapshots_by_account() -> None:
    graph = defs.resolve_asset_graph()
    for _, stream in all_streams().values():
        partitions = graph.get(AssetKey([stream.vendor, stream.name])).partitions_def
        assert isinstance(partitions, MultiPartitionsDefinition if stream.is_windowed else DynamicPartitionsDefinition)


def test_every_stream_says_when_no_dead_letter_is_open_and_windowed_ones_whether_time_is_covered() -> None:
    found = check_names(defs)
    for _, stream in all_streams().values():
        assert f"{stream.key}:no_open_dead_letters" in found
        assert (f"{stream.key}:coverage" in found) == stream.is_windowed


def test_everything_fits_together() -> None:
    Definitions.validate_loadable(defs)
