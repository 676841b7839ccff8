"""Who is told what, and by which way."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sync_pipelines.core.references import Reference

Severity = Literal["info", "warning", "error"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmailSettings(_Shape):
    """A mail relay; any SMTP server will do."""

    host: str = Field(min_length=1, description="The relay's host name")
    port: int = Field(default=587, ge=1, le=65535, description="587 for starttls, 465 for tls")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none only for a relay on this machine")
    username: str | None = Field(default=None, description="For relays that want a login")
    password: Reference | None = Field(default=None, description="The login's password")
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", description="From address")


class SlackSettings(_Shape):
    """A bot's token, or an incoming webhook."""

    token: Reference | None = Field(default=None, description="A bot's token (xoxb-…); reaches every channel it is invited to")
    webhook_url: Reference | None = Field(default=None, description="An incoming webhook's address; reaches its one channel")
    channel: str | None = Field(default=None, description="Default channel of the token")
    base_url: str = Field(
        default="https://slack.com/api/", pattern=r"^https?://\S+/$", description="Where the token's API is; ends with a slash"
    )


class Person(_Shape):
    """Somebody to tell, and what they want to hear."""

    name: str = Field(min_length=1, description="How messages and the ledger call them; unique")
    email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$", description="Address; none: not told by e-mail")
    slack: str | None = Field(default=None, description="Channel or member id")
    email_from: Severity | None = Field(default="warning", description="Least severity sent by e-mail; null: none")
    slack_from: Severity | None = Field(default="warning", description="Least severity sent to Slack; null: none")


class AlertSettings(_Shape):
    """Channels, people and the limits of the rules."""

    email: EmailSettings | None = Field(default=None, description="The relay for e-mail; none: no e-mail")
    slack: SlackSettings | None = Field(default=None, description="The way to Slack; none: no Slack")
    people: list[Person] = Field(default=[], description="Who is told")
    status_url: str | None = Field(default=None, description="Address of the status page in messages")
    dagster_url: str | None = Field(default=None, description="Address of the Dagster UI in messages")
    queue_waiting: int = Field(default=10_000, ge=1, description="Waiting tasks of a queue above which people are told")
    error_standing_minutes: int = Field(default=30, ge=1, description="How long an error may stand")
    expiry_days: int = Field(default=14, ge=1, description="How long before its end a secret or token is reported")
    messages_every_minutes: int = Field(default=60, ge=1, description="Least time between two messages to one person")
    urgent_at_once: bool = Field(
        default=True,
        description="A silent daemon, code server or database is told at once, even shortly after another message (once an hour)",
    )

    @model_validator(mode="after")
    def _told_apart(self) -> AlertSettings:
        names = [person.name for person in self.people]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"people need different names; more than once: {', '.join(twice)}")
        return self
