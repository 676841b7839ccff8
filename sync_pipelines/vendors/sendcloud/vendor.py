"""SendCloud for the rest of the product: how to connect an account, and how to tell whether it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from sync_pipelines.core.budget import Budget
from sync_pipelines.core.errors import ConfigError, SyncError
from sync_pipelines.core.http import HttpClient
from sync_pipelines.core.oauth import OAuthRefresh
from sync_pipelines.core.vendor import AccountContext, CheckItem, Vendor
from sync_pipelines.vendors.sendcloud import document_store, streams
from sync_pipelines.vendors.sendcloud.client import (
    DEFAULT_AUTH_URL,
    SendCloudClient,
    basic_auth,
    buckets,
    classify,
    token_request,
)
from sync_pipelines.vendors.sendcloud.personal import ERASURES
from sync_pipelines.vendors.sendcloud.reference.streams import STREAMS as REFERENCE
from sync_pipelines.vendors.sendcloud.retries import RETRIES


@contextmanager
def connect(account: AccountContext) -> Iterator[SendCloudClient]:
    """Opens a client for one account; all of the account's keys share its budget."""
    settings = account.settings
    specs = buckets(
        reads_per_minute=settings.reads_per_minute,
        writes_per_minute=settings.writes_per_minute,
        writes_per_second=settings.writes_per_second,
    )
    http = HttpClient(
        account=account.id,
        base_url=account.base_url,
        budget=Budget(account.database, account.id, account.lane, specs),
        auth=_auth(account),
        classify=classify,
    )
    with http:
        yield SendCloudClient(http)


def _auth(account: AccountContext) -> httpx.Auth:
    """Basic with the key pair, or OAuth client credentials with the same pair where the account is set to that."""
    public_key, secret_key = account.credentials["public_key"], account.credentials["secret_key"]
    if not account.settings.oauth:
        return basic_auth(public_key, secret_key)
    return OAuthRefresh(
        account=account.id,
        database=account.database,
        secrets=account.secrets,
        refresh_token=None,
        build_request=token_request(account.auth_url or DEFAULT_AUTH_URL, public_key, secret_key),
    )


def check(client: SendCloudClient) -> list[CheckItem]:
    """Tries the credentials and the permission to read orders and shipments."""
    items: list[CheckItem] = []
    tries: dict[str, Callable[[], str]] = {
        "credentials": lambda: f"integration {client.auth_metadata().get('integration_id')}",
        "read orders": lambda: f"{next(client.orders(page_size=1)).count} on the first page",
        "read shipments": lambda: f"{next(client.shipments(page_size=1)).count} on the first page",
    }
    for what, attempt in tries.items():
        try:
            items.append(CheckItem(what, is_ok=True, detail=attempt()))
        except SyncError as error:
            items.append(CheckItem(what, is_ok=False, detail=str(error)))
    return items


def prerequisites(account: str, settings: Any) -> list[CheckItem]:
    """Whether this machine can keep documents where the account wants them; nothing, if it wants them in the database."""
    directory = settings.labels.directory
    if directory is None:
        return []
    try:
        document_store.require(account, directory)
    except ConfigError as error:
        return [CheckItem("keep documents", is_ok=False, detail=str(error))]
    return [CheckItem("keep documents", is_ok=True, detail=directory)]


VENDOR = Vendor(
    name="sendcloud",
    streams=(streams.orders, streams.parcels, *REFERENCE),
    connect=connect,
    check=check,
    prerequisites=prerequisites,
    retries=RETRIES,
    erasures=ERASURES,
)
