"""Finds what somebody else changed at a secondary: what was changed there lately is compared with what we last wrote.

Costs one call per 100 references changed there since the last audit, our own writes included. A full comparison is what a plan
does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.jsons import Json, decode_json
from sync_pipelines.vendors.grand_shooting.client import GrandShootingClient, ReferencePage
from sync_pipelines.vendors.grand_shooting.fan_out.decide import holds
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import request

A_DAY = timedelta(days=1)

_WRITTEN = """
select target_ref, ref, applied::text from grand_shooting.replicas
where link = %s and state = 'applied' and target_ref = any(%s) and applied is not null and applied_at < %s
"""
"""What was written after the page was asked for cannot be judged by that page."""


@dataclass(slots=True)
class AuditTotals:
    """What an audit found.

    Attributes:
        compared: References changed at the secondary that we had written.
        foreign: Those whose content is not ours any more.
        strangers: References there that no link of ours wrote.
        samples: Some refs of foreign changes.
    """

    compared: int = 0
    foreign: int = 0
    strangers: int = 0
    samples: list[str] = field(default_factory=list)


def audit(database: Database, working: WorkingLink, client: GrandShootingClient, *, days: int = 1) -> AuditTotals:
    """Searches a secondary for foreign changes; reports them, and by setting requests that they be overwritten.

    Args:
        database: Replicas and queue.
        working: The link.
        client: Of the secondary.
        days: How far before the last audit it looks, because filters know days only.
    """
    totals = AuditTotals()
    with database.connect() as connection:
        row = connection.execute(
            "select coalesce(audited_at, clock_timestamp()), clock_timestamp() from grand_shooting.links where link = %s",
            [working.id],
        ).fetchone()
    last, now = row or (datetime.now(UTC), datetime.now(UTC))
    asked = now
    for page in client.pages(changed=((last - days * A_DAY).date(), (now + A_DAY).date())):
        _judge(database, working, page, asked, totals)
        asked = datetime.now(UTC)
    with database.connect() as connection:
        connection.execute("update grand_shooting.links set audited_at = %s where link = %s", [now, working.id])
    return totals


def _judge(database: Database, working: WorkingLink, page: ReferencePage, asked: datetime, totals: AuditTotals) -> None:
    found: dict[str, Json] = {item["ref"]: item for item in map(decode_json, page.items())}
    with database.transaction() as connection:
        rows = connection.execute(_WRITTEN, [working.id, list(found), asked]).fetchall()
        known: Any = connection.execute(
            "select count(*) from grand_shooting.replicas where link = %s and target_ref = any(%s)", [working.id, list(found)]
        ).fetchone()
        totals.strangers += len(found) - known[0]
        totals.compared += len(rows)
        foreign = [ref for target_ref, ref, applied in rows if not holds(found[target_ref], decode_json(applied))]
        if not foreign:
            return
        totals.foreign += len(foreign)
        totals.samples += foreign[: 20 - len(totals.samples)]
        connection.execute(
            "update grand_shooting.replicas set foreign_at = clock_timestamp() where link = %s and ref = any(%s)",
            [working.id, foreign],
        )
        if working.link.on_foreign_change == "overwrite":
            request(connection, working.id, foreign, Lane.LIVE, force=True)
