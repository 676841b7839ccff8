"""What the rules find in Dagster's tables: failing runs, missed freshness, failing ticks, a silent daemon or code server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta

from sync_pipelines.core.alerts import Finding, Look
from sync_pipelines.overview import dagster_tables
from sync_pipelines.overview.dagster_tables import FailingRuns, Materializations
from sync_pipelines.service.alerting.words import moment, plural, span

DAEMON_SILENT = timedelta(seconds=90)
"""Each part of the daemon beats every 30 s; if none of them did for three beats, it is dead or frozen."""

PART_SILENT = timedelta(minutes=10)
"""One part may be busy with a single long tick while the others beat."""

WARM_UP = timedelta(minutes=15)
"""After a start the schedules first catch up; what is old only because nothing ran is not reported before."""

MAINTENANCE_JOB = "maintenance"
MAINTENANCE_DUE = timedelta(hours=26)

CODE_SERVER_TIMEOUT_S = 5
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The preface and an empty SETTINGS frame (RFC 9113 §3.4): any gRPC server that lives answers with its own settings."""


class Failing:
    """Streams and jobs whose latest run failed; asked once for all the rules of one look."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._found: list[FailingRuns] = []

    def __call__(self, look: Look) -> list[FailingRuns]:
        """All of them."""
        if self._at != look.now:
            self._found = dagster_tables.failing_runs(look.connection, look.now)
            self._at = look.now
        return self._found


def first_errors(failing_now: Failing, look: Look) -> Iterator[Finding]:
    """Streams and jobs whose latest run failed."""
    for failing in _of_work(failing_now(look)):
        runs = plural(failing.failures, "run")
        yield Finding(
            _subject(failing),
            f"{_subject(failing)}: {runs} failed since {moment(failing.failing_since)}, {_before(failing)}",
            run_id=failing.run_id,
            count=failing.failures,
        )


def standing_errors(failing_now: Failing, look: Look) -> Iterator[Finding]:
    """The same, for longer than people want to wait."""
    for failing in _of_work(failing_now(look)):
        age = look.now.timestamp() - failing.failing_since
        if age > look.error_standing.total_seconds():
            runs = plural(failing.failures, "run")
            yield Finding(
                _subject(failing),
                f"{_subject(failing)}: failing for {span(timedelta(seconds=age))}, {runs} in a row, {_before(failing)}",
                run_id=failing.run_id,
            )


def _of_work(failing: list[FailingRuns]) -> list[FailingRuns]:
    return [found for found in failing if found.subject != MAINTENANCE_JOB]


def _subject(failing: FailingRuns) -> str:
    subject = "launched by hand" if failing.subject == dagster_tables.BY_HAND else failing.subject
    return f"{subject} of {failing.account}" if failing.account else subject


def _before(failing: FailingRuns) -> str:
    return f"last success {moment(failing.succeeded)}" if failing.succeeded else "no success in the days before"


class Freshness:
    """Streams without a success for longer than they promise; follows the event log from look to look."""

    def __init__(self) -> None:
        self._materializations = Materializations()

    def __call__(self, look: Look) -> Iterator[Finding]:
        """What is too old."""
        if not dagster_tables.is_prepared(look.connection):
            return
        self._materializations.follow(look.connection, look.now)
        for stream, account in look.streams:
            if look.now - look.started_at < min(stream.freshness, WARM_UP):
                continue
            last = self._materializations.last(stream.key, account)
            if look.now - (last or look.started_at) > stream.freshness:
                ago = (
                    f"the last success is {span(look.now - last)} old"
                    if last
                    else f"it was never read, at least not for {span(dagster_tables.REMEMBERED)}"
                )
                yield Finding(
                    f"{stream.key} of {account}",
                    f"{stream.key} of {account}: {ago}, promised is at most {span(stream.freshness)}",
                )


def failing_ticks(look: Look) -> Iterator[Finding]:
    """Schedules and sensors whose latest tick failed."""
    for failing in dagster_tables.failing_ticks(look.connection):
        ticks = "its latest tick" if failing.failures == 1 else f"{failing.failures} of its latest 20 ticks"
        yield Finding(
            failing.name,
            f"{failing.kind} {failing.name}: {ticks} failed, last at {moment(failing.at)}; the Dagster UI shows the error",
            count=failing.failures,
        )


def silent_daemon(look: Look) -> Iterator[Finding]:
    """No part of Dagster's daemon is heard of, or one part is not."""
    heartbeats = dagster_tables.heartbeats(look.connection)
    latest = max((beat.at for beat in heartbeats), default=None)
    if look.now - max(latest or look.started_at, look.started_at) > DAEMON_SILENT:
        since = f"since {moment(latest)}" if latest else "so far"
        yield Finding(
            "Dagster's daemon",
            f"Dagster's daemon has not been heard of {since}: no schedule, sensor or queued run starts until it runs again",
        )


def silent_daemon_part(look: Look) -> Iterator[Finding]:
    """One part of the daemon is not heard of while others are."""
    heartbeats = dagster_tables.heartbeats(look.connection)
    latest = max((beat.at for beat in heartbeats), default=look.started_at)
    if look.now - max(latest, look.started_at) > DAEMON_SILENT:
        return
    for beat in heartbeats:
        if look.now - max(beat.at, look.started_at) > PART_SILENT and latest - beat.at < timedelta(days=1):
            yield Finding(
                f"daemon {beat.daemon}",
                f"the {beat.daemon.replace('_', ' ').lower()} part of Dagster's daemon is silent since {moment(beat.at)}",
            )


class CodeServer:
    """Whether the code server answers. Reported only after it once did: elsewhere it may not be ours to watch.

    Args:
        address: Host and port of its gRPC service; ``None`` watches nothing.
    """

    def __init__(self, address: tuple[str, int] | None) -> None:
        self._address = address
        self._answered_at: datetime | None = None

    def __call__(self, look: Look) -> Iterator[Finding]:
        """Whether it is silent."""
        if self._address is None:
            return
        if speaks_http2(*self._address):
            self._answered_at = look.now
        elif self._answered_at is not None:
            yield Finding(
                "code server",
                f"Dagster's code server does not answer since {moment(self._answered_at)}: no schedule, sensor or run can start",
            )


def speaks_http2(host: str, port: int) -> bool:
    """Whether a living gRPC server is there; a frozen one accepts a connection and then says nothing."""
    try:
        with socket.create_connection((host, port), timeout=CODE_SERVER_TIMEOUT_S) as connection:
            connection.sendall(_HTTP2_HELLO)
            return bool(connection.recv(9))
    except OSError:
        return False


def maintenance_trouble(failing_now: Failing, look: Look) -> Iterator[Finding]:
    """The daily upkeep fails, or was not done for more than a day."""
    if not dagster_tables.is_prepared(look.connection):
        return
    for failing in failing_now(look):
        if failing.subject == MAINTENANCE_JOB:
            yield Finding(
                MAINTENANCE_JOB,
                f"the daily upkeep failed {failing.failures} times since {moment(failing.failing_since)};"
                " old data stays and partitions are not made ahead",
                run_id=failing.run_id,
                count=failing.failures,
            )
            return
    last = dagster_tables.last_success_of_job(look.connection, MAINTENANCE_JOB)
    if look.now - look.started_at > WARM_UP and look.now - (last or look.started_at) > MAINTENANCE_DUE:
        yield Finding(
            MAINTENANCE_JOB,
            f"the daily upkeep was last done {moment(last)}" if last else "the daily upkeep has never been done",
        )
