"""A supplier account under test: its look-alike, its settings, and one call that reads a stream as the product does."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.core.db import Database
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.sync import sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers.aliexpress.settings import Settings as AliExpressSettings
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings as BigBuySettings
from sync_pipelines.vendors.suppliers.http_json.settings import Settings as HttpJsonSettings
from sync_pipelines.vendors.suppliers.session import Session
from sync_pipelines.vendors.suppliers.streams import STREAMS
from sync_pipelines.vendors.suppliers.vendor import connect
from sync_pipelines_tests.sandboxes import RunningSandbox

FEED = "DS bestseller"
MASTER_KEY = base64.b64encode(bytes(32)).decode()
CREDENTIALS = {
    "bigbuy": {"api_key": "sandbox-key"},
    "aliexpress": {
        "app_key": "sandbox-app",
        "app_secret": "sandbox-app-secret",
        "access_token": "sandbox-access",
        "refresh_token": "sandbox-refresh",
    },
    "http_json": {"api_key": "sandbox-key"},
}
DEFAULTS: dict[str, Callable[..., Any]] = {
    "bigbuy": BigBuySettings,
    "aliexpress": lambda **given: AliExpressSettings(**{"feeds": [FEED], "calls_per_second": 500, **given}),
    "http_json": HttpJsonSettings,
}


@dataclass
class Desk:
    """One account.

    Attributes:
        supplier: ``bigbuy``.
        database: Ours.
        sandbox: The supplier's look-alike.
        given: Settings that differ from the defaults.
        open: Opens a session; replaced by tests with a clock of their own.
    """

    supplier: str
    database: Database
    sandbox: RunningSandbox
    given: dict[str, Any] = field(default_factory=dict)
    open: Callable[[AccountContext], Session] = connect
    runs: int = 0

    @property
    def account(self) -> str:
        return f"{self.supplier}/main"

    @property
    def context(self) -> AccountContext:
        return AccountContext(
            id=self.account,
            base_url=self.sandbox.base_url,
            auth_url=None,
            credentials=CREDENTIALS[self.supplier],
            settings=DEFAULTS[self.supplier](**self.given),
            database=self.database,
            secrets=Secrets(self.database, MasterKeys.parse(MASTER_KEY)),
        )

    def sync(self, *tables: str) -> SyncTotals:
        """One run of each table's stream; the last one's totals."""
        totals = None
        for table in tables:
            self.runs += 1
            context = self.context
            with self.open(context) as session:
                totals = sync_stream(
                    STREAMS[table],
                    database=self.database,
                    account=self.account,
                    client=session,
                    run_id=f"run-{self.runs}",
                    settings=context.settings,
                )
        assert totals is not None
        return totals

    def sync_again(self, table: str) -> bool:
        """The next hour's run; whether there is more to read."""
        self.forget_windows()
        return self.sync(table).status == "partial"

    def sync_fully(self, *tables: str) -> None:
        """As many hours as the tables' lists take."""
        for table in tables:
            while self.sync_again(table):
                pass

    def follow(self, *, order_id: str | None = None, reference: str | None = None) -> None:
        """Another program wants this order to be followed."""
        with self.database.connect() as connection:
            connection.execute(
                "INSERT INTO suppliers.order_requests (account, order_id, reference) VALUES (%s, %s, %s)",
                [self.account, order_id, reference],
            )

    def confirm_holds(self) -> None:
        """A person says: go ahead."""
        with self.database.connect() as connection:
            connection.execute("UPDATE sync.holds SET confirmed_at = clock_timestamp(), confirmed_by = 'test'")

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, parameters or None).fetchall()

    def column(self, query: str, *parameters: Any) -> dict[Any, Any]:
        """The two columns of a query as a mapping."""
        return {row[0]: row[1] for row in self.rows(query, *parameters)}

    def stock(self) -> dict[str, int]:
        return self.column("SELECT supplier_sku, quantity FROM suppliers.stock WHERE deleted_at IS NULL")

    def availability(self) -> dict[str, str]:
        return self.column("SELECT supplier_sku, availability FROM suppliers.offers")

    def forget_windows(self) -> None:
        """A new hour: all quotas of the account are fresh, here and at the supplier."""
        self.sandbox.control.clock(advance=3700)
        with self.database.connect() as connection:
            connection.execute("DELETE FROM sync.budgets WHERE account = %s", [self.account])

    def age(self, interval: str) -> None:
        """Everything known of this account was learnt so much earlier."""
        with self.database.connect() as connection:
            connection.execute("UPDATE suppliers.reads SET as_of = as_of - %s::interval", [interval])
            connection.execute("UPDATE suppliers.doubts SET known_at = known_at - %s::interval", [interval])
            connection.execute("UPDATE suppliers.stock SET version = version - %s::interval", [interval])
