"""How far a seller tenant is read and how long its credentials last: what every vendor with tenants answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class CredentialAge:
    """One credential's remaining life.

    Attributes:
        what: ``client_secret``, ``authorization``, ….
        made_on: When it was made.
        ends_on: When it stops to work.
        days_left: Until then; negative once it has ended.
    """

    what: str
    made_on: date
    ends_on: date
    days_left: int


@dataclass(frozen=True, slots=True)
class TenantState:
    """One tenant.

    Attributes:
        tenant: ``vendor/name``.
        last_updated_after: Where the next poll begins: the end of what is confirmed, aware.
        last_polled_at: When it was last asked.
        last_success_at: When that last went well.
        last_error: Of the last poll, if it failed; without secrets and personal data.
        failing_since: Start of the first failure after the last success.
        orders: Living orders; ``None`` where they were not counted.
        order_items: Their lines, likewise.
        credentials: Those whose dates the settings tell.
    """

    tenant: str
    last_updated_after: datetime | None = None
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    last_error: str | None = None
    failing_since: datetime | None = None
    orders: int | None = None
    order_items: int | None = None
    credentials: tuple[CredentialAge, ...] = ()
