"""Sums over days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from sync_pipelines.overview.ledgers import Day
from sync_pipelines.overview.models import DayVolume, Volumes


def filled(days: Iterable[DayVolume], first: date, last: date) -> list[DayVolume]:
    """Every day from ``first`` to ``last``; those without runs are zeros."""
    known = {volume.day: volume for volume in days}
    count = (last - first).days + 1
    return [known.get(day) or DayVolume(day=day) for day in (first + timedelta(days=number) for number in range(count))]


def summed(days: Sequence[Day], today: date, count: int) -> Volumes:
    """The last ``count`` days together, today included."""
    wanted = [day for day in days if day.volume.day > today - timedelta(days=count)]
    volumes = [day.volume for day in wanted]
    good = sum(volume.complete + volume.partial for volume in volumes)
    failed = sum(volume.failed for volume in volumes)
    ended = good + failed
    return Volumes(
        days=count,
        complete=sum(volume.complete for volume in volumes),
        partial=sum(volume.partial for volume in volumes),
        failed=failed,
        canceled=sum(volume.canceled for volume in volumes),
        rows=sum(volume.rows for volume in volumes),
        success_share=round(good / ended, 4) if ended else None,
        average_duration_s=round(sum(day.duration_s for day in wanted) / ended, 1) if ended else None,
    )
