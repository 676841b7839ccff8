"""The picture in Prometheus' words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sync_pipelines.overview.models import Health, Queues, Status, StreamState

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

_OF_STREAM = ("stream", "account")


class _Pictured(Collector):
    """One scrape's samples."""

    def __init__(self, status: Status, queues: Queues) -> None:
        self._status, self._queues = status, queues

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families."""
        status = self._status
        yield from _streams(status.streams)
        yield from _quotas(status)
        yield from _authorizations(status)
        yield from _links(status)
        yield from _queues(self._queues)
        yield _family("sync_alerts_open", "Alerts that stand", (), [((), status.open_alerts)])
        dagster = status.dagster
        beat = [((), dagster.daemon_beat_at.timestamp())] if dagster.daemon_beat_at else []
        yield _family("sync_dagster_daemon_beat_timestamp_seconds", "Oldest last heartbeat of Dagster's daemons", (), beat)
        runs = [(("queued",), dagster.queued), (("running",), dagster.running)]
        yield _family("sync_dagster_runs", "Runs that have not ended", ("state",), runs)


def exposition(status: Status, queues: Queues) -> bytes:
    """The text of ``/metrics``."""
    registry = CollectorRegistry()
    registry.register(_Pictured(status, queues))
    return generate_latest(registry)


def _streams(streams: list[StreamState]) -> Iterator[GaugeMetricFamily]:
    def each(name: str, text: str, values: Iterable[tuple[StreamState, float | None]]) -> GaugeMetricFamily:
        samples = [((one.stream, one.account), value) for one, value in values if value is not None]
        return _family(f"sync_stream_{name}", text, _OF_STREAM, samples)

    yield each("rows", "Living rows, estimated for large tables", ((one, one.rows) for one in streams))
    yield each("lag_seconds", "From the end of the confirmed time to now", ((one, one.lag_s) for one in streams))
    yield each(
        "last_success_timestamp_seconds",
        "When a run last succeeded",
        ((one, one.last_success_at.timestamp() if one.last_success_at else None) for one in streams),
    )
    yield each("freshness_seconds", "Age of the last success above which it is late", ((one, one.freshness_s) for one in streams))
    yield each("holes", "Gaps in the confirmed time", ((one, one.holes) for one in streams))
    yield each("dead_letters_open", "Dead letters that need a person", ((one, one.open_letters) for one in streams))
    yield each("dead_letters_retrying", "Dead letters that still retry", ((one, one.retrying_letters) for one in streams))
    yield each("holds", "Implausible changes that wait for a person", ((one, one.holds) for one in streams))
    yield each(
        "different", "Records the last reconciliation left different", ((one, one.trust.different) for one in streams if one.trust)
    )
    yield each("rows_today", "Rows written by the runs of this UTC day", ((one, one.days[-1].rows) for one in streams))
    healths = [((one.stream, one.account, str(health)), float(one.health is health)) for one in streams for health in Health]
    yield _family("sync_stream_health", "1 for the health it has", (*_OF_STREAM, "health"), healths)
    outcomes = [
        ((one.stream, one.account, outcome), getattr(one.days[-1], outcome))
        for one in streams
        for outcome in ("complete", "partial", "failed", "canceled")
    ]
    yield _family("sync_stream_runs_today", "Runs that ended on this UTC day", (*_OF_STREAM, "outcome"), outcomes)


def _quotas(status: Status) -> Iterator[GaugeMetricFamily]:
    labels = ("account", "bucket")
    yield _family(
        "sync_quota_left", "Calls possible at once", labels, [((one.account, one.bucket), one.calls_left) for one in status.budgets]
    )
    limited = [one for one in status.budgets if one.limit is not None]
    for name, text, field in (
        ("sync_quota_used", "Calls of the period that are used", "used"),
        ("sync_quota_limit", "Calls the period allows", "limit"),
        ("sync_quota_period_seconds", "The vendor's window, or the time of a whole refill", "period_s"),
    ):
        yield _family(name, text, labels, [((one.account, one.bucket), getattr(one, field)) for one in limited])


def _authorizations(status: Status) -> Iterator[GaugeMetricFamily]:
    for name, text, field in (
        ("sync_token_renewed_timestamp_seconds", "When the access token was obtained", "refreshed_at"),
        ("sync_refresh_token_end_timestamp_seconds", "When the refresh token ends", "refresh_expires_at"),
    ):
        known = [(one.account, getattr(one, field)) for one in status.authorizations]
        yield _family(name, text, ("account",), [((account,), moment.timestamp()) for account, moment in known if moment])
    refused = [((one.account,), float(one.refused_at is not None)) for one in status.authorizations]
    yield _family("sync_token_refused", "1 while the vendor refuses to renew the access token", ("account",), refused)


def _links(status: Status) -> Iterator[GaugeMetricFamily]:
    yield _family("sync_link_waiting", "Unfinished tasks", ("link",), [((one.id,), one.waiting) for one in status.links])
    yield _family(
        "sync_link_lag_seconds", "Age of the oldest unfinished task", ("link",), [((one.id,), one.lag_s) for one in status.links]
    )
    works = [((one.id,), float(one.state == "active")) for one in status.links]
    yield _family("sync_link_active", "1 unless paused, inactive or its circuit is open", ("link",), works)


def _queues(queues: Queues) -> Iterator[GaugeMetricFamily]:
    tasks = [
        ((line.queue, line.account, state), getattr(line, state))
        for line in queues.lines
        for state in ("waiting", "leased", "retrying")
    ]
    yield _family("sync_queue_tasks", "Unfinished tasks by state", ("queue", "account", "state"), tasks)
    ages = [((line.queue, line.account), line.oldest_s) for line in queues.lines]
    yield _family("sync_queue_oldest_seconds", "Age of the oldest unfinished task", ("queue", "account"), ages)


def _family(name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
