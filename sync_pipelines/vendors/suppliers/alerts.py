"""What is watched for suppliers beyond the engine's rules: implausible lists, stock that aged into unknown, webhooks given up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sync_pipelines.core.alerts import Finding, Look, Rule, Severity
from sync_pipelines.vendors.suppliers.health import concerns


def _find(look: Look) -> Iterator[Finding]:
    for concern in concerns(look.database):
        yield Finding(f"{concern.about} of {concern.account}", concern.text, count=concern.count)


RULES = (Rule(name="suppliers", title="Suppliers' data", severity=Severity.WARNING, find=_find, every=timedelta(minutes=5)),)
