"""The fan-out from the outside: what is configured, put together for a main account, and the rounds that jobs and commands run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.vendors.grand_shooting.client import GrandShootingClient
from sync_pipelines.vendors.grand_shooting.fan_out.audit import AuditTotals, audit
from sync_pipelines.vendors.grand_shooting.fan_out.drain import DrainSetup, Limits, owner
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink, register
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import CHANGES, FAN_OUT, request_differences
from sync_pipelines.vendors.grand_shooting.settings import Link
from sync_pipelines.vendors.grand_shooting.streams import REFERENCES
from sync_pipelines.vendors.grand_shooting.vendor import connect

LOOK_S = 0.25
"""Between two looks for work; one costs a millisecond."""

_HAS_WORK = """
select exists (select 1 from sync.tasks where queue = %(changes)s and account = %(main)s
               and (state in ('ready', 'new') or due_at <= clock_timestamp()))
    or exists (select 1 from grand_shooting.links l where l.link = any(%(links)s) and l.paused_at is null
               and (l.open_until is null or l.open_until <= clock_timestamp())
               and exists (select 1 from sync.tasks t where t.queue = %(fan_out)s and t.account = l.link
                           and (t.state in ('ready', 'new') or t.due_at <= clock_timestamp())))
"""


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """What a link's batch found."""

    mirror: SyncTotals
    requested: int
    audit: AuditTotals


def links_of(runtime: Runtime, main: str | None = None) -> list[Link]:
    """The configured links, or those of one main account."""
    return [link for link in runtime.links if main is None or link.main == main]


def link_of(runtime: Runtime, link_id: str) -> WorkingLink:
    """One link, compiled.

    Raises:
        ConfigError: There is none of that id.
        LinkInvalid: It cannot be activated.
    """
    for link in runtime.links:
        if link.id == link_id:
            return WorkingLink.of(link)
    known = ", ".join(link.id for link in runtime.links) or "none"
    raise ConfigError(f"there is no link {link_id}; configured are: {known}")


def mains(runtime: Runtime) -> list[str]:
    """The main accounts of all links."""
    return sorted({link.main for link in runtime.links})


def drain_setup(runtime: Runtime, main: str, *, run_id: str, limits: Limits | None = None) -> DrainSetup:
    """Everything a drain of a main account needs."""
    working = [WorkingLink.of(link) for link in links_of(runtime, main)]
    accounts = [main, *(link.link.secondary for link in working if link.link.active)]
    paces = {link.link.secondary: link.link.requests_per_second for link in working}
    return DrainSetup(
        database=runtime.database,
        main=main,
        links=working,
        settings={account: runtime.account(account, Lane.LIVE).settings for account in accounts},
        connect=lambda account, lane: connect(runtime.account(account, lane), paces.get(account), owner=owner(main)),
        run_id=run_id,
        limits=limits or Limits(),
    )


def register_links(runtime: Runtime, main: str) -> None:
    """Makes the configured links known to the database, so that stored changes become tasks for them."""
    with runtime.database.transaction() as connection:
        register(connection, [WorkingLink.of(link) for link in links_of(runtime, main)], main)


def has_work(database: Database, main: str, links: Sequence[str]) -> bool:
    """Whether a drain would find something it may do now: paused links and open circuits do not count."""
    with database.connect() as connection:
        row = connection.execute(
            _HAS_WORK, {"changes": CHANGES.name, "fan_out": FAN_OUT.name, "main": main, "links": list(links)}
        ).fetchone()
    return bool(row and row[0])


def watch(
    find: Callable[[], list[str]],
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Looks again and again until something is found or the time is up; at least once."""
    end = monotonic() + seconds
    while not (found := find()) and monotonic() + LOOK_S < end:
        sleep(LOOK_S)
    return found


def read_main(runtime: Runtime, main: str, *, run_id: str, mode: Mode = Mode.INCREMENTAL, lane: Lane = Lane.LIVE) -> SyncTotals:
    """Brings the mirror up to date; changes become tasks of the links that follow at once."""
    register_links(runtime, main)
    account = runtime.account(main, lane)
    with connect(account) as client:
        return sync_stream(
            REFERENCES,
            database=runtime.database,
            account=main,
            client=client,
            run_id=run_id,
            settings=account.settings,
            request=Request(mode=mode, lane=lane, start=account.settings.start),
        )


def run_batch(runtime: Runtime, link_id: str, *, run_id: str) -> BatchTotals:
    """A link's batch: mirror, then a task for everything the link has not taken notice of, then a search for foreign changes."""
    working = link_of(runtime, link_id)
    mirror = read_main(runtime, working.link.main, run_id=run_id)
    with runtime.database.transaction() as connection:
        requested = request_differences(connection, working.id, working.link.main, working.configuration)
    with secondary(runtime, working, Lane.BACKFILL) as client:
        found = audit(
            runtime.database, working, client, days=runtime.account(working.link.secondary, Lane.LIVE).settings.date_overlap_days
        )
    return BatchTotals(mirror, requested, found)


@contextmanager
def secondary(runtime: Runtime, working: WorkingLink, lane: Lane) -> Iterator[GrandShootingClient]:
    """A client of a link's secondary account."""
    with connect(runtime.account(working.link.secondary, lane), working.link.requests_per_second) as client:
        yield client


def next_batch(link: Link, after: datetime) -> datetime | None:
    """When a link's batch is due next after an instant (aware); ``None`` without batch or while it is inactive."""
    from zoneinfo import ZoneInfo

    from cronsim import CronSim

    if link.batch is None or not link.active:
        return None
    return next(iter(CronSim(link.batch.schedule, after.astimezone(ZoneInfo(link.batch.timezone)))), None)
