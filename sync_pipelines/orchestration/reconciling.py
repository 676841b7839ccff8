"""Comparison with the vendors' lists as Dagster sees it: one check a stream, one job and beat a vendor, one run an account."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetSelection,
    Config,
    DagsterInstance,
    DefaultScheduleStatus,
    Definitions,
    Failure,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    multi_asset_check,
    schedule,
)
from pydantic import Field

from sync_pipelines.core import reconciliation
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.errors import StreamBusy, SyncError
from sync_pipelines.core.reconciliation import Reconciliation
from sync_pipelines.core.reconciling import reconcile_stream
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.totals import Status
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.core.windows import Window
from sync_pipelines.orchestration import checks, launchpad, tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.launch import QUIET, Launched, process_identity, reason
from sync_pipelines.orchestration.schedules import is_active, runtime

EVERY_DAY = "15 5 * * *"
"""After the nights' syncs and sweeps, before people come."""

_SLACK = 0.9
"""Share of `Reconciling.every` after which a comparison is due again: a daily job must not skip a day over a few minutes."""

_listeners: list[Callable[[Reconciliation], None]] = []


class ReconcileConfig(Config):
    """What to compare; left empty, every stream of every account."""

    account: str | None = Field(default=None, description="vendor/name; empty: all of them")
    streams: list[str] | None = Field(default=None, description="vendor/table; empty: all")
    is_due_only: bool = Field(default=False, description="Leave out what was compared lately, as its stream declares")
    start: str | None = Field(
        default=None, description="First instant (ISO 8601, UTC if no zone), with end; windowed streams only; empty: as declared"
    )
    end: str | None = Field(default=None, description="End, exclusive (ISO 8601, UTC if no zone), with start")
    is_dry_run: bool = Field(default=False, description="Find everything, store and publish nothing")


def compared_streams(vendor: Vendor) -> list[Stream[Any]]:
    """The vendor's streams that can be compared with a list."""
    return [stream for stream in vendor.streams if stream.reconciling is not None]


def job_name(vendor: Vendor) -> str:
    """``sendcloud_reconcile``."""
    return f"{vendor.name}_reconcile"


def reconcile_check(vendor: Vendor) -> AssetChecksDefinition:
    """The check ``reconciled`` of each of the vendor's streams; evaluating it is the comparison."""

    @multi_asset_check(
        name=f"{vendor.name}_reconciled",
        specs=[checks.reconciled_spec(stream) for stream in compared_streams(vendor)],
        can_subset=True,
        description="Compares rows with the vendor's own list: mends missing and altered ones, reports those it does not know.",
    )
    def compare(context: AssetCheckExecutionContext, config: ReconcileConfig, engine: Engine) -> Any:
        window = launchpad.window(config.start, config.end)
        selected = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        opened = engine.runtime
        accounts = opened.account_ids(vendor.account_vendors)
        # What comes along with other records is declared after them and compared before, or it would be mended unseen.
        wanted = [
            stream for stream in reversed(compared_streams(vendor)) if stream.key in selected & set(config.streams or selected)
        ]
        failures: list[str] = []
        # Dagster evaluates every check of an asset that is materialized from the UI; a backfill must not compare day by day.
        is_asked_for = not context.run.asset_selection
        for account in ([config.account] if config.account else accounts) if is_asked_for else []:
            failures += _compare_account(vendor, wanted, account, config, window, engine, context)
        if not config.is_dry_run:
            for stream in wanted:
                result = checks.reconciled(stream, opened.database, accounts)
                yield result or _never_compared(stream)
        if failures:
            raise Failure("; ".join(failures), allow_retries=False)

    return compare


def _compare_account(
    vendor: Vendor,
    streams: Sequence[Stream[Any]],
    account: str,
    config: ReconcileConfig,
    window: Window | None,
    engine: Engine,
    context: AssetCheckExecutionContext,
) -> list[str]:
    """Compares the streams one by one, each with a client of its own; a stream that fails does not stop the others."""
    database, failures = engine.runtime.database, []
    for stream in streams:
        if not stream.reads_from(account) or (config.is_due_only and not _is_due(engine, stream, account)):
            continue
        try:
            resolved = engine.runtime.account(account, Lane.BACKFILL)
            with vendor.connect(resolved) as client:
                found = reconcile_stream(
                    stream,
                    database=database,
                    account=account,
                    client=client,
                    run_id=context.run.run_id,
                    settings=resolved.settings,
                    window=window if stream.is_windowed else None,
                    is_dry_run=config.is_dry_run,
                    on_progress=_tell,
                )
        except StreamBusy as error:
            context.log.info("%s", error)
        except SyncError as error:
            context.log.error("%s of %s: %s", stream.key, account, error)  # noqa: TRY400  # the message says it all
            failures.append(f"{stream.key} of {account}: {error}")
        else:
            _log(found, stream, account, context)
    return failures


def _log(found: Reconciliation | None, stream: Stream[Any], account: str, context: AssetCheckExecutionContext) -> None:
    if found is None:
        context.log.info("%s of %s: nothing has been read yet that could be compared", stream.key, account)
        return
    numbers = (found.equal, found.newer, found.repaired, found.different, found.api_calls, found.waited_s)
    text = "%s of %s, %s: %s equal, %s newer, %s repaired, %s different; %s calls, %.0f s waited"
    context.log.info(text, stream.key, account, found.scope, *numbers)
    if found.status is Status.PARTIAL:
        context.log.warning("stopped cleanly: %s; the next comparison goes on where this one stopped", found.stopped_because)


def _is_due(engine: Engine, stream: Stream[Any], account: str) -> bool:
    every = stream.reconciling.every if stream.reconciling else None
    if every is None:
        return False
    with engine.runtime.database.connect() as connection:
        last = reconciliation.latest(connection, stream.key, [account])
    return not last or datetime.now(UTC) - last[0].checked_at > every * _SLACK


def _never_compared(stream: Stream[Any]) -> AssetCheckResult:
    spec = checks.reconciled_spec(stream)
    return AssetCheckResult(
        asset_key=spec.asset_key, check_name=spec.name, passed=True, description="not compared yet", metadata={"equal": 0}
    )


def reconcile_job(vendor: Vendor) -> Any:
    """The job that evaluates the vendor's ``reconciled`` checks, each run for one account."""
    return define_asset_job(
        job_name(vendor),
        selection=AssetSelection.checks(*(checks.reconciled_spec(stream).key for stream in compared_streams(vendor))),
        description=f"Compares {vendor.name}'s tables with its own lists, in the lowest lane.",
        tags={tags.MAX_RUNTIME: "21600", tags.PRIORITY: "-10"},
        executor_def=in_process_executor,
    )


def reconcile_schedule(vendor: Vendor, job: Any) -> ScheduleDefinition:
    """Daily, for each account without a comparison under way; streams compared lately are left out."""

    @schedule(
        name=job_name(vendor),
        cron_schedule=EVERY_DAY,
        execution_timezone="UTC",
        job=job,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"What is due of {vendor.name} is compared with the vendor's lists.",
    )
    def due(context: ScheduleEvaluationContext) -> Any:
        with runtime() as opened:
            accounts = opened.account_ids(vendor.account_vendors)
        requests = [
            RunRequest(
                run_config=op_config(vendor, {"account": account, "is_due_only": True}),
                tags={tags.ACCOUNT: account, tags.EXCLUSIVE: tags.exclusive(vendor.name, account, "reconcile")},
            )
            for account in accounts
            if not is_active(context.instance, tags.exclusive(vendor.name, account, "reconcile"))
        ]
        return requests or SkipReason("no account, or a comparison of each is queued or running")

    return due


def op_config(vendor: Vendor, config: dict[str, Any]) -> dict[str, Any]:
    """Run config of a vendor's job."""
    return {"ops": {f"{vendor.name}_reconciled": {"config": config}}}


def reconcile_here(
    definitions: Definitions, instance: DagsterInstance, vendor: Vendor, account: str, config: dict[str, Any]
) -> tuple[Launched, Reconciliation | None]:
    """Runs one comparison in this process and waits for it; how the run ended, and what it found last."""
    last: list[Reconciliation] = []
    with _listening(last.append):
        result = definitions.resolve_job_def(job_name(vendor)).execute_in_process(
            instance=instance,
            run_config={**op_config(vendor, {"account": account, **config}), **QUIET},
            tags={tags.ACCOUNT: account, tags.PROCESS: process_identity()},
            raise_on_error=False,
        )
    launched = Launched(result.run_id, result.success, None, None if result.success else reason(result))
    return launched, last[-1] if last else None


@contextmanager
def _listening(listener: Callable[[Reconciliation], None]) -> Iterator[None]:
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _tell(found: Reconciliation) -> None:
    for listener in _listeners:
        listener(found)
