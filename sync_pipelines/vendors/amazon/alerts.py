"""What is watched for Amazon beyond the engine's rules: standing errors, unusual quiet, credentials that end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from sync_pipelines.core.alerts import Finding, Look, Rule, Severity
from sync_pipelines.vendors.amazon.actions import concerns

_TITLES = {
    "error_stands": ("Amazon: polls failing", Severity.ERROR),
    "unusually_quiet": ("Amazon: unusually quiet", Severity.WARNING),
    "secret_ends": ("Amazon: client secrets that end", Severity.WARNING),
    "authorization_ends": ("Amazon: authorizations that end", Severity.WARNING),
}


def _of_kind(kind: str, look: Look) -> Iterator[Finding]:
    for account, settings in look.accounts("amazon").items():
        for concern in concerns(look.database, account, settings, now=look.now):
            if concern.kind == kind:
                yield Finding(account, concern.text)


def _rule(kind: str) -> Rule:
    title, severity = _TITLES[kind]
    find: Callable[[Look], Iterator[Finding]] = partial(_of_kind, kind)
    return Rule(name=f"amazon_{kind}", title=title, severity=severity, find=find, every=timedelta(minutes=1))


RULES = tuple(_rule(kind) for kind in _TITLES)
