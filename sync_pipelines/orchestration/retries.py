"""Retries dead letters by themselves: a job per retry queue, requested only while letters are due."""

from functools import partial
from typing import Any

from dagster import (
    Config,
    DefaultScheduleStatus,
    JobDefinition,
    OpExecutionContext,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    in_process_executor,
    job,
    op,
    schedule,
)
from pydantic import Field

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.resend import Resent, retry_due, retry_letters
from sync_pipelines.core.vendor import AccountContext, Vendor
from sync_pipelines.orchestration import tags
from sync_pipelines.orchestration.engine import Engine
from sync_pipelines.orchestration.schedules import is_active, runtime

EVERY = "*/10 * * * *"


class RetryConfig(Config):
    """Whose letters to retry."""

    account: str = Field(description="vendor/name")


def queues_of(vendor: Vendor) -> list[RetryQueue]:
    """The retry queues that a vendor's streams and other work name."""
    named = {stream.retry_queue for stream in vendor.streams if stream.retry_queue} | {retry.queue for retry in vendor.retries}
    return sorted(named, key=lambda queue: queue.name)


def retry_all(vendor: Vendor, queue: RetryQueue, account: AccountContext, client: Any, *, run_id: str) -> Resent:
    """Retries whatever is due in a queue for one account: streams' records, then other work."""
    done = Resent()
    where: dict[str, Any] = {"database": account.database, "account": account.id, "run_id": run_id}
    for stream in vendor.streams:
        if stream.retry_queue == queue:
            done.add(retry_due(stream, settings=account.settings, client=client, **where))
    for other in vendor.retries:
        if other.queue == queue:
            done.add(retry_letters(other.subject, queue, partial(other.again, account, client, run_id), **where))
    return done


def retry_job(vendor: Vendor, queue: RetryQueue) -> JobDefinition:
    """The job that retries a queue's due letters for one account."""
    name = f"retry_{queue.name.replace('-', '_')}"

    @op(name=f"{name}_op", description=f"Tries the due letters of {queue.name} once more, in the retry lane.")
    def retry(context: OpExecutionContext, config: RetryConfig, engine: Engine) -> None:
        account = engine.runtime.account(config.account, Lane.RETRY)
        with vendor.connect(account) as client:
            done = retry_all(vendor, queue, account, client, run_id=context.run_id)
        context.log.info(
            "%s resolved, %s to be tried again, %s open, %s postponed", done.resolved, done.retrying, done.opened, done.postponed
        )
        context.add_output_metadata(
            {"resolved": done.resolved, "retrying": done.retrying, "opened": done.opened, "postponed": done.postponed}
        )

    @job(name=name, executor_def=in_process_executor, tags={tags.MAX_RUNTIME: "1200"}, description=f"Retries {queue.name}.")
    def retries() -> None:
        retry()

    return retries


def retry_schedule(vendor: Vendor, queue: RetryQueue, target: JobDefinition) -> ScheduleDefinition:
    """Every ten minutes, for each account with due letters and no retry under way."""

    @schedule(
        name=f"{target.name}_schedule",
        cron_schedule=EVERY,
        job=target,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Retries {queue.name} while letters are due.",
    )
    def due(context: ScheduleEvaluationContext) -> Any:
        with runtime() as opened, opened.database.connect() as connection:
            rows = connection.execute(
                "SELECT DISTINCT account FROM sync.dead_letters WHERE queue = %s AND state = 'retrying'"
                " AND next_attempt_at <= clock_timestamp()",
                [queue.name],
            ).fetchall()
            known = set(opened.account_ids(vendor.account_vendors))
        requests = []
        for (account,) in rows:
            exclusive = tags.exclusive(queue.name, account, "retry")
            if account in known and not is_active(context.instance, exclusive):
                requests.append(
                    RunRequest(
                        run_config={"ops": {f"{target.name}_op": {"config": {"account": account}}}},
                        tags={tags.ACCOUNT: account, tags.EXCLUSIVE: exclusive},
                    )
                )
        return requests or SkipReason("no letter is due")

    return due
