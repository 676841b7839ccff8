"""Grand Shooting's webhooks: what one must prove, and which references it says may have changed.

The sender does not sign. The secret is a ``key`` in the registered address, and the body must name the account (facts.md §5).
There is no event id and no time, and two real changes look the same, so nothing is taken for a repeat: a second task of a
reference takes the place of a waiting first one anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from pydantic import ValidationError

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.errors import ContractError, DataError
from sync_pipelines.core.jsons import Json, decode_json
from sync_pipelines.core.queue import NewTask, QueueSpec
from sync_pipelines.core.webhooks import Verdict, WebhookRoute, keys_match, known_keys
from sync_pipelines.vendors.grand_shooting.client import REFERENCE_TOPICS
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import CHANGES
from sync_pipelines.vendors.grand_shooting.models import WebhookBody
from sync_pipelines.vendors.grand_shooting.settings import Settings


def verify(settings: Settings, _: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Verdict:
    """The key is the current or the previous one, and the body names no other account than ours."""
    if not keys_match(query.get("key"), known_keys((settings.webhook_key, settings.previous_webhook_key))):
        return Verdict.FORGED
    try:
        document = decode_json(body)
    except ContractError:
        return Verdict.GENUINE
    named = document.get("account_id") if isinstance(document, dict) else None
    is_ours = named is None or settings.account_id is None or named == settings.account_id
    return Verdict.GENUINE if is_ours else Verdict.WRONG_ACCOUNT


def to_tasks(account: str, _: Settings, document: Json) -> Iterator[tuple[QueueSpec, NewTask]]:
    """One task for each reference; pictures and unknown topics mean nothing to us.

    Raises:
        DataError: The body is not what the vendor documents.
    """
    try:
        webhook = WebhookBody.model_validate(document)
        numbers = [int(number) for number in webhook.ids]
    except (ValidationError, ValueError) as error:
        raise DataError(f"{account}: the body of a webhook is not what the vendor documents", account=account) from error
    if webhook.topic not in REFERENCE_TOPICS:
        return
    for number in dict.fromkeys(numbers):
        if number > 0:
            yield CHANGES, NewTask(account=account, key=str(number), payload={"topic": webhook.topic}, lane=Lane.WEBHOOK)


WEBHOOKS = (
    WebhookRoute(
        vendor="grand_shooting",
        path="/webhooks/grand-shooting/{account}",
        verify=verify,
        to_tasks=to_tasks,
        dedupe_digest_for=timedelta(0),
    ),
)
