"""How failed labels, refused orders and unreadable parcel events are tried once more from their dead letters."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from sync_pipelines.core.dead_letters import Letter
from sync_pipelines.core.errors import TransientError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.stream import WriteContext
from sync_pipelines.core.vendor import AccountContext, LetterRetry
from sync_pipelines.vendors.sendcloud import label_requests, letters, webhooks
from sync_pipelines.vendors.sendcloud.actions import Labels
from sync_pipelines.vendors.sendcloud.catalogue import outbound
from sync_pipelines.vendors.sendcloud.client import SendCloudClient
from sync_pipelines.vendors.sendcloud.letters import RETRY_QUEUE


def make_label(account: AccountContext, client: SendCloudClient, run_id: str, letter: Letter) -> str | None:
    """Announces a failed request anew; an edited letter changes the request first.

    Raises:
        TransientError: The vendor has not judged it yet; it waits for the next round.
    """
    key = int(letter.key)
    with account.database.transaction() as connection:
        if letter.original is not None:
            label_requests.change(connection, account.id, key, decode_json(letter.payload))
        label_requests.try_again(connection, account.id, [key])
    Labels(account.database, account.id, client, account.settings, run_id=run_id).create(ids=[key])
    with account.database.connect() as connection:
        state = label_requests.state_of(connection, account.id, key)
    if state == "failed":
        return label_requests.REFUSED
    if state in {"waiting", "sending", "announcing"}:
        raise TransientError(f"{account.id}: label request {key} is {state} now", account=account.id)
    return None


def write_products(account: AccountContext, client: SendCloudClient, run_id: str, letter: Letter) -> str | None:
    """Writes the master data onto a refused order, as both are now."""
    wanted = decode_json(letter.payload)
    order = (str(wanted["order_id"]), int(wanted["integration_id"]))
    totals = outbound.push(account.database, account.id, client, account.settings, run_id=run_id, orders=[order])
    return outbound.REFUSED if totals.refused else None


def store_event(account: AccountContext, client: SendCloudClient, run_id: str, letter: Letter) -> str | None:
    """Stores a parcel's event."""
    del client
    context = WriteContext(account.id, run_id, datetime.now(UTC), account.settings)
    try:
        with account.database.transaction() as connection:
            stored = webhooks.store(connection, context, [letter.payload])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        return describe(error).text
    return stored.broken[0][1] if stored.broken else None


RETRIES = (
    LetterRetry(letters.LABELS, RETRY_QUEUE, make_label),
    LetterRetry(letters.PRODUCTS, RETRY_QUEUE, write_products),
    LetterRetry(letters.DELIVERIES, RETRY_QUEUE, store_event),
    LetterRetry(letters.EVENTS, RETRY_QUEUE, store_event),
)
