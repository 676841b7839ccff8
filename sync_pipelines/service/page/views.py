"""From pictures to HTML. Everything from outside is escaped by the templates' engine; nothing here marks such text as safe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sync_pipelines.overview.dagster_tables import BY_HAND
from sync_pipelines.overview.models import Alerts, Authorization, DayVolume, Health, History, Queues, Quota, Status, StreamState
from sync_pipelines.service.page import drawing

_HERE = Path(__file__).parent
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_THOUSAND = 10_000


def prepare() -> None:
    """Compiles the templates, so that the first visitor does not wait for it."""
    templates = _templates()
    for name in templates.list_templates():
        templates.get_template(name)


def front(status: Status) -> str:
    """The one screen."""
    unwell = sorted(
        (item for item in status.streams if item.health not in {Health.OK, Health.NEW}),
        key=lambda item: (item.health.rank, item.stream),
    )
    return _render(
        "status.html",
        status,
        groups=list(_groups(status)),
        unwell=unwell,
        totals=_totals(status),
        chart=_chart(_together(status.streams)),
    )


def stream(status: Status, item: StreamState, history: History) -> str:
    """One stream of one account."""
    return _render("stream.html", status, item=item, history=history, chart=_chart(history.days), **_access(status, item.account))


def queue(status: Status, queues: Queues) -> str:
    """Queues and dead letters."""
    return _render("queue.html", status, queues=queues)


def alerts(status: Status, found: Alerts) -> str:
    """The alert ledger."""
    return _render("alerts.html", status, found=found)


def login(target: str, *, is_wrong: bool) -> str:
    """The form that asks for the token."""
    return _templates().get_template("login.html").render(target=target, is_wrong=is_wrong)


def trouble(title: str, text: str) -> str:
    """A page that says what is wrong."""
    return _templates().get_template("trouble.html").render(title=title, text=text)


def span(seconds: float | None) -> str:
    """A duration in two units at most: ``3 min``, ``2 d 4 h``."""
    if seconds is None:
        return "–"
    left = max(0, int(seconds))
    if left == 0:
        return f"{seconds:.1f} s" if 0 < seconds < 1 else "0 s"
    words = []
    for size, unit in _UNITS:
        if left >= size:
            words.append(f"{left // size} {unit}")
            left %= size
        elif words:
            break
    return " ".join(words[:2]) if words[0].endswith(("d", "h")) else words[0]


def number(value: float | None) -> str:
    """A count: exact below ten thousand, then with three digits: ``1.23 M``."""
    if value is None:
        return "–"
    if abs(value) < _THOUSAND:
        return f"{value:,.0f}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    raise AssertionError(value)


def percent(share: float | None) -> str:
    """A share; only what is whole is shown as 100 %."""
    if share is None:
        return "–"
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.3g} %"


def job(name: str) -> str:
    """A job as people know it; what is launched in Dagster's UI has only a name of Dagster's own."""
    return "launched by hand" if name == BY_HAND else name


def moment(value: datetime | None, now: datetime) -> Markup:
    """An instant as its distance from now; the exact time is shown on hover."""
    if value is None:
        return Markup('<span class="faint">never</span>')
    seconds = (now - value).total_seconds()
    words = f"in {span(-seconds)}" if seconds < 0 else f"{span(seconds)} ago"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S} UTC", words)


def _render(name: str, status: Status, **values: Any) -> str:
    return _templates().get_template(name).render(status=status, now=status.at, **values)


def _groups(status: Status) -> Iterator[tuple[str, dict[str, Any], list[StreamState]]]:
    for account, items in groupby(status.streams, key=lambda item: item.account):
        yield account, _access(status, account), list(items)


def _access(status: Status, account: str) -> dict[str, list[Quota] | list[Authorization]]:
    """How freely an account may be called: its quotas and the age of its tokens."""
    return {
        "quotas": [quota for quota in status.budgets if quota.account == account],
        "authorizations": [one for one in status.authorizations if one.account == account],
    }


def _together(streams: Iterable[StreamState]) -> list[DayVolume]:
    """All streams' days as one."""
    found: list[DayVolume] = []
    for days in zip(*(item.days for item in streams), strict=True):
        counts = {name: sum(getattr(day, name) for day in days) for name in ("complete", "partial", "failed", "canceled", "rows")}
        found.append(DayVolume(day=days[0].day, **counts))
    return found


def _totals(status: Status) -> dict[str, Any]:
    today = [item.days[-1] for item in status.streams]
    weeks = [item.last_7_days for item in status.streams]
    good, failed = sum(week.complete + week.partial for week in weeks), sum(week.failed for week in weeks)
    return {
        "good": status.counts.get(Health.OK, 0),
        "rows_today": sum(day.rows for day in today),
        "rows_week": sum(week.rows for week in weeks),
        "failed_today": sum(day.failed for day in today),
        "runs_today": sum(day.complete + day.partial + day.failed for day in today),
        "success": good / (good + failed) if good + failed else None,
        "letters": sum(item.open_letters for item in status.streams),
        "retrying": sum(item.retrying_letters for item in status.streams),
        "holes": sum(item.holes for item in status.streams),
        "holds": sum(item.holds for item in status.streams),
    }


def _chart(days: Sequence[DayVolume]) -> dict[str, list[Any]]:
    """What the script draws: epoch seconds and one list for each line."""
    return {
        "days": [int(datetime(day.day.year, day.day.month, day.day.day, tzinfo=UTC).timestamp()) for day in days],
        "rows": [day.rows for day in days],
        "complete": [day.complete for day in days],
        "partial": [day.partial for day in days],
        "failed": [day.failed for day in days],
        "duration": [day.average_duration_s for day in days],
    }


@cache
def _templates() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"span": span, "number": number, "percent": percent, "job": job}
    found.globals |= {"moment": moment, "draw": drawing, "asset": _asset}
    return found


@cache
def _asset(name: str) -> str:
    """A file's address, which changes with its content, so that browsers may keep it."""
    digest = hashlib.blake2b((_HERE / "static" / name).read_bytes(), digest_size=6).hexdigest()
    return f"/static/{name}?{digest}"
