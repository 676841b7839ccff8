"""SendCloud's statuses in the words of a warehouse system, and v2 status ids in v3 codes (facts §3.4, §4.6).

The vendor's own word is always stored; a word that is in no table is stored too, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping

V2_CODES: Mapping[int, str] = {
    1: "ANNOUNCED",
    3: "EN_ROUTE_TO_SORTING_CENTER",
    4: "DELIVERY_DELAYED",
    5: "SORTED",
    6: "NOT_SORTED",
    7: "BEING_SORTED",
    8: "DELIVERY_ATTEMPT_FAILED",
    11: "DELIVERED",
    12: "AWAITING_CUSTOMER_PICKUP",
    13: "ANNOUNCED_NOT_COLLECTED",
    15: "ERROR_COLLECTING",
    22: "SHIPMENT_PICKED_UP_BY_DRIVER",
    80: "UNABLE_TO_DELIVER",
    91: "PARCEL_EN_ROUTE",
    92: "DRIVER_EN_ROUTE",
    93: "SHIPMENT_COLLECTED_BY_CUSTOMER",
    94: "PARCEL_CANCELLATION_FAILED",
    999: "NO_LABEL",
    1000: "READY_TO_SEND",
    1001: "ANNOUNCING",
    1002: "ANNOUNCEMENT_FAILED",
    1998: "CANCELLED_UPSTREAM",
    1999: "CANCELLATION_REQUESTED",
    2000: "CANCELLED",
    2001: "SUBMITTING_CANCELLATION_REQUEST",
    62989: "AT_CUSTOMS",
    62990: "AT_SORTING_CENTRE",
    62991: "REFUSED_BY_RECIPIENT",
    62992: "RETURNED_TO_SENDER",
    62993: "DELIVERY_METHOD_CHANGED",
    62994: "DELIVERY_DATE_CHANGED",
    62995: "DELIVERY_ADDRESS_CHANGED",
    62996: "EXCEPTION",
    62997: "ADDRESS_INVALID",
}
"""v2 parcel status id to v3 code; the vendor publishes no complete list."""

_WORDS: Mapping[str, str] = {
    # orders: words of the shops
    "open": "to_prepare",
    "unfulfilled": "to_prepare",
    "unshipped": "to_prepare",
    "processing": "to_prepare",
    "pending": "waiting",
    "on_hold": "waiting",
    "partially_fulfilled": "partly_shipped",
    "fulfilled": "shipped",
    "shipped": "shipped",
    "completed": "delivered",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "refunded": "cancelled",
    # parcels: v3 codes
    "no_label": "to_prepare",
    "ready_to_send": "label_ready",
    "announcing": "label_pending",
    "announced": "label_ready",
    "announced_not_collected": "label_ready",
    "announcement_failed": "problem",
    "error_collecting": "problem",
    "shipment_picked_up_by_driver": "shipped",
    "en_route_to_sorting_center": "shipped",
    "being_sorted": "shipped",
    "sorted": "shipped",
    "not_sorted": "shipped",
    "at_sorting_centre": "shipped",
    "at_customs": "shipped",
    "parcel_en_route": "shipped",
    "driver_en_route": "shipped",
    "delivery_delayed": "shipped",
    "delivery_method_changed": "shipped",
    "delivery_date_changed": "shipped",
    "delivery_address_changed": "shipped",
    "awaiting_customer_pickup": "pickup_point",
    "shipment_collected_by_customer": "delivered",
    "delivered": "delivered",
    "delivery_attempt_failed": "problem",
    "unable_to_deliver": "problem",
    "address_invalid": "problem",
    "exception": "problem",
    "refused_by_recipient": "returned",
    "returned_to_sender": "returned",
    "cancellation_requested": "cancelling",
    "submitting_cancellation_request": "cancelling",
    "parcel_cancellation_failed": "problem",
    "cancelled_upstream": "cancelled",
}


def wms_status(code: str, overrides: Mapping[str, str]) -> str | None:
    """The warehouse's word for a vendor status, ``None`` if neither ``overrides`` nor the built-in table knows it.

    >>> wms_status("DELIVERED", {}), wms_status("Delivered", {"delivered": "done"}), wms_status("somewhere", {})
    ('delivered', 'done', None)
    """
    word = code.casefold()
    chosen = {key.casefold(): value for key, value in overrides.items()} if overrides else {}
    return chosen.get(word) or _WORDS.get(word)


def v2_code(status_id: int) -> str:
    """The v3 code of a v2 parcel status, ``V2_<id>`` if it has none."""
    return V2_CODES.get(status_id, f"V2_{status_id}")
