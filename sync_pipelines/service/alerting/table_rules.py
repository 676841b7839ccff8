"""What the rules find in our own tables: queues, coverage, reconciliation, brakes, dead letters, secrets and quotas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sync_pipelines.core import queue
from sync_pipelines.core.alerts import Finding, Look, Severity
from sync_pipelines.core.budget import BucketReport, read_budgets
from sync_pipelines.core.holds import holds
from sync_pipelines.core.oauth import ACCESS_TOKEN, REFRESH_TOKEN, read_token_ages
from sync_pipelines.core.partitions import existing_days
from sync_pipelines.service.alerting.words import moment, plural, span

LONG_BLOCK = timedelta(minutes=10)
"""A vendor that blocks an account for longer than this starves it; shorter blocks are how quotas work."""

_HOLES = """
select account, stream, count(*), min(lower(hole)), extract(epoch from sum(upper(hole) - lower(hole)))::float8
from sync.windows w
cross join lateral unnest(
    case when isempty(confirmed) or upper(confirmed) <= origin then '{}'::tstzmultirange
    else tstzmultirange(tstzrange(origin, upper(confirmed))) - confirmed end
) as hole
group by account, stream order by account, stream
"""

_RECONCILED = """
select r.account, r.stream, r.run_id, sum(r.different)::bigint, sum(r.repaired)::bigint, max(r.checked_at)
from sync.reconciliations r
join (select distinct on (account, stream) account, stream, run_id from sync.reconciliations
      order by account, stream, checked_at desc) latest using (account, stream, run_id)
group by r.account, r.stream, r.run_id having sum(r.different) > 0
order by r.account, r.stream
"""

_LETTERS = """
select account, subject, count(*), min(opened_at), (array_agg(run_id order by last_seen_at desc))[1],
       (array_agg(distinct cause))[1:3]
from sync.dead_letters where state = 'open' group by account, subject order by account, subject
"""

_EXPIRING = """
select account, name, expires_at from sync.secrets
where expires_at < %s and name <> all(%s) order by account, name
"""

_REST = "select exists (select from {})"


def long_queues(look: Look) -> Iterator[Finding]:
    """Queues with more waiting than is healthy."""
    waiting: dict[str, int] = {}
    longest: dict[str, tuple[int, str]] = {}
    for line in queue.counts(look.connection, most=look.queue_waiting + 1):
        waiting[line.queue] = waiting.get(line.queue, 0) + line.waiting
        longest[line.queue] = max(longest.get(line.queue, (0, "")), (line.waiting, line.account))
    for name, count in sorted(waiting.items()):
        if count > look.queue_waiting:
            yield Finding(
                f"queue {name}",
                f"queue {name}: more than {look.queue_waiting:,} tasks wait, most of them for {longest[name][1]}",
            )


def coverage_holes(look: Look) -> Iterator[Finding]:
    """Time within a stream's history that is not known to be stored."""
    for account, stream, count, first, seconds in look.connection.execute(_HOLES).fetchall():
        yield Finding(
            f"{stream} of {account}",
            f"{stream} of {account}: {plural(count, 'hole')} in the confirmed time, {span(timedelta(seconds=seconds))} together,"
            f" the first from {moment(first)}",
        )


def differences(look: Look) -> Iterator[Finding]:
    """Records that the last reconciliation could not make equal."""
    for account, stream, run_id, different, repaired, at in look.connection.execute(_RECONCILED).fetchall():
        yield Finding(
            f"{stream} of {account}",
            f"{stream} of {account}: {plural(different, 'record')} different from the vendor's list at {moment(at)},"
            f" {repaired:,} repaired",
            run_id=run_id,
            count=different,
        )


def pulled_brakes(look: Look) -> Iterator[Finding]:
    """Implausible changes that wait for a person."""
    for hold in holds(look.connection):
        if hold.confirmed_at is None:
            figures = hold.detail if isinstance(hold.detail, dict) else {}
            volume = ", ".join(f"{name} {value:,}" for name, value in figures.items() if type(value) is int)
            yield Finding(
                f"{hold.subject} of {hold.account}, {hold.kind}",
                f"{hold.subject} of {hold.account}: {hold.kind} are held since {moment(hold.opened_at)}"
                f"{f' ({volume})' if volume else ''}; look, then `sync-pipelines holds confirm {hold.id}`",
            )


def dead_letters(look: Look) -> Iterator[Finding]:
    """Records and tasks that need a person."""
    for account, subject, count, since, run_id, causes in look.connection.execute(_LETTERS).fetchall():
        yield Finding(
            f"{subject} of {account}",
            f"{subject} of {account}: {plural(count, 'dead letter')} open, the oldest since {moment(since)} ({', '.join(causes)})",
            run_id=run_id,
            count=count,
        )


def expiring_secrets(look: Look) -> Iterator[Finding]:
    """Secrets and refresh tokens that end soon, or were refused."""
    until = look.now + look.expiry
    rows = look.connection.execute(_EXPIRING, [until, [ACCESS_TOKEN, REFRESH_TOKEN]]).fetchall()
    for account, name, ends in rows:
        yield _ending(look.now, f"secret {name}", account or "all accounts", ends, "set a new one")
    for ages in read_token_ages(look.database):
        if ages.refused_at is not None:
            yield Finding(
                f"authorization of {ages.account}",
                f"{ages.account}: the vendor refuses to renew the access token since {moment(ages.refused_at)};"
                " authorize the account again",
                severity=Severity.ERROR,
            )
        elif ages.refresh_expires_at is not None and ages.refresh_expires_at < until:
            yield _ending(look.now, "refresh token", ages.account, ages.refresh_expires_at, "authorize the account again")


def _ending(now: datetime, what: str, account: str, ends: datetime, fix: str) -> Finding:
    is_over = ends <= now
    when = f"ended {moment(ends)}" if is_over else f"ends {moment(ends)}, in {span(ends - now)}"
    return Finding(f"{what} of {account}", f"{account}: the {what} {when}; {fix}", severity=Severity.ERROR if is_over else None)


def starved_budgets(look: Look) -> Iterator[Finding]:
    """Accounts that get no quota although work waits for it, or that a vendor has blocked for long."""
    for report in read_budgets(look.database):
        waiting = sum(report.waiting.values())
        blocked_for = report.blocked_until - look.now if report.blocked_until else timedelta(0)
        if blocked_for > LONG_BLOCK or (waiting and report.calls_left < 1):
            until = f"blocked until {moment(report.blocked_until)}" if report.blocked_until else "nothing is left"
            yield Finding(
                f"quota {report.bucket} of {report.account}",
                f"{report.account}: quota {report.bucket} ({_allowed(report)}) is starved: {until}, {waiting} wait,"
                f" full again {moment(report.full_at)}",
            )


def _allowed(report: BucketReport) -> str:
    period = span(timedelta(seconds=report.period_s))
    return f"{report.limit:g} calls per {period}" if report.limit is not None else f"one call every {report.period_s:g} s"


def partition_trouble(look: Look) -> Iterator[Finding]:
    """Day partitions that are not made ahead; their rows then pile up where nothing can be dropped."""
    tomorrow = (look.now.astimezone(UTC) + timedelta(days=1)).date()
    if look.now - look.started_at < timedelta(minutes=15):
        return
    for table in ("archive", "deliveries", "tasks_done"):
        days = existing_days(look.connection, table)
        if days and max(days) < tomorrow - timedelta(days=1):
            yield Finding(f"sync.{table}", f"sync.{table} has no partition for today, the last one is for {max(days)}")


def nothing(_look: Look) -> Iterator[Finding]:
    """For rules whose findings come from the watchdog itself."""
    yield from ()
