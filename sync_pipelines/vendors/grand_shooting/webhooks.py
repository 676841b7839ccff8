"""What a webhook of Grand Shooting must prove and what it means. Pure: the service stores and enqueues.

The sender does not sign. The secret is a ``key`` in the registered address, and the body must name the account (facts.md §5).
"""

from __future__ import annotations

import hmac

from pydantic import ValidationError

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.queue import NewTask
from sync_pipelines.vendors.grand_shooting.client import REFERENCE_TOPICS
from sync_pipelines.vendors.grand_shooting.models import WebhookBody
from sync_pipelines.vendors.grand_shooting.settings import Settings


def is_genuine(settings: Settings, key: str) -> bool:
    """Whether the key is the current or the previous one, in constant time; without a configured key nobody is let in."""
    given = key.encode()
    matches = [
        hmac.compare_digest(given, known.encode()) for known in (settings.webhook_key, settings.previous_webhook_key) if known
    ]
    return any(matches)


def tasks_of(account: str, settings: Settings, body: bytes) -> list[NewTask]:
    """The references a webhook says may have changed, one task each; pictures and unknown topics mean nothing to us.

    Raises:
        DataError: The body is not what the vendor sends, or names another account.
    """
    try:
        webhook = WebhookBody.model_validate_json(body)
        numbers = [int(number) for number in webhook.ids]
    except (ValidationError, ValueError) as error:
        raise DataError(f"{account}: the body of a webhook is not what the vendor documents", account=account) from error
    if settings.account_id is not None and webhook.account_id != settings.account_id:
        raise DataError(f"{account}: a webhook names account {webhook.account_id}", account=account)
    if webhook.topic not in REFERENCE_TOPICS:
        return []
    return [
        NewTask(account=account, key=str(number), payload={"topic": webhook.topic}, lane=Lane.WEBHOOK)
        for number in dict.fromkeys(numbers)
        if number > 0
    ]
