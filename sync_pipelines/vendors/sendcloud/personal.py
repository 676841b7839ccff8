"""What is personal in SendCloud's records, wherever they lie, and when it goes (facts §3.2, §4.2, §5.1, §7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sync_pipelines.core.erasures import CHUNK, Erasing, Rule, erase_letters, erase_rows
from sync_pipelines.core.personal import Personal
from sync_pipelines.vendors.sendcloud import document_store, letters, tables

FIELDS = (
    # v3 orders
    "customer_details",
    "billing_address",
    "shipping_address",
    "service_point_details",
    "order_details.notes",
    "customs_details.tax_numbers",
    # v2 parcels; returns have the customer as sender
    *("name", "company_name", "email", "telephone", "note"),
    *("address", "address_2", "address_divided", "street", "house_number", "city", "postal_code", "to_state"),
    *("to_post_number", "to_service_point", "tracking_url"),
    *("from_name", "from_company_name", "from_email", "from_telephone"),
    *("from_address_1", "from_address_2", "from_house_number", "from_city", "from_postal_code", "from_state"),
    *("customs_information.importer_of_record", "customs_information.tax_numbers", "customs_information.return_data"),
    # v3 shipments and events
    *("to_address", "from_address", "label_notes"),
    *("data.parcel.to_address", "data.parcel.from_address", "data.parcel.tracking_url"),
)
"""Persons, addresses, free text that persons wrote, and tracking pages, whose address holds a postal code."""


def _days(settings: Any) -> int | None:
    days: int | None = settings.personal_data_days
    return days


ORDERS = Personal(
    columns=("customer_name", "customer_email", "ship_to_postal_code", "ship_to_city", "tracking_url"), fields=FIELDS, days=_days
)
PARCELS = Personal(columns=("tracking_url",), fields=FIELDS, days=_days)
TRACKING_EVENTS = Personal(fields=FIELDS, days=_days)

_LETTERS = (letters.DELIVERIES, letters.EVENTS, letters.LABELS, letters.PRODUCTS)


def _erase_events(erasing: Erasing) -> dict[str, int]:
    return {tables.tracking_events.fullname: erase_rows(erasing, tables.tracking_events, TRACKING_EVENTS)}


def _erase_letters(erasing: Erasing) -> dict[str, int]:
    return {"sync.dead_letters": sum(erase_letters(erasing, FIELDS, subject=subject) for subject in _LETTERS)}


def _drop_documents(erasing: Erasing) -> dict[str, int]:
    """Labels are addresses; a file or object goes before the row that names it, so that none is forgotten."""
    dropped = 0
    while True:
        with erasing.database.transaction() as connection:
            rows = connection.execute(
                "SELECT parcel_id, kind, path FROM sendcloud.label_documents WHERE account = %s AND fetched_at < %s"
                " ORDER BY parcel_id, kind LIMIT %s FOR UPDATE",
                [erasing.account, erasing.before, CHUNK],
            ).fetchall()
            for _, _, path in rows:
                if path:
                    document_store.remove(erasing.account, path)
            connection.cursor().executemany(
                "DELETE FROM sendcloud.label_documents WHERE account = %s AND parcel_id = %s AND kind = %s",
                [[erasing.account, parcel, kind] for parcel, kind, _ in rows],
            )
        dropped += len(rows)
        if len(rows) < CHUNK:
            return {tables.label_documents.fullname: dropped}


def _rule(erase: Callable[[Erasing], dict[str, int]]) -> Rule:
    return Rule(name="personal_data_days", days=_days, erase=erase)


ERASURES = (_rule(_erase_events), _rule(_erase_letters), _rule(_drop_documents))
"""Besides what orders and parcels declare themselves."""
