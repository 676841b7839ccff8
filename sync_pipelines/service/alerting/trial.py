"""The message of ``sync-pipelines alerts test``."""

from __future__ import annotations

from datetime import datetime

from sync_pipelines.service.alerting.digest import Group, Line, Links, Message


def trial_message(links: Links, *, key: str, at: datetime) -> Message:
    """One that says that it is none."""
    lines = (Line("info: nothing is wrong; this shows that messages reach you and where their links lead"),)
    return Message(
        key=key,
        subject="[sync-pipelines] test message",
        note="Sent by `sync-pipelines alerts test`.",
        groups=(Group("Test", lines),),
        links=links,
        at=at,
        footer=(f"Status page: {links.status}", f"Dagster: {links.dagster}/runs"),
    )
