"""The suppliers in Dagster: assets of every table, the request queue with its schedules, scores, maintenance, plausibility."""

from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetSelection,
    Config,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    Failure,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    TableRecord,
    asset,
    asset_check,
    define_asset_job,
    in_process_executor,
    job,
    op,
    schedule,
    sensor,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.sync import sync_stream
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.orchestration import partitions, tags
from sync_pipelines.orchestration.assets import OWNERS, metadata_of
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime
from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.suppliers import completion, health, requests, session
from sync_pipelines.vendors.suppliers.beats import CRONS
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines.vendors.suppliers.connectors import CONNECTORS
from sync_pipelines.vendors.suppliers.streams import MAX_RUNTIME, STREAMS
from sync_pipelines.vendors.suppliers.vendor import VENDOR

PLANNED = ("stock", "prices")
"""Tables whose plan of calls is shown with their materializations."""


class RequestsConfig(Config):
    """Whose requests a run works on."""

    account: str = Field(description="vendor/name of a supplier account")


@op(description="Works on all due sync requests of one supplier account, most urgent kind first, and sends completion webhooks.")
def work_off_requests(context: OpExecutionContext, config: RequestsConfig, engine: Engine) -> None:
    """One run of the request queue of one account."""
    account, database = config.account, engine.runtime.database
    resolved = engine.runtime.account(account, Lane.LIVE)
    connector = CONNECTORS[resolved.vendor]

    def run(table: str) -> SyncTotals:
        stream = STREAMS[table]
        with VENDOR.connect(resolved) as reading:
            totals = sync_stream(
                stream, database=database, account=account, client=reading, run_id=context.run_id, settings=resolved.settings
            )
        metadata = metadata_of(totals) | _plan_metadata(engine.runtime, account, table)
        if totals.status is Status.COMPLETE:
            context.log_event(AssetMaterialization(AssetKey(["suppliers", table]), partition=account, metadata=metadata))
        else:
            context.log.info("%s: %s; goes on at %s", stream.key, totals.stopped_because, totals.resume_at)
        return totals

    touched = requests.work_off(database, account, connector, resolved.settings, run, run_id=context.run_id)
    if resolved.settings.completion_webhook:
        sent = completion.deliver(database, account, resolved.settings.completion_webhook)
        context.log.info("completion webhooks: %s", sent or "none due")
    elif abandoned := completion.abandon(database, account):
        context.log.warning("%s: %d completion webhooks are given up, as none is configured any more", account, abandoned)
    failed = [number for number, status in touched if status == "failed"]
    if failed:
        raise Failure(f"{account}: requests {failed} failed; suppliers.sync_requests says why", allow_retries=False)


@job(
    executor_def=in_process_executor,
    tags={tags.MAX_RUNTIME: tags.seconds(MAX_RUNTIME)},
    description="Works on the sync requests of one supplier account.",
)
def suppliers_requests() -> None:
    """See `work_off_requests`."""
    work_off_requests()


class RequestConfig(RequestsConfig):
    """What is asked for."""

    kind: str = Field(description="supplier_api, inventory_update, price_update or order_sync")
    priority: int = Field(default=0, description="Higher first, within the kind")


@op(description="Puts a sync request into the queue; the sensor suppliers_requests_due starts the work.")
def request_supplier_sync(context: OpExecutionContext, config: RequestConfig, engine: Engine) -> None:
    """See `requests.request_sync`."""
    number = _add_request(engine.runtime, config)
    context.add_output_metadata({"request": number, "account": config.account, "kind": config.kind})


def _add_request(opened: Runtime, config: RequestConfig) -> int:
    if config.account not in opened.account_ids(VENDOR.account_vendors):
        raise Failure(f"{config.account} is no configured supplier account", allow_retries=False)
    if config.kind not in set(Kind):
        raise Failure(f"{config.kind} is none of {', '.join(Kind)}", allow_retries=False)
    number = requests.request_sync(opened.database, config.account, Kind(config.kind), by="ui", priority=config.priority)
    assert number is not None  # noqa: S101  # only a request that waits for idleness may not be made
    return number


@job(executor_def=in_process_executor, description="Asks for one kind of sync of one supplier account, as the command does.")
def suppliers_request() -> None:
    """See `request_supplier_sync`."""
    request_supplier_sync()


@sensor(
    job=suppliers_requests,
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts a run for each supplier account with due requests or webhooks and none under way.",
)
def suppliers_requests_due(context: SensorEvaluationContext) -> Any:
    """Counts and requests, nothing else."""
    with runtime() as opened:
        known = set(opened.account_ids(VENDOR.account_vendors))
        due = (set(requests.due_accounts(opened.database)) | completion.due_accounts(opened.database)) & known
    started = [
        RunRequest(
            run_config={"ops": {"work_off_requests": {"config": {"account": account}}}},
            tags={tags.ACCOUNT: account, tags.EXCLUSIVE: _exclusive(account)},
        )
        for account in sorted(due)
        if not is_active(context.instance, _exclusive(account))
    ]
    return started or SkipReason("nothing is due, or a run is under way")


def _exclusive(account: str) -> str:
    return f"suppliers/requests@{account}"


def _request_schedule(kind: Kind) -> ScheduleDefinition:
    @schedule(
        name=f"suppliers_{kind}",
        cron_schedule=CRONS[kind],
        execution_timezone="UTC",
        job=suppliers_requests,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Asks for {kind} of every supplier account that can and has no such request open.",
    )
    def ask(context: ScheduleEvaluationContext) -> Any:
        with runtime() as opened:
            accounts = opened.account_ids(VENDOR.account_vendors)
            partitions.register_accounts(context.instance, VENDOR, accounts)
            asked = [account for account in accounts if _ask(opened, account, kind)]
        return SkipReason(f"asked for {kind} of {', '.join(asked) or 'nobody'}; the sensor suppliers_requests_due starts the work")

    return ask


def _ask(opened: Runtime, account: str, kind: Kind) -> bool:
    if kind not in CONNECTORS[account.split("/", 1)[0]].kinds:
        return False
    return requests.request_sync(opened.database, account, kind, by="schedule", if_idle=True) is not None


@asset(
    key=AssetKey(["suppliers", "product_scores"]),
    deps=[AssetKey(["suppliers", table]) for table in ("products", "stock", "prices")],
    group_name="suppliers",
    kinds={"postgres", "pandas"},
    owners=OWNERS,
    partitions_def=partitions.accounts_of(VENDOR),
    description="How good each product has lately been to sell, 0 to 100, with the inputs it was computed from.",
)
def product_scores(context: AssetExecutionContext, engine: Engine) -> MaterializeResult[Any]:
    """See `score`."""
    from sync_pipelines.vendors.suppliers import score  # brings pandas, half a second of every start

    return MaterializeResult(metadata={"scored": score.update(engine.runtime.database, context.partition_key)})


scores_job = define_asset_job(
    "suppliers_scores",
    AssetSelection.assets(product_scores),
    executor_def=in_process_executor,
    description="Scores all products anew.",
)


@schedule(
    job=scores_job, cron_schedule="30 5 * * *", execution_timezone="UTC", default_status=DefaultScheduleStatus.RUNNING,
    description="Daily product scores of every supplier account.",
)  # fmt: skip
def suppliers_scores_daily(context: ScheduleEvaluationContext) -> Any:
    """One run an account."""
    with runtime() as opened:
        accounts = opened.account_ids(VENDOR.account_vendors)
        partitions.register_accounts(context.instance, VENDOR, accounts)
    return [RunRequest(partition_key=account, tags={tags.ACCOUNT: account}) for account in accounts] or SkipReason(
        "no supplier account"
    )


@op(description="Drops finished requests and history past their retention.")
def drop_old_rows(context: OpExecutionContext, engine: Engine) -> None:
    """All accounts, by their own settings."""
    for account in engine.runtime.account_ids(VENDOR.account_vendors):
        settings = engine.runtime.account(account, Lane.BACKFILL).settings
        with engine.runtime.database.transaction() as connection:
            dropped = requests.drop_old(connection, account, settings)
        context.log.info("%s: %d rows dropped", account, dropped)


@job(executor_def=in_process_executor, description="Retention of the suppliers' requests and history.")
def suppliers_maintenance() -> None:
    """See `drop_old_rows`."""
    drop_old_rows()


@asset_check(
    asset=AssetKey(["suppliers", "stock"]),
    name="plausible",
    description="No list answers implausibly, nothing is held by the brake, and no stock has aged into unknown",
)
def stock_is_plausible() -> AssetCheckResult:
    """Names accounts, lists and holds, so that an alert does."""
    with runtime() as opened:
        findings = health.findings(opened.database)
    return AssetCheckResult(
        passed=not findings,
        severity=AssetCheckSeverity.ERROR,
        description="; ".join(findings[:10]) or "everything is plausible",
        metadata={"findings": len(findings), "which": MetadataValue.md("\n".join(f"- {text}" for text in findings[:50]) or "none")},
    )


checks_job = define_asset_job(
    "suppliers_checks",
    AssetSelection.checks(stock_is_plausible),
    executor_def=in_process_executor,
    description="Looks for implausible supplier lists, held changes and stock that has become unknown.",
)


def _plan_metadata(opened: Runtime, account: str, table: str) -> dict[str, Any]:
    """The plan of the next scan and the freshness of each part, as a metadata table."""
    if table not in PLANNED:
        return {}
    plan = session.describe_plan(opened.database, CONNECTORS[account.split("/", 1)[0]], account, table)
    limited = [row for row in plan if row["worst_age_s"] is not None]
    if not limited:
        return {}
    records = [TableRecord({name: _cell(value) for name, value in row.items()}) for row in limited]
    return {"plan": MetadataValue.table(records), "worst_age_s": max(row["worst_age_s"] for row in limited)}


def _cell(value: Any) -> Any:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else value


REQUEST_SCHEDULES = {kind: _request_schedule(kind) for kind in Kind}

defs = Definitions.merge(
    vendor_definitions(
        VENDOR,
        assets=[product_scores],
        jobs=[suppliers_requests, suppliers_request, scores_job, suppliers_maintenance, checks_job],
        schedules=[
            *REQUEST_SCHEDULES.values(),
            suppliers_scores_daily,
            ScheduleDefinition(
                job=suppliers_maintenance,
                cron_schedule="45 3 * * *",
                execution_timezone="UTC",
                default_status=DefaultScheduleStatus.RUNNING,
            ),
            ScheduleDefinition(
                job=checks_job, cron_schedule="*/15 * * * *", execution_timezone="UTC", default_status=DefaultScheduleStatus.RUNNING
            ),
        ],
        sensors=[suppliers_requests_due],
    ),
    Definitions(asset_checks=[stock_is_plausible]),
)
