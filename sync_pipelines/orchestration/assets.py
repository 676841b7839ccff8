"""From a stream's declaration to its Dagster asset, job and schedules. Knows no vendor."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    Config,
    Failure,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    RetryRequested,
    asset,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import AuthError, BrakePulled, ConfigError, ContractError, DataError, StreamBusy, TransientError
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.core.windows import Window
from sync_pipelines.orchestration import checks, launchpad, partitions, progress, tags
from sync_pipelines.orchestration.engine import Engine

OWNERS = ["team:operations"]

_BUSY_RETRY_S = 30
"""A backfill that finds its stream busy tries again after this many seconds …"""
_BUSY_RETRIES = 40
"""… this many times: twenty minutes, a run's usual maximum."""


class SyncConfig(Config):
    """What a run reads. Left empty, a run of today's partition reads what is new and any other partition re-reads its whole day."""

    mode: str | None = Field(default=None, description="incremental, window or full; empty: by partition")
    lane: str | None = Field(default=None, description="live, webhook, retry, replay or backfill; empty: by mode")
    start: str | None = Field(default=None, description="mode window: first instant (ISO 8601, UTC if no zone), with end")
    end: str | None = Field(default=None, description="mode window: end, exclusive (ISO 8601, UTC if no zone), with start")


def api_asset(vendor: Vendor, stream: Stream[Any]) -> AssetSpec:
    """The vendor's own collection, so that lineage starts where the data does."""
    return AssetSpec(
        AssetKey([vendor.name, "api", stream.name]),
        group_name=vendor.name,
        description=f"{stream.name} as {vendor.name} keeps them; read, never written here.",
        kinds={"api"},
        owners=OWNERS,
    )


def stream_asset(vendor: Vendor, stream: Stream[Any]) -> AssetsDefinition:
    """The asset of one stream: its table, kept in step by `sync_stream`."""

    @asset(
        key=AssetKey([vendor.name, stream.name]),
        deps=[AssetKey([vendor.name, "api", stream.name])],
        description=stream.description,
        group_name=vendor.name,
        kinds=set(stream.kinds),
        owners=OWNERS,
        partitions_def=partitions.partitions_of(vendor, stream),
        check_specs=checks.specs(stream),
        freshness_policy=FreshnessPolicy.time_window(fail_window=stream.freshness),
        metadata={
            "table": stream.table.fullname,
            "child_tables": MetadataValue.json([table.fullname for table in stream.children]),
            "overlap": str(stream.overlap),
            "safety_lag": str(stream.safety_lag),
            "reads": "changes by window" if stream.is_windowed else "everything",
        },
    )
    def table(context: AssetExecutionContext, config: SyncConfig, engine: Engine) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
        account, day = partitions.split_key(stream, context.partition_key)
        _tag_run(context, stream, account)
        request = requested(stream, config, day, is_backfill=tags.BACKFILL in context.run.tags)
        totals = run_stream(vendor, stream, account, request, engine, context)
        if stream.is_windowed:
            for touched in partitions.days_touched(totals.windows):
                if touched != day:
                    context.log_event(
                        AssetMaterialization(
                            context.asset_key,
                            partition=partitions.partition_key(stream, account, touched),
                            metadata={"read_by_run": MetadataValue.dagster_run(context.run.run_id)},
                        )
                    )
        return MaterializeResult(
            metadata=metadata_of(totals), check_results=checks.results(stream, engine.runtime.database, account)
        )

    return table


def _tag_run(context: AssetExecutionContext, stream: Stream[Any], account: str) -> None:
    """Gives a run that was launched in the UI the tags by which the page and the alerts know whose it is."""
    found = {tags.ACCOUNT: account}
    if context.run.asset_selection == {context.asset_key}:
        found[tags.STREAM] = stream.key
    if not found.keys() <= context.run.tags.keys():
        context.instance.add_run_tags(context.run.run_id, found)


def requested(stream: Stream[Any], config: SyncConfig, day: Any, *, is_backfill: bool) -> Request:
    """What a run has to read, from its config or, without one, from its partition.

    Raises:
        Failure: The config is wrong; see `launchpad`.
    """
    mode, window = _asked(config)
    if window is not None and not stream.is_windowed:
        raise launchpad.refusal(f"start and end: {stream.key} is read whole each time; leave them out")
    lane = launchpad.one_of("lane", config.lane, Lane)
    today = datetime.now(UTC).date()
    if mode is None and stream.is_windowed and day is not None and (is_backfill or day != today):
        mode = Mode.WINDOW
        window = partitions.day_window(day)
    if window is not None:
        horizon = datetime.now(UTC) - stream.safety_lag
        window = Window(window.start, min(window.end, max(horizon, window.start + timedelta(seconds=1))))
    mode = mode or (Mode.INCREMENTAL if stream.is_windowed else Mode.FULL)
    lane = lane or (Lane.BACKFILL if is_backfill or mode is Mode.WINDOW else Lane.LIVE)
    return Request(mode=mode, lane=lane, window=window)


def _asked(config: SyncConfig) -> tuple[Mode | None, Window | None]:
    mode, window = launchpad.one_of("mode", config.mode, Mode), launchpad.window(config.start, config.end)
    if window is None:
        if mode is Mode.WINDOW:
            raise launchpad.refusal(f"mode: {config.mode!r} needs start and end, each {launchpad.INSTANT}")
        return mode, None
    if mode not in {None, Mode.WINDOW}:
        given = f"start {config.start!r} and end {config.end!r}"
        raise launchpad.refusal(f"mode: {config.mode!r} does not go with {given}; leave mode empty or window, or leave out both")
    return Mode.WINDOW, window


def run_stream(
    vendor: Vendor, stream: Stream[Any], account: str, request: Request, engine: Engine, context: AssetExecutionContext
) -> SyncTotals:
    """Runs the engine and turns its errors into Dagster's: permanent ones fail for good, transient ones are tried again.

    Raises:
        Failure: Nothing but a person or a change at the vendor will help.
        RetryRequested: The vendor is unwell, or another run of this stream is under way; not where a person waits at a command.
    """
    try:
        resolved = engine.runtime.account(account, request.lane)
        start = getattr(resolved.settings, "start", None)
        with vendor.connect(resolved) as client:
            totals = sync_stream(
                stream,
                database=engine.runtime.database,
                account=account,
                client=client,
                run_id=context.run.run_id,
                settings=resolved.settings,
                request=Request(request.mode, request.lane, request.window, start),
                on_progress=progress.reporter(context.log.info),
            )
    except StreamBusy as error:
        if request.lane_group == "live" or tags.PROCESS in context.run.tags:
            raise Failure(str(error), allow_retries=False) from error
        raise RetryRequested(max_retries=_BUSY_RETRIES, seconds_to_wait=_BUSY_RETRY_S) from error
    except TransientError as error:
        context.log.warning("%s", error)
        if tags.PROCESS in context.run.tags:
            raise Failure(str(error), allow_retries=False) from error
        raise RetryRequested(max_retries=3, seconds_to_wait=20) from error
    except (AuthError, ConfigError, ContractError, DataError, BrakePulled) as error:
        kind = {"error_type": type(error).__name__, "account": account, "stream": stream.key}
        raise Failure(str(error), metadata=kind, allow_retries=False) from error
    progress.finished(totals)
    context.log.info("%s of %s: %s", stream.key, account, totals.in_words())
    if totals.unknown_words:
        context.log.warning("not as our mapping knows it, stored as it is: %s", ", ".join(sorted(totals.unknown_words)))
    if totals.status is Status.PARTIAL:
        context.log.warning("stopped cleanly: %s; the next run goes on where this one stopped", totals.stopped_because)
    elif totals.stopped_because:
        context.log.warning("%s", totals.stopped_because)
    return totals


def metadata_of(totals: SyncTotals) -> dict[str, Any]:
    """Totals as materialization metadata: flat numbers with stable keys, which the UI plots, and a few words."""
    entries: dict[str, Any] = dict(totals.numbers())
    entries |= {"account": totals.account, "status": str(totals.status)}
    if totals.stopped_because:
        entries["stopped_because"] = totals.stopped_because
    if totals.unknown_words:
        entries["unknown_words"] = ", ".join(sorted(totals.unknown_words))
    if totals.windows:
        entries["windows"] = MetadataValue.md(
            "\n".join(f"- {start:%Y-%m-%d %H:%M:%S} → {end:%Y-%m-%d %H:%M:%S}" for start, end in totals.windows[:50])
        )
    return entries


def stream_assets(vendor: Vendor) -> Iterator[AssetsDefinition | AssetSpec]:
    """All assets of a vendor's streams, with the collections they come from."""
    for stream in vendor.streams:
        yield api_asset(vendor, stream)
        yield stream_asset(vendor, stream)
