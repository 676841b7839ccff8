"""What is watched for fan-out links: lag, line and circuit, each by the link's own limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from sync_pipelines.core.alerts import Finding, Look, Rule, Severity
from sync_pipelines.vendors.grand_shooting.fan_out.drain import lines
from sync_pipelines.vendors.grand_shooting.fan_out.links import circuit


def _find(look: Look) -> Iterator[Finding]:
    """Lag and line of every link; a paused link collects on purpose."""
    found = lines(look.database, [link.id for link in look.links])
    for link in look.links:
        state = circuit(look.connection, link.id)
        waiting, lag_s = found[link.id]
        if state.is_paused or not link.active:
            continue
        if lag_s > link.alerts.lag_minutes * 60:
            limit = link.alerts.lag_minutes
            text = f"the oldest unapplied change waits for {lag_s / 60:.0f} min ({waiting:,} waiting), more than {limit}"
            yield Finding(f"link {link.id}, lag", f"link {link.id} ({link.main} to {link.secondary}): {text}")
        if waiting > link.alerts.waiting:
            text = f"more than {link.alerts.waiting:,} changes wait"
            yield Finding(f"link {link.id}, line", f"link {link.id} ({link.main} to {link.secondary}): {text}")


def _open_circuits(look: Look) -> Iterator[Finding]:
    for link in look.links:
        state = circuit(look.connection, link.id)
        if state.failures > 0 and state.open_until is not None:
            text = f"{state.failures} failures in a row, next try {state.open_until.astimezone(UTC):%H:%M} UTC"
            yield Finding(f"link {link.id}", f"link {link.id}: {link.secondary} fails as a whole: {text}. {state.trouble or ''}")


RULES = (
    Rule(name="link_behind", title="Links behind", severity=Severity.WARNING, find=_find),
    Rule(name="link_circuit", title="Links cut off", severity=Severity.ERROR, find=_open_circuits),
)
