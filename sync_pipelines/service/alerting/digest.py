"""What a message says: everything that is new, over or still open, grouped by rule, cut to what the channel takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from sync_pipelines.core.alerts import Severity
from sync_pipelines.service.alerting.ledger import Alert
from sync_pipelines.service.alerting.words import cut, moment, plural

LINES_OF_A_GROUP = 100
"""More than these of one kind are counted, not listed; the status page lists all."""

SLACK_BLOCK_LIMIT = 3000
SLACK_BLOCKS = 50
SLACK_TEXT_LIMIT = 40_000
SLACK_HEADER_LIMIT = 150
EMAIL_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Links:
    """Where messages point to; without a slash at the end."""

    status: str
    dagster: str

    def run(self, run_id: str) -> str:
        """A run's page in the Dagster UI."""
        return f"{self.dagster}/runs/{run_id}"


@dataclass(frozen=True, slots=True)
class Line:
    """One alert's line."""

    text: str
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of one rule."""

    heading: str
    lines: tuple[Line, ...]
    more: int = 0


@dataclass(frozen=True)
class Message:
    """One message, not yet cut for a channel.

    Attributes:
        key: The same for every attempt to send it.
        subject: One line.
        groups: What is new, then what is over, then what still stands.
        note: First line of the body.
        links: For the last lines.
        at: Aware UTC.
    """

    key: str
    subject: str
    note: str
    groups: tuple[Group, ...]
    links: Links | None
    at: datetime
    footer: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The whole as plain text."""
        parts = [self.note, *(_plain(group) for group in self.groups), "\n".join(self.footer)]
        return cut("\n\n".join(part for part in parts if part) + "\n", EMAIL_LIMIT)


def compose(
    alerts: Sequence[Alert],
    *,
    covered: int | None,
    titles: Mapping[str, str],
    links: Links,
    key: str,
    at: datetime,
    may_repeat: bool = False,
) -> Message:
    """Makes one message.

    Args:
        alerts: What `ledger.told_of` answers.
        covered: The change number up to which the person was told.
        titles: Rule names to headings, most urgent first.
        links: Where to point.
        key: Id of the message.
        at: Aware UTC.
        may_repeat: The person may have got this message already.
    """
    before = covered or 0
    new = [alert for alert in alerts if alert.opened_change > before and alert.closed_at is None]
    passed = [alert for alert in alerts if alert.opened_change > before and alert.closed_at is not None]
    cleared = [alert for alert in alerts if alert.opened_change <= before and alert.closed_at is not None]
    standing = [alert for alert in alerts if alert.opened_change <= before and alert.closed_at is None]
    groups = [
        *_groups(new, titles, links),
        *_groups(passed, titles, links, prefix="Over already: "),
        *_groups(cleared, titles, links, prefix="All clear: "),
        *_groups(standing, titles, links, prefix="Still open: "),
    ]
    counts = [
        f"{count} {what}"
        for count, what in (
            (len(new), "new"),
            (len(passed), "over already"),
            (len(cleared), "cleared"),
            (len(standing), "still open"),
        )
        if count
    ]
    repeat = "This message may have reached you before: its sender was stopped while sending it." if may_repeat else ""
    return Message(
        key=key,
        subject=cut(_subject(new, passed, cleared, standing, titles), SLACK_HEADER_LIMIT),
        note="\n".join(filter(None, [repeat, f"{', '.join(counts)}, as of {moment(at)}."])),
        groups=tuple(groups),
        links=links,
        at=at,
        footer=(f"Status page: {links.status}", f"Dagster: {links.dagster}/runs"),
    )


def _subject(
    new: Sequence[Alert], passed: Sequence[Alert], cleared: Sequence[Alert], standing: Sequence[Alert], titles: Mapping[str, str]
) -> str:
    told = new or passed
    if not told:
        rest = f", {len(standing)} still open" if standing else ""
        return f"[sync-pipelines] all clear: {plural(len(cleared), 'alert')} closed{rest}"
    worst = max(told, key=lambda alert: Severity(alert.severity).rank)
    rules = list(dict.fromkeys(titles.get(alert.rule, alert.rule) for alert in _ordered(told, titles)))
    return f"[sync-pipelines] {worst.severity}: {plural(len(told), 'alert')}: {', '.join(rules)}"


def _groups(alerts: Iterable[Alert], titles: Mapping[str, str], links: Links, *, prefix: str = "") -> Iterable[Group]:
    for rule, members in groupby(_ordered(alerts, titles), key=lambda alert: alert.rule):
        listed = list(members)
        volume = sum(alert.seen_count for alert in listed)
        in_all = f", {volume:,} in all" if volume > len(listed) else ""
        heading = f"{prefix}{titles.get(rule, rule)} ({len(listed)}{in_all})"
        lines = tuple(_line(alert, links) for alert in listed[:LINES_OF_A_GROUP])
        yield Group(heading, lines, more=len(listed) - len(lines))


def _ordered(alerts: Iterable[Alert], titles: Mapping[str, str]) -> list[Alert]:
    order = {rule: place for place, rule in enumerate(titles)}
    return sorted(alerts, key=lambda alert: (order.get(alert.rule, len(order)), alert.rule, -alert.seen_count, alert.opened_change))


def _line(alert: Alert, links: Links) -> Line:
    over = f" (over since {moment(alert.closed_at)})" if alert.closed_at else ""
    return Line(f"{alert.severity}: {alert.summary}{over}", links.run(alert.run_id) if alert.run_id else None)


def _plain(group: Group) -> str:
    lines = [group.heading]
    for line in group.lines:
        lines.append(f"  - {line.text}")
        if line.run:
            lines.append(f"    {line.run}")
    if group.more:
        lines.append(f"  … and {group.more:,} more; the status page lists all")
    return "\n".join(lines)


def slack_text(message: Message) -> str:
    """The plain text that notifications show, as Slack takes it."""
    return cut(escape(f"{message.subject}\n{message.text}"), SLACK_TEXT_LIMIT)


def slack_blocks(message: Message) -> list[dict[str, Any]]:
    """The message as Block Kit: at most 50 blocks of at most 3,000 characters."""
    header = {"type": "header", "text": {"type": "plain_text", "text": cut(message.subject, SLACK_HEADER_LIMIT)}}
    sections = [_section(escape(message.note)), *(_section(_slack_group(group)) for group in message.groups)]
    room = SLACK_BLOCKS - 2
    if len(sections) > room:
        left_out = len(sections) - room + 1
        sections = [*sections[: room - 1], _section(f"… and {plural(left_out, 'group')} more; the status page lists all")]
    footer = {"type": "context", "elements": [{"type": "mrkdwn", "text": cut(escape(" · ".join(message.footer) or "-"), 2000)}]}
    return [header, *sections, footer]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, SLACK_BLOCK_LIMIT)}}


def _slack_group(group: Group) -> str:
    """Whole lines only, so that no link is cut in two."""
    more = group.more
    heading = f"*{escape(group.heading)}*"
    lines = [
        f"• {cut(escape(line.text), SLACK_BLOCK_LIMIT // 2)}{f' <{line.run}|run>' if line.run else ''}" for line in group.lines
    ]
    reserve = len("\n… and 1,000,000 more; the status page lists all")
    while lines and len(heading) + sum(len(line) + 1 for line in lines) + reserve > SLACK_BLOCK_LIMIT:
        lines.pop()
        more += 1
    rest = [f"… and {more:,} more; the status page lists all"] if more else []
    return "\n".join([heading, *lines, *rest])


def escape(text: str) -> str:
    """Slack's three control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
