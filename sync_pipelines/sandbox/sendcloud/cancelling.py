"""What happens when a label is taken back: at once, queued, or refused (facts §4.5, §5.1)."""

from __future__ import annotations

from collections.abc import Callable

from sync_pipelines.sandbox.sendcloud.catalogue import (
    ANNOUNCEMENT_FAILED,
    CANCELLATION_REQUESTED,
    CANCELLED,
    DELIVERED,
    NO_LABEL,
)
from sync_pipelines.sandbox.sendcloud.generate import DAY, Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.world import Account

LAST_DAY = 42
"""Days after the announcement until which a label can be cancelled."""


def cancel_parcel(account: Account, shipping: Shipping, parcel: Parcel) -> tuple[int, str, str]:
    """V2's way: HTTP status, word, message. Cancelling one parcel cancels its shipment (facts §8.15)."""
    if parcel.status == NO_LABEL:
        account.drop_shipping(shipping)
        return 200, "deleted", "Parcel has been deleted"
    if parcel.status == ANNOUNCEMENT_FAILED:
        account.drop_shipping(shipping)
        return 410, "deleted", "Parcel has been deleted"
    refusal = _refusal(account, shipping, parcel)
    if refusal:
        return 400, "failed", refusal
    if cancel_shipping(account, shipping):
        return 200, "cancelled", "Parcel has been cancelled"
    return 202, "queued", "Parcel cancellation has been queued"


def cancel_shipment(account: Account, shipping: Shipping) -> tuple[int, str, str]:
    """V3's way: HTTP status, word or error code, message. 410 is what one vendor page tells of failed announcements."""
    first = shipping.parcels[0]
    if first.status == ANNOUNCEMENT_FAILED:
        return 410, "invalid", "This shipment's announcement has failed and it has been deleted."
    refusal = _refusal(account, shipping, first)
    if refusal:
        return 409, "invalid", refusal
    if cancel_shipping(account, shipping):
        return 200, "cancelled", "Shipment has been cancelled"
    return 202, "queued", "Shipment cancellation has been queued"


def cancel_shipping(account: Account, shipping: Shipping) -> bool:
    """Cancels now (``True``), or asks the carrier, which agrees after the account's ``announce_s``."""
    if shipping.cancel != "queued":
        _set_all(account, shipping, CANCELLED)
        return True
    _set_all(account, shipping, CANCELLATION_REQUESTED)
    account.later(account.settings.announce_s, ("cancel", shipping.id), _agree(account, shipping))
    return False


def _agree(account: Account, shipping: Shipping) -> Callable[[], None]:
    return lambda: _set_all(account, shipping, CANCELLED)


def _set_all(account: Account, shipping: Shipping, status: int) -> None:
    for parcel in shipping.parcels:
        moment = max(account.now, parcel.updated + 1000)
        parcel.history.append((moment, status))
        parcel.updated = moment
    account.keep_shipping(shipping)


def _refusal(account: Account, shipping: Shipping, parcel: Parcel) -> str | None:
    if parcel.status == CANCELLED:
        return "This shipment is already cancelled."
    if parcel.status == CANCELLATION_REQUESTED:
        return "This shipment is already being cancelled."
    if parcel.status == DELIVERED:
        return "This shipment has been delivered and can no longer be cancelled."
    if parcel.announced is not None and parcel.announced < account.now - LAST_DAY * DAY:
        return f"This shipment was announced more than {LAST_DAY} days ago and can no longer be cancelled."
    return "The carrier does not allow this shipment to be cancelled." if shipping.cancel == "refused" else None
