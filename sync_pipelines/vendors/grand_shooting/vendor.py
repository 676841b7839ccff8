"""Grand Shooting for the rest of the product: how to connect an account, and how to tell whether it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from sync_pipelines.core.budget import Budget
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.http import HttpClient
from sync_pipelines.core.vendor import AccountContext, CheckItem, Vendor
from sync_pipelines.vendors.grand_shooting import streams
from sync_pipelines.vendors.grand_shooting.client import CALLS, PACE, GrandShootingClient, bucket, token_auth


@contextmanager
def connect(account: AccountContext, pace: float | None = None, *, owner: str = "") -> Iterator[GrandShootingClient]:
    """Opens a client for one account; everything that calls the account shares its budget.

    Args:
        account: The account.
        pace: Calls a second of a link that shall not use the whole quota.
        owner: See `Budget`.
    """
    settings = account.settings
    buckets = [bucket(CALLS, settings.requests_per_second), *([bucket(PACE, pace)] if pace is not None else [])]
    budget = Budget(account.database, account.id, account.lane, buckets, owner=owner)
    http = HttpClient(
        account=account.id,
        base_url=account.base_url,
        budget=budget,
        auth=token_auth(account.credentials["token"], settings.scheme),
        default_buckets=tuple(spec.name for spec in buckets),
    )
    with http, closing(budget):
        yield GrandShootingClient(http, overlap_days=settings.date_overlap_days)


def check(client: GrandShootingClient) -> list[CheckItem]:
    """Tries the token, and the permissions to read references and webhooks."""
    items: list[CheckItem] = []
    tries: dict[str, Callable[[], str]] = {
        "read references": lambda: f"{len(next(client.pages()).items())} on the first page",
        "read webhooks": lambda: f"{len(client.subscriptions())} registered",
    }
    for what, attempt in tries.items():
        try:
            items.append(CheckItem(what, is_ok=True, detail=attempt()))
        except SyncError as error:
            items.append(CheckItem(what, is_ok=False, detail=str(error)))
    return items


VENDOR = Vendor(name="grand_shooting", streams=streams.STREAMS, connect=connect, check=check)
