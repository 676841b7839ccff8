"""Registers our webhooks at a main account: list first, create only what is missing, report what is not ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

from sync_pipelines.core.errors import ConfigError
from sync_pipelines.vendors.grand_shooting.client import REFERENCE_TOPICS, GrandShootingClient
from sync_pipelines.vendors.grand_shooting.settings import Settings


@dataclass(slots=True)
class Registration:
    """What was found and done; addresses without their keys.

    Attributes:
        kept: Topics registered before.
        created: Topics registered now.
        removed: Topics registered at our address with another key, removed because the vendor would call twice.
        strangers: Registrations of somebody else, left alone.
    """

    kept: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


def register_webhooks(client: GrandShootingClient, settings: Settings) -> Registration:
    """Makes sure that every reference topic is registered once at our address with the current key.

    Raises:
        ConfigError: The account has no ``webhook_url`` or no ``webhook_key``.
    """
    if not settings.webhook_url or not settings.webhook_key:
        raise ConfigError(
            f"{client.account}: set settings.webhook_url (the public address of our intake) and settings.webhook_key",
            account=client.account,
        )
    wanted = f"{settings.webhook_url}?{urlencode({'key': settings.webhook_key.value()})}"
    done = Registration()
    for subscription in client.subscriptions():
        if without_key(subscription.address) != without_key(wanted):
            done.strangers.append(f"{subscription.topic} at {without_key(subscription.address)}")
        elif subscription.address == wanted and subscription.topic not in done.kept:
            done.kept.append(subscription.topic)
        else:
            client.unsubscribe(subscription.webhook_id)
            done.removed.append(subscription.topic)
    for topic in REFERENCE_TOPICS:
        if topic not in done.kept:
            client.subscribe(wanted, topic)
            done.created.append(topic)
    return done


def without_key(address: str) -> str:
    """An address without its query, which holds the secret."""
    return urlunsplit((*urlsplit(address)[:3], "", ""))
