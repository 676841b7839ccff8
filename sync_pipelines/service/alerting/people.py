"""Who hears what by which way, as the configuration says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sync_pipelines.config import AlertSettings
from sync_pipelines.core.alerts import Severity

EMAIL, SLACK = "email", "slack"
WEBHOOK = "incoming webhook"
"""Stands for the one channel that an incoming webhook posts to."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One mailbox or Slack conversation.

    Attributes:
        person: Name, or the Slack conversation where several share one; with the channel, whose messages are counted.
        channel: `EMAIL` or `SLACK`.
        address: E-mail address, channel or member id, or `WEBHOOK`.
        least: Least severity wanted.
    """

    person: str
    channel: str
    address: str
    least: Severity

    @property
    def severities(self) -> list[str]:
        """Those wanted."""
        return [str(severity) for severity in Severity if severity.rank >= self.least.rank]


def recipients(settings: AlertSettings) -> list[Recipient]:
    """Everyone who is to be told; people who share a Slack conversation get one message there, at the least severity any wants."""
    found: dict[tuple[str, str], Recipient] = {}
    for recipient in _each(settings):
        key = (recipient.channel, recipient.address if recipient.channel == SLACK else recipient.person)
        other = found.get(key)
        if other is None:
            found[key] = recipient
        else:
            shared = recipient.address
            found[key] = Recipient(shared, SLACK, shared, min(recipient.least, other.least, key=lambda least: least.rank))
    return list(found.values())


def _each(settings: AlertSettings) -> Iterator[Recipient]:
    for person in settings.people:
        if settings.email and person.email and person.email_from:
            yield Recipient(person.name, EMAIL, person.email, Severity(person.email_from))
        if settings.slack and person.slack_from:
            address = _slack_address(settings, person.slack)
            if address:
                yield Recipient(person.name, SLACK, address, Severity(person.slack_from))


def _slack_address(settings: AlertSettings, own: str | None) -> str | None:
    slack = settings.slack
    if slack is None:
        return None
    if slack.token:
        return own or slack.channel or (WEBHOOK if slack.webhook_url else None)
    return WEBHOOK if slack.webhook_url else None
