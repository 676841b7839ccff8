"""Small pictures as SVG, drawn on the server: they need no script, and a page with fifty of them is there at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from sync_pipelines.overview.models import Coverage, DayVolume, LinkDay, Quota, Volumes

WIDTH = 120
HEIGHT = 22
_LEAST = 1.2
"""Width or height of what would otherwise be too small to be seen."""

_SCARCE = 0.8
"""Share of a quota from which on its use is worth a look."""


def bars(values: Sequence[float], *, faults: Sequence[bool] = (), label: str) -> Markup:
    """One bar a day; days with faults get a mark at the foot."""
    most = max(values, default=0) or 1
    step = WIDTH / max(1, len(values))
    path = "".join(
        f"M{number * step:.1f} {HEIGHT - 2}v-{max(_LEAST, value / most * (HEIGHT - 3)):.1f}h{step - 1:.1f}V{HEIGHT - 2}z"
        for number, value in enumerate(values)
        if value
    )
    marks = "".join(
        f"M{number * step:.1f} {HEIGHT - 1.5}h{step - 1:.1f}v1.5h-{step - 1:.1f}z" for number, bad in enumerate(faults) if bad
    )
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title>'
        '<path class="floor" d="M0 {}h{}"/><path class="rows" d="{}"/><path class="bad" d="{}"/></svg>'
    ).format(WIDTH, HEIGHT, label, label, HEIGHT - 1.5, WIDTH, path, marks)


def days(volumes: Sequence[DayVolume]) -> Markup:
    """Rows of each day."""
    total = sum(volume.rows for volume in volumes)
    return bars(
        [volume.rows for volume in volumes],
        faults=[bool(volume.failed) for volume in volumes],
        label=f"{total:,} rows in {len(volumes)} days",
    )


def link_days(volumes: Sequence[LinkDay]) -> Markup:
    """Changes of each day."""
    total = sum(volume.processed for volume in volumes)
    return bars(
        [volume.processed for volume in volumes],
        faults=[bool(volume.failed) for volume in volumes],
        label=f"{total:,} changes in {len(volumes)} days",
    )


def split(volumes: Volumes) -> Markup:
    """Runs by outcome, as one bar."""
    parts = [("ok", volumes.complete), ("partial", volumes.partial), ("failed", volumes.failed), ("canceled", volumes.canceled)]
    words = ", ".join(f"{count:,} {'complete' if name == 'ok' else name}" for name, count in parts if count) or "no runs"
    return _strip(parts, f"{words} in {volumes.days} days")


def quota(one: Quota) -> Markup:
    """How much of a quota's period is used; nothing where calls are only spaced evenly."""
    if not one.limit:
        return Markup()
    kind = "failed" if one.blocked_until else "partial" if one.used > one.limit * _SCARCE else "ok"
    return _strip([(kind, one.used), ("none", max(0.0, one.limit - one.used))], f"{one.used:g} of {one.limit:g} used")


def coverage(found: Coverage, now: datetime) -> Markup:
    """Confirmed time from the stream's origin to now; holes are never too small to be seen."""
    span = max(timedelta(seconds=1), now - found.origin)

    def at(moment: datetime) -> float:
        return min(WIDTH, max(0.0, (moment - found.origin) / span * WIDTH))

    done = "".join(
        f"M{at(one.start):.1f} 2h{max(_LEAST, at(one.end) - at(one.start)):.1f}v8h-{max(_LEAST, at(one.end) - at(one.start)):.1f}z"
        for one in found.confirmed
    )
    holes = "".join(
        f"M{at(one.start):.1f} 0h{max(_LEAST, at(one.end) - at(one.start)):.1f}v12h-{max(_LEAST, at(one.end) - at(one.start)):.1f}z"
        for one in found.holes
    )
    words = f"confirmed since {found.origin:%Y-%m-%d %H:%M}" + (f", {len(found.holes)} holes" if found.holes else ", no hole")
    return Markup(
        '<svg class="coverage" viewBox="0 0 {} 12" preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title>'
        '<path class="none" d="M0 2h{}v8H0z"/><path class="ok" d="{}"/><path class="failed" d="{}"/></svg>'
    ).format(WIDTH, words, words, WIDTH, done, holes)


def _strip(parts: Iterable[tuple[str, float]], words: str) -> Markup:
    known = [(kind, value) for kind, value in parts if value > 0]
    total = sum(value for _, value in known)
    drawn, left = Markup(), 0.0
    for kind, value in known:
        width = max(_LEAST, value / total * WIDTH)
        drawn += Markup('<path class="{}" d="M{} 0h{}v6h-{}z"/>').format(kind, f"{left:.1f}", f"{width:.1f}", f"{width:.1f}")
        left += width
    return Markup(
        '<svg class="strip" viewBox="0 0 {} 6" preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title>'
        '<path class="none" d="M0 0h{}v6H0z"/>{}</svg>'
    ).format(f"{max(WIDTH, left):.1f}", words, words, WIDTH, drawn)
