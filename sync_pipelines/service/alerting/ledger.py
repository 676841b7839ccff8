"""The memory of alerts in ``sync.alerts``: opened at the first finding, closed when a look finds nothing any more.

Only the holder of the watch's lock writes here, so a number drawn from ``sync.alert_changes`` is never overtaken by a later commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from sync_pipelines.core.alerts import Finding, Rule, Severity, alerts_table
from sync_pipelines.service.alerting.words import clean, cut

SUMMARY_LIMIT = 600

KEEP = timedelta(days=90)
"""How long closed alerts and sent messages can be looked up."""

_COLUMNS = ", ".join(column.name for column in alerts_table.columns)

_CLOSE = "closed_at = %(now)s, closed_change = nextval('sync.alert_changes')"

_WORSE = f"""
update sync.alerts a set {_CLOSE}
from unnest(%(rules)s::text[], %(subjects)s::text[], %(severities)s::text[]) as f(rule, subject, severity)
where a.closed_at is null and a.rule = f.rule and a.subject = f.subject
  and array_position(%(order)s::text[], a.severity) < array_position(%(order)s::text[], f.severity)
"""  # noqa: S608 - our own words

_FOUND = """
insert into sync.alerts as a
    (rule, subject, severity, summary, opened_at, last_seen_at, seen_count, risen_at, run_id, opened_change)
select f.rule, f.subject, f.severity, f.summary, %(now)s, %(now)s, f.count, %(now)s, f.run_id, nextval('sync.alert_changes')
from unnest(%(rules)s::text[], %(subjects)s::text[], %(severities)s::text[], %(summaries)s::text[], %(counts)s::bigint[],
            %(runs)s::text[]) as f(rule, subject, severity, summary, count, run_id)
on conflict (rule, subject) where closed_at is null do update
set summary = excluded.summary, last_seen_at = excluded.last_seen_at, run_id = excluded.run_id,
    seen_count = greatest(a.seen_count, excluded.seen_count),
    risen_at = case when excluded.seen_count > a.seen_count then excluded.risen_at else a.risen_at end
where excluded.seen_count > a.seen_count or excluded.summary <> a.summary or excluded.run_id is distinct from a.run_id
   or excluded.last_seen_at >= a.last_seen_at + interval '1 minute'
"""

_GONE = f"""
update sync.alerts a set {_CLOSE}
where a.closed_at is null and (a.rule = any(%(looked)s) or not a.rule = any(%(known)s)) and not exists (
    select from unnest(%(rules)s::text[], %(subjects)s::text[]) as f(rule, subject)
    where f.rule = a.rule and f.subject = a.subject)
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Alert:
    """A stored alert; the fields are those of the table."""

    id: int
    rule: str
    subject: str
    severity: str
    summary: str
    opened_at: datetime
    last_seen_at: datetime
    seen_count: int
    risen_at: datetime
    closed_at: datetime | None
    run_id: str | None
    opened_change: int
    closed_change: int | None


def record(
    connection: Connection[Any],
    found: Iterable[tuple[Rule, Finding]],
    *,
    looked: Collection[str],
    known: Collection[str],
    now: datetime,
) -> None:
    """Opens, refreshes and closes alerts so that the table says what was found.

    Args:
        connection: Open transaction of the lock's holder.
        found: What is wrong.
        looked: Rules that could look; alerts of others stay as they are.
        known: All rules there are; alerts of rules that are gone are closed.
        now: Aware UTC.
    """
    unique = {(rule.name, finding.subject): (rule, finding) for rule, finding in found}
    rows = list(unique.values())
    values = {
        "now": now,
        "rules": [rule.name for rule, _ in rows],
        "subjects": [finding.subject for _, finding in rows],
        "severities": [str(finding.severity or rule.severity) for rule, finding in rows],
        "summaries": [cut(clean(finding.summary), SUMMARY_LIMIT) for _, finding in rows],
        "counts": [finding.count for _, finding in rows],
        "runs": [finding.run_id for _, finding in rows],
        "order": [str(severity) for severity in Severity],
        "looked": list(looked),
        "known": list(known),
    }
    if rows:
        connection.execute(_WORSE, values)
        connection.execute(_FOUND, values)
    connection.execute(_GONE, values)


def newest_change(connection: Connection[Any]) -> int:
    """The number of the latest opening or closing."""
    row = connection.execute(
        "select greatest((select max(opened_change) from sync.alerts), (select max(closed_change) from sync.alerts), 0)"
    ).fetchone()
    return int(row[0]) if row else 0


def told_of(connection: Connection[Any], severities: Sequence[str], *, covered: int | None) -> list[Alert]:
    """What belongs into a message: all that is open, and all that was opened or closed since the last one.

    Args:
        connection: Any.
        severities: Those the person wants.
        covered: Changes up to this number were told; ``None`` if nothing ever was, then only what is open counts.
    """
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from sync.alerts where severity = any(%(severities)s)"  # noqa: S608 - our own column names
            " and (closed_at is null or closed_change > %(covered)s) order by opened_change",
            {"severities": list(severities), "covered": covered if covered is not None else 2**62},
        ).fetchall()


def alerts(connection: Connection[Any], *, is_open: bool = True, limit: int = 200) -> list[Alert]:
    """Alerts, newest first: the open ones, or all."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from sync.alerts where closed_at is null or not %s order by id desc limit %s",  # noqa: S608 - as above
            [is_open, limit],
        ).fetchall()


def purge(connection: Connection[Any], now: datetime) -> None:
    """Forgets what is long over; each person's last message stays, for the next one goes on from it."""
    connection.execute("delete from sync.alerts where closed_at < %s", [now - KEEP])
    connection.execute(
        "delete from sync.alert_deliveries d where state = 'sent' and sent_at < %s and exists (select from sync.alert_deliveries n"
        " where n.person = d.person and n.channel = d.channel and n.state = 'sent' and n.id > d.id)",
        [now - KEEP],
    )
