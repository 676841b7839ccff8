"""``alerts``: what is wrong now, and whether messages about it would arrive."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import database
from sync_pipelines.config import Environment, active_config
from sync_pipelines.core.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="What is wrong, and who is told.", no_args_is_help=True)
    group.command("list")(list_alerts)
    group.command("test")(send_test)
    app.add_typer(group, name="alerts")


def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Closed ones as well")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many")] = 200,
) -> None:
    """Shows open alerts, newest first."""
    from sync_pipelines.service.alerting import ledger

    with database() as opened, opened.connect() as connection:
        rows = [asdict(alert) for alert in ledger.alerts(connection, is_open=not everything, limit=limit)]
    columns = {"id": "id", "severity": "severity", "rule": "rule", "summary": "what", "opened_at": "since", "closed_at": "until"}
    output.rows(rows, columns, empty="nothing is wrong")


def send_test(
    person: Annotated[str | None, typer.Option("--person", "-p", help="Only this one")] = None,
) -> None:
    """Sends one message to each person on each of their channels. Exit code 1 if one was not taken, 2 if nobody is to be told."""
    from sync_pipelines.service.alerting.opening import links, open_channels
    from sync_pipelines.service.alerting.people import recipients
    from sync_pipelines.service.alerting.sender import deliver
    from sync_pipelines.service.alerting.trial import trial_message

    environment = Environment.read()
    with database() as opened:
        settings = active_config(opened, environment.config_path).alerts
        people = [recipient for recipient in recipients(settings) if person in {None, recipient.person}]
        if not people:
            whom = f"named {person} " if person else ""
            raise ConfigError(f"nobody {whom}is to be told by any channel; name people and a channel under alerts: (docs/alert.md)")
        channels = open_channels(settings, environment, opened)
        rows: list[dict[str, Any]] = []
        for recipient in people:
            message = trial_message(links(settings, environment), key=f"alerts-test-{uuid4().hex}", at=datetime.now(UTC))
            outcome = deliver(recipient, message, channels)
            rows.append(
                {
                    "person": recipient.person,
                    "channel": recipient.channel,
                    "is_sent": outcome.error is None,
                    "detail": outcome.error or "taken",
                }
            )
    output.rows(rows, {"person": "person", "channel": "channel", "is_sent": "sent", "detail": "detail"})
    if not all(row["is_sent"] for row in rows):
        raise typer.Exit(1)
