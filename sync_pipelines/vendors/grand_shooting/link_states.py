"""The links as the status page shows them, in two queries however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from sync_pipelines.core.links import LinkState
from sync_pipelines.vendors.grand_shooting.fan_out.rounds import next_batch
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import FAN_OUT
from sync_pipelines.vendors.grand_shooting.settings import Link


def link_states(connection: Connection[Any], links: Sequence[Link], now: datetime) -> list[LinkState]:
    """The state of each configured link, in the configuration's order."""
    ids = [link.id for link in links]
    circuits = {
        link: (failures, trouble, is_paused)
        for link, failures, trouble, is_paused in connection.execute(
            "select link, failures, trouble, paused_at is not null from grand_shooting.links where link = any(%s)", [ids]
        )
    }
    unwell: dict[tuple[str, str], int] = {
        (link, state): count
        for link, state, count in connection.execute(
            "select link, state, count(*) from grand_shooting.replicas"
            " where state in ('held', 'failed') and link = any(%s) group by link, state",
            [ids],
        )
    }
    states = []
    for link in links:
        failures, trouble, is_paused = circuits.get(link.id, (0, None, False))
        states.append(
            LinkState(
                id=link.id,
                main=link.main,
                secondary=link.secondary,
                state="inactive" if not link.active else "paused" if is_paused else "open circuit" if failures else "active",
                trouble=trouble,
                queue=FAN_OUT.name,
                next_batch_at=next_batch(link, now),
                failed=unwell.get((link.id, "failed"), 0),
                held=unwell.get((link.id, "held"), 0),
            )
        )
    return states
