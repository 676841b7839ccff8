"""The seller tenants as the status shows them: the view ``amazon.sync_state``, and how long their credentials last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from sync_pipelines.core.tenants import CredentialAge, TenantState
from sync_pipelines.vendors.amazon.settings import Settings

SECRET_LIFE = timedelta(days=180)
"""A client secret ends after so long (facts §2.1)."""
AUTHORIZATION_LIFE = timedelta(days=365)

_STATE = "tenant, last_updated_after, last_polled_at, last_success_at, last_error, failing_since"
_COUNTS = ", orders, order_items"


def tenant_states(connection: Connection[Any], accounts: Mapping[str, Any], today: date, *, is_counted: bool) -> list[TenantState]:
    """The state of each configured tenant, in the configuration's order.

    Args:
        connection: Where the polls are.
        accounts: Settings of all accounts, by id; those of other vendors are passed over.
        today: In UTC.
        is_counted: Count orders and lines too, which may take seconds.
    """
    tenants = {account: settings for account, settings in accounts.items() if isinstance(settings, Settings)}
    if not tenants:
        return []
    query = f"SELECT {_STATE}{_COUNTS if is_counted else ''} FROM amazon.sync_state WHERE tenant = ANY(%s)"  # noqa: S608
    rows = connection.cursor(row_factory=dict_row).execute(query, [list(tenants)]).fetchall()
    known = {row["tenant"]: row for row in rows}
    return [
        TenantState(**known.get(account, {"tenant": account}), credentials=credential_ages(settings, today))
        for account, settings in tenants.items()
    ]


def credential_ages(settings: Settings, today: date) -> tuple[CredentialAge, ...]:
    """Remaining lives of the credentials whose dates the settings tell."""
    known = (
        ("client_secret", settings.secret_created_on, SECRET_LIFE),
        ("authorization", settings.authorized_on, AUTHORIZATION_LIFE),
    )
    return tuple(
        CredentialAge(what, made_on, made_on + life, (made_on + life - today).days) for what, made_on, life in known if made_on
    )
