"""Grand Shooting in Dagster: main catalogue → mirror → replicas of each link, the drain, batches, plans and registration."""

from datetime import UTC, datetime
from typing import Any

from dagster import (
    AllPartitionMapping,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetSelection,
    Config,
    DagsterInstance,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    DynamicPartitionsDefinition,
    Failure,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    TableRecord,
    asset,
    define_asset_job,
    in_process_executor,
    job,
    op,
    schedule,
    sensor,
)
from pydantic import Field

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.errors import StreamBusy
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.sync import Mode
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.assets import OWNERS
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime
from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.grand_shooting.fan_out.drain import DrainTotals, Limits, drain, lines
from sync_pipelines.vendors.grand_shooting.fan_out.plan import make_plan, read_plan, start_plan
from sync_pipelines.vendors.grand_shooting.fan_out.rounds import (
    drain_setup,
    has_work,
    link_of,
    links_of,
    mains,
    next_batch,
    read_main,
    register_links,
    run_batch,
    secondary,
    watch,
)
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import FAN_OUT
from sync_pipelines.vendors.grand_shooting.registration import register_webhooks
from sync_pipelines.vendors.grand_shooting.vendor import VENDOR, connect

LINKS = DynamicPartitionsDefinition(name="grand_shooting_links")
REPLICAS = AssetKey(["grand_shooting", "replicas"])
MIRROR = AssetDep(AssetKey(["grand_shooting", "references"]), partition_mapping=AllPartitionMapping())
"""Every replica follows the whole mirror, whichever of its days a change came in."""

WATCH_S = 4.0
"""How long a tick looks for work: Dagster ticks every five seconds only, which a webhook on an idle system would wait for."""

DRAIN_RUNTIME_S = 600
PLAN_RUNTIME_S = 4 * 3600


def drain_tags(main: str) -> dict[str, str]:
    """One drain of a main account at a time."""
    return {
        tags.ACCOUNT: main,
        tags.STREAM: FAN_OUT.name,
        tags.EXCLUSIVE: tags.exclusive(FAN_OUT.name, main, "live"),
        tags.MAX_RUNTIME: str(DRAIN_RUNTIME_S + 300),
    }


class MainConfig(Config):
    """Which main account."""

    main: str = Field(description="vendor/name of the main account")


class DrainConfig(MainConfig):
    """How long a drain works."""

    linger_s: float = Field(default=Limits().linger_s, description="Seconds it waits for more work before it ends")
    max_runtime_s: float = Field(default=DRAIN_RUNTIME_S, description="Seconds after which it ends even if there is more")


class FullConfig(MainConfig):
    """A comparison of all keys."""


class InitialiseConfig(Config):
    """Which plan to start."""

    link: str = Field(description="Id of the link")
    confirm: int | None = Field(default=None, description="The plan's id, where the brake asks for it")


@op(name="drain", description="Reads announced changes of a main account and brings every link up to the mirror.")
def drain_op(context: OpExecutionContext, config: DrainConfig, engine: Engine) -> None:
    """Drains, and notes on each link's replica what was done."""
    limits = Limits(linger_s=config.linger_s, max_runtime_s=config.max_runtime_s)
    try:
        totals = drain(drain_setup(engine.runtime, config.main, run_id=context.run_id, limits=limits))
    except StreamBusy as error:
        raise Failure(str(error), allow_retries=False) from error
    log_replicas(context, engine, totals)
    context.add_output_metadata({**totals.numbers(), "main": config.main, "stopped_because": str(totals.stopped_because)})
    context.log.info("stopped because %s: %s", totals.stopped_because, totals.numbers())


@job(name="drain_fan_out", executor_def=in_process_executor, description="One drain of the fan-out of a main account.")
def drain_fan_out() -> None:
    """See `drain_op`."""
    drain_op()


@op(description="Reads all keys of a main account twice within a week; what both readings miss is deleted.")
def compare_keys_op(context: OpExecutionContext, config: FullConfig, engine: Engine) -> None:
    """Reads everything; the mirror buries what two complete readings in a row missed."""
    totals = read_main(engine.runtime, config.main, run_id=context.run_id, mode=Mode.FULL, lane=Lane.BACKFILL)
    context.add_output_metadata({**totals.numbers(), "main": config.main})


@job(
    executor_def=in_process_executor,
    tags={tags.MAX_RUNTIME: str(PLAN_RUNTIME_S)},
    description="Finds deletions by comparing all keys.",
)
def grand_shooting_compare_keys() -> None:
    """See `compare_keys_op`."""
    compare_keys_op()


@op(description="Registers our webhooks at a main account; strangers are reported, not touched.")
def register_webhooks_op(context: OpExecutionContext, config: MainConfig, engine: Engine) -> None:
    """Lists, creates what is missing, reports strangers."""
    account = engine.runtime.account(config.main, Lane.LIVE)
    with connect(account) as client:
        done = register_webhooks(client, account.settings)
    for stranger in done.strangers:
        context.log.warning("%s: a webhook that is not ours: %s", config.main, stranger)
    context.add_output_metadata(
        {"kept": len(done.kept), "created": len(done.created), "removed": len(done.removed), "strangers": len(done.strangers)}
    )


@job(executor_def=in_process_executor, description="Registers our webhooks at a main account.")
def grand_shooting_register_webhooks() -> None:
    """See `register_webhooks_op`."""
    register_webhooks_op()


@asset(
    key=REPLICAS,
    deps=[MIRROR],
    partitions_def=LINKS,
    group_name="grand_shooting",
    kinds={"api", "postgres"},
    owners=OWNERS,
    description="What each secondary account holds of the main catalogue. Materializing a link runs its batch.",
    freshness_policy=FreshnessPolicy.time_window(fail_window=VENDOR.streams[0].freshness * 12),
    metadata={"table": "grand_shooting.replicas"},
)
def replicas(context: AssetExecutionContext, engine: Engine) -> MaterializeResult[Any]:
    """Mirror, differences, foreign changes, and a drain unless one is under way."""
    working = link_of(engine.runtime, context.partition_key)
    done = run_batch(engine.runtime, working.id, run_id=context.run.run_id)
    metadata: dict[str, Any] = {
        "fetched": done.mirror.fetched,
        "requested": done.requested,
        "compared": done.audit.compared,
        "foreign": done.audit.foreign,
        "strangers": done.audit.strangers,
    }
    try:
        totals = drain(
            drain_setup(engine.runtime, working.link.main, run_id=context.run.run_id, limits=Limits(1.0, DRAIN_RUNTIME_S))
        )
        metadata |= totals.numbers()
    except StreamBusy:
        context.log.info("a drain of %s is under way and will do the rest", working.link.main)
    return MaterializeResult(metadata={**metadata, **_lag(engine, working.id)})


@asset(
    key=AssetKey(["grand_shooting", "plans"]),
    deps=[MIRROR],
    partitions_def=LINKS,
    group_name="grand_shooting",
    kinds={"postgres"},
    owners=OWNERS,
    description="What initialising a link would do: counts and samples. Changes nothing; `initialise_link` starts it.",
    metadata={"table": "grand_shooting.plans"},
)
def plans(context: AssetExecutionContext, engine: Engine) -> MaterializeResult[Any]:
    """Compares the mirror with the whole secondary."""
    working = link_of(engine.runtime, context.partition_key)
    read_main(engine.runtime, working.link.main, run_id=context.run.run_id, lane=Lane.BACKFILL)
    with secondary(engine.runtime, working, Lane.BACKFILL) as client:
        plan = make_plan(engine.runtime.database, working, client)
    records = [TableRecord({"action": kind, "ref": str(item["ref"])}) for kind, items in plan.samples.items() for item in items]
    return MaterializeResult(
        metadata={
            **plan.counts,
            "plan": plan.id,
            "calls": plan.calls,
            "brake": plan.brake or "not needed",
            **({"samples": MetadataValue.table(records)} if records else {}),
        }
    )


@op(description="Starts a link's latest plan; the drain carries it out in the lowest lane.")
def initialise_op(context: OpExecutionContext, config: InitialiseConfig, engine: Engine) -> None:
    """Starts the plan, or says what to confirm."""
    with engine.runtime.database.transaction() as connection:
        plan = read_plan(connection, config.link)
        if plan is None:
            raise Failure(f"link {config.link} has no plan yet; materialize grand_shooting/plans for it", allow_retries=False)
        requested = start_plan(connection, plan, confirmed=config.confirm, run_id=context.run_id)
    context.add_output_metadata({"requested": requested, "plan": plan.id, **plan.counts})


@job(executor_def=in_process_executor, description="Initialises a secondary account by its latest plan.")
def initialise_link() -> None:
    """See `initialise_op`."""
    initialise_op()


batch_job = define_asset_job(
    "grand_shooting_batch",
    selection=AssetSelection.assets(REPLICAS),
    executor_def=in_process_executor,
    description="The batch of one link.",
)
plan_job = define_asset_job(
    "grand_shooting_plan",
    selection=AssetSelection.assets(AssetKey(["grand_shooting", "plans"])),
    executor_def=in_process_executor,
    description="Plans the initialisation of one link.",
)


@sensor(
    job=drain_fan_out,
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Requests at most one drain run per main account while there is work it may do.",
)
def fan_out_work(context: SensorEvaluationContext) -> Any:
    """Makes the configured links known, looks for work until shortly before the next tick, and requests; nothing else."""
    with runtime() as opened:
        for main in mains(opened):
            register_links(opened, main)
        waiting = watch(lambda: _undrained(opened, context.instance), WATCH_S)
    return [
        RunRequest(run_config={"ops": {"drain": {"config": {"main": main}}}}, tags=drain_tags(main)) for main in waiting
    ] or SkipReason("nothing to do, or a drain is under way")


def _undrained(opened: Runtime, instance: DagsterInstance) -> list[str]:
    """Main accounts with work and without a drain."""
    return [
        main
        for main in mains(opened)
        if has_work(opened.database, main, [link.id for link in links_of(opened, main) if link.active])
        and not is_active(instance, drain_tags(main)[tags.EXCLUSIVE])
    ]


@sensor(
    job=batch_job,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts each link's batch at its own times and zone; a time missed while nothing ran is made up for once.",
)
def batch_times(context: SensorEvaluationContext) -> Any:
    """Looks at the time since its last tick."""
    now = datetime.now(UTC)
    since = datetime.fromisoformat(context.cursor) if context.cursor else now
    with runtime() as opened:
        links = links_of(opened)
    register_partitions(context.instance, [link.id for link in links])
    due = [link for link in links if (at := next_batch(link, since)) is not None and at <= now]
    requests = [
        RunRequest(
            partition_key=link.id,
            tags={
                tags.ACCOUNT: link.main,
                tags.STREAM: "grand_shooting/replicas",
                tags.EXCLUSIVE: tags.exclusive("grand_shooting/replicas", link.id, "live"),
                tags.MAX_RUNTIME: str(PLAN_RUNTIME_S),
            },
        )
        for link in due
        if not is_active(context.instance, tags.exclusive("grand_shooting/replicas", link.id, "live"))
    ]
    return SensorResult(run_requests=requests, cursor=now.isoformat())


@schedule(
    cron_schedule="0 3 * * 0,6",
    job=grand_shooting_compare_keys,
    default_status=DefaultScheduleStatus.RUNNING,
    description="Two complete readings each weekend: what both miss is deleted.",
)
def weekly_key_comparison(context: ScheduleEvaluationContext) -> Any:
    """One run per main account."""
    del context
    with runtime() as opened:
        accounts = mains(opened)
    return [
        RunRequest(
            run_config={"ops": {"compare_keys_op": {"config": {"main": main}}}},
            tags={tags.ACCOUNT: main, tags.EXCLUSIVE: tags.exclusive("grand_shooting/references", main, "backfill")},
        )
        for main in accounts
    ] or SkipReason("no link is configured")


@schedule(
    cron_schedule="15 4 * * *",
    job=grand_shooting_register_webhooks,
    default_status=DefaultScheduleStatus.RUNNING,
    description="Makes sure our webhooks are still registered, for main accounts with a webhook_url.",
)
def daily_webhook_registration(context: ScheduleEvaluationContext) -> Any:
    """One run per main account that has an address to register."""
    del context
    with runtime() as opened:
        accounts = [main for main in mains(opened) if opened.account(main, Lane.LIVE).settings.webhook_url]
    return [
        RunRequest(run_config={"ops": {"register_webhooks_op": {"config": {"main": main}}}}, tags={tags.ACCOUNT: main})
        for main in accounts
    ] or SkipReason("no main account has settings.webhook_url")


def register_partitions(instance: DagsterInstance, links: list[str]) -> None:
    """Makes links known as partitions; removed links keep their history."""
    name = str(LINKS.name)
    new = sorted(set(links) - set(instance.get_dynamic_partitions(name)))
    if new:
        instance.add_dynamic_partitions(name, new)


def log_replicas(context: OpExecutionContext, engine: Engine, totals: DrainTotals) -> None:
    """Notes on each link's replica that a drain moved it."""
    for link, done in totals.links.items():
        if done.claimed:
            context.log_event(
                AssetMaterialization(
                    REPLICAS,
                    partition=link,
                    metadata={
                        "written": done.written,
                        "deleted": done.deleted,
                        "dropped": done.dropped,
                        "retried": done.retried,
                        "dead_lettered": done.dead_lettered,
                        "bulk_calls": done.bulk_calls,
                        **_lag(engine, link),
                    },
                )
            )


def _lag(engine: Engine, link: str) -> dict[str, Any]:
    waiting, oldest = lines(engine.runtime.database, [link])[link]
    return {"waiting": waiting, "lag_s": round(oldest, 3)}


defs = vendor_definitions(
    VENDOR,
    assets=[replicas, plans],
    jobs=[
        drain_fan_out,
        grand_shooting_compare_keys,
        grand_shooting_register_webhooks,
        initialise_link,
        batch_job,
        plan_job,
    ],
    schedules=[weekly_key_comparison, daily_webhook_registration],
    sensors=[fan_out_work, batch_times],
)
