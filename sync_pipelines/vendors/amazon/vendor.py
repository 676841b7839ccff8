"""Amazon for the rest of the product: how to connect an account, and how to tell whether it works."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from sync_pipelines.core.budget import Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.erasures import Erasing, Rule
from sync_pipelines.core.errors import AuthError, ConfigError, DatabaseUnavailable, DataError, StreamBusy, SyncError
from sync_pipelines.core.vendor import AccountContext, CheckItem, Vendor
from sync_pipelines.vendors.amazon import streams
from sync_pipelines.vendors.amazon.auth import login_with_amazon
from sync_pipelines.vendors.amazon.client import AmazonClient
from sync_pipelines.vendors.amazon.completeness import known_versions
from sync_pipelines.vendors.amazon.journal import Journal
from sync_pipelines.vendors.amazon.operations import bucket_specs
from sync_pipelines.vendors.amazon.reader import OrdersReader
from sync_pipelines.vendors.amazon.retention import erase_persons
from sync_pipelines.vendors.amazon.settings import AUTH_URL, Settings

_PATIENCE_S = {Lane.BACKFILL: 240.0, Lane.REPLAY: 240.0}
"""How long a run waits for quota before it ends cleanly: below live work, longer than one searchOrders token takes (178.6 s)."""
_LIVE_PATIENCE_S = 60.0


class Reader(OrdersReader):
    """An `OrdersReader` that notes each live poll; opened by `connect`, closed by ``with``."""

    def __init__(
        self,
        client: AmazonClient,
        settings: Settings,
        database: Database,
        *,
        lane: Lane,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(client, settings, lambda ids: known_versions(database, client.account, ids), now=now)
        self._journal = Journal(database, client.account) if lane is Lane.LIVE else None

    def __enter__(self) -> Self:
        if self._journal is not None:
            self._journal.begin()
        return self

    def __exit__(self, *raised: object) -> None:
        self.client.close()
        error = raised[1]
        if self._journal is None or isinstance(error, DatabaseUnavailable | StreamBusy):
            return
        if error is None:
            self._journal.succeed()
        elif isinstance(error, SyncError):
            self._journal.fail(error)


def connect(context: AccountContext) -> Reader:
    """Opens an account for reading.

    Raises:
        ConfigError: There is no master key, so that access tokens cannot be kept.
    """
    settings: Settings = context.settings
    if context.secrets is None:
        raise ConfigError(f"{context.id}: access tokens are kept encrypted; set SYNC_PIPELINES_MASTER_KEY", account=context.id)
    auth = login_with_amazon(
        account=context.id,
        database=context.database,
        secrets=context.secrets,
        auth_url=context.auth_url or AUTH_URL,
        client_id=context.credentials["client_id"],
        client_secret=context.credentials["client_secret"],
        refresh_token=context.credentials["refresh_token"],
    )
    patience_s = _PATIENCE_S.get(context.lane, _LIVE_PATIENCE_S)
    client = AmazonClient(
        account=context.id,
        base_url=context.base_url or settings.default_base_url,
        auth=auth,
        budget=Budget(context.database, context.id, context.lane, bucket_specs(settings), max_wait_s=patience_s),
        marketplaces=settings.marketplaces,
        personal_data=settings.personal_data,
        has_pace=settings.min_call_interval_s > 0,
    )
    return Reader(client, settings, context.database, lane=context.lane)


def check(client: Reader) -> list[CheckItem]:
    """Tries credentials, marketplaces and the permission to read orders; changes nothing and leaves the quota of listings alone."""
    amazon, settings = client.client, client.settings
    try:
        shops = {shop["marketplace"]["id"]: shop["marketplace"]["name"] for shop in amazon.marketplaces()}
    except SyncError as error:
        return [CheckItem("credentials", is_ok=False, detail=str(error))]
    missing = [shop for shop in settings.marketplaces if shop not in shops]
    items = [
        CheckItem("credentials", is_ok=True, detail="Login with Amazon grants access tokens"),
        CheckItem(
            "marketplaces",
            is_ok=not missing,
            detail=f"the seller takes no part in {', '.join(missing)}"
            if missing
            else ", ".join(shops[shop] for shop in settings.marketplaces),
        ),
    ]
    try:
        client.probe()
    except AuthError as error:
        items.append(CheckItem("permission to read orders", is_ok=False, detail=str(error)))
    except DataError:
        items.append(CheckItem("permission to read orders", is_ok=True, detail="granted"))
    else:
        items.append(CheckItem("permission to read orders", is_ok=True, detail="granted"))
    if settings.personal_data:
        sees = amazon.may_see_persons
        items.append(
            CheckItem("permission to see persons", is_ok=sees, detail="not refused" if sees else "refused; ask Amazon for the role")
        )
    return items


def _erase(erasing: Erasing) -> dict[str, int]:
    erased = erase_persons(erasing.database, erasing.account, erasing.settings, now=erasing.now)
    return {"amazon.orders": erased.orders, "sync.archive": erased.pages, "sync.dead_letters": erased.dead_letters}


VENDOR = Vendor(
    name="amazon",
    streams=(streams.orders,),
    connect=connect,
    check=check,
    erasures=(Rule(name="personal_data_days", days=lambda settings: settings.personal_data_days, erase=_erase),),
)
