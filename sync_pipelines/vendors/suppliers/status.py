"""Order states that every supplier's own states are mapped to; the vendor's word is kept beside it."""

from __future__ import annotations

from enum import StrEnum


class CommonStatus(StrEnum):
    """Where a supplier order is."""

    PLACED = "placed"
    UNPAID = "unpaid"
    PROCESSING = "processing"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """A word of the vendor that we have no mapping for; stored as it is, and counted."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected to happen."""
        return self in {CommonStatus.DELIVERED, CommonStatus.CANCELLED}
