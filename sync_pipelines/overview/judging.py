"""From facts to a judgement: how one stream of one account is doing, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_pipelines.core.windows import Window, subtract
from sync_pipelines.overview.dagster_tables import Run
from sync_pipelines.overview.ledgers import Confirmed, Day, Rows
from sync_pipelines.overview.models import Coverage, Health, RunState, Span, StreamState, Trust
from sync_pipelines.overview.volumes import filled, summed
from sync_pipelines.overview.watched import WatchedStream

DAYS = 30
SHOWN_SPANS = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one stream of one account.

    Attributes:
        now: The database's time, aware UTC.
        days: Its volumes of the last 30 days, oldest first.
        runs: Its newest runs, newest first.
        materialized_at: When its asset was last materialized, for runs that work on several streams.
        confirmed: Its windows; ``None`` for snapshots and before the first sync.
        rows: How many rows it has.
        letters: Unresolved dead letters by state.
        holds: Open holds.
        trust: Its last reconciliation.
        is_stopped: Whether a person stopped its schedule.
    """

    now: datetime
    days: tuple[Day, ...]
    runs: tuple[Run, ...]
    materialized_at: datetime | None
    confirmed: Confirmed | None
    rows: Rows
    letters: Mapping[str, int]
    holds: int
    trust: Trust | None
    is_stopped: bool


def stream_state(item: WatchedStream, facts: Facts, *, run_state: Callable[[Run], RunState]) -> StreamState:
    """Judges one stream of one account."""
    ended = [run for run in facts.runs if run.ended_at is not None]
    last_run = ended[0] if ended else None
    success = _last_success(facts, ended)
    coverage = _coverage(facts.confirmed) if item.stream.is_windowed and facts.confirmed else None
    holes = _holes(facts.confirmed) if facts.confirmed else []
    until = coverage.confirmed_until if coverage else None
    found = _findings(item, facts, last_run, success, until, len(holes))
    today = facts.now.date()
    return StreamState(
        stream=item.stream.key,
        account=item.account,
        health=min((health for health, _ in found), key=lambda health: health.rank, default=Health.OK),
        reasons=[reason for _, reason in sorted(found, key=lambda one: one[0].rank)],
        is_running=any(run.status in {"STARTING", "STARTED", "CANCELING"} for run in facts.runs),
        rows=facts.rows.living,
        rows_are_estimated=facts.rows.is_estimated,
        tombstones=facts.rows.tombstones,
        last_written_at=facts.rows.last_written_at,
        last_success_at=success,
        last_run=run_state(last_run) if last_run else None,
        confirmed_until=until,
        lag_s=round((facts.now - until).total_seconds(), 1) if until else None,
        next_beat_at=None if facts.is_stopped else item.next_beat(facts.now),
        is_stopped=facts.is_stopped,
        freshness_s=item.stream.freshness.total_seconds(),
        last_7_days=summed(facts.days, today, 7),
        last_30_days=summed(facts.days, today, DAYS),
        days=filled([day.volume for day in facts.days], today - timedelta(days=DAYS - 1), today),
        coverage=coverage,
        holes=len(holes),
        open_letters=facts.letters.get("open", 0),
        retrying_letters=facts.letters.get("retrying", 0),
        holds=facts.holds,
        trust=facts.trust,
    )


def _last_success(facts: Facts, ended: list[Run]) -> datetime | None:
    known = [run.ended_at for run in ended if run.status == "SUCCESS" and run.ended_at]
    known += [facts.materialized_at] if facts.materialized_at else []
    if not known and facts.confirmed and facts.confirmed.windows:
        known.append(facts.confirmed.updated_at)
    return max(known, default=None)


def _findings(
    item: WatchedStream, facts: Facts, last_run: Run | None, success: datetime | None, until: datetime | None, holes: int
) -> list[tuple[Health, str]]:
    found: list[tuple[Health, str]] = []
    if last_run and last_run.status == "FAILURE" and (success is None or last_run.ended_at is None or last_run.ended_at > success):
        found.append((Health.FAILING, "the last run failed"))
    if success is None and last_run is None:
        found.append((Health.NEW, "has not run yet"))
    elif not facts.is_stopped:
        if success is None or facts.now - success > item.stream.freshness:
            found.append((Health.LATE, "no success within its freshness"))
        elif until and facts.now - until > item.stream.freshness + item.stream.safety_lag:
            found.append((Health.LATE, "runs succeed, but the confirmed time stands still"))
    if holes:
        found.append((Health.ATTENTION, _count(holes, "hole in the confirmed time", "holes in the confirmed time")))
    if facts.letters.get("open"):
        found.append((Health.ATTENTION, _count(facts.letters["open"], "open dead letter", "open dead letters")))
    if facts.holds:
        found.append((Health.ATTENTION, _count(facts.holds, "held change", "held changes")))
    if facts.trust and facts.trust.different:
        found.append((Health.ATTENTION, _count(facts.trust.different, "record differs", "records differ")))
    if facts.is_stopped:
        found.append((Health.STOPPED, "its schedule is stopped"))
    return found


def _holes(confirmed: Confirmed) -> list[Window]:
    if not confirmed.windows or confirmed.windows[-1].end <= confirmed.origin:
        return []
    return subtract([Window(confirmed.origin, confirmed.windows[-1].end)], confirmed.windows)


def _coverage(confirmed: Confirmed) -> Coverage:
    spans, holes = confirmed.windows[-SHOWN_SPANS:], _holes(confirmed)[-SHOWN_SPANS:]
    return Coverage(
        origin=confirmed.origin,
        confirmed_until=confirmed.windows[-1].end if confirmed.windows else None,
        confirmed=[Span(start=one.start, end=one.end) for one in spans],
        holes=[Span(start=one.start, end=one.end) for one in holes],
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
