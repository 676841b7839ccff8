"""From a record's JSON text to its row and child rows. Pure; what a column means stands in `tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.stream import ParseContext
from sync_pipelines.core.upsert import Record
from sync_pipelines.vendors.gazelle import models

Row = dict[str, Any]

_HUNDREDTHS = 100
_EXPECTED_ABSENCES = frozenset({"all_service_items"})
"""Fields of `selections.LATER_FIELDS` in the models' spelling."""


def client(raw: bytes, context: ParseContext) -> Record:
    """A client; contact data come from its default contact and that contact's default location."""
    node = models.ClientNode.model_validate_json(raw)
    contact = node.default_contact or models.DefaultContact()
    location = contact.default_location or models.Location()
    return _record(
        node,
        raw,
        context,
        changed=node.updated_at,
        row={
            "company_name": node.company_name,
            "status": node.status,
            "tags": node.tags or [],
            "default_contact_external_id": contact.id,
            "contact_name": " ".join(part for part in (contact.first_name, contact.last_name) if part) or None,
            "email": contact.default_email and contact.default_email.email,
            "phone": contact.default_phone and contact.default_phone.phone_number,
            "street": " ".join(part for part in (location.street1, location.street2) if part) or None,
            "city": location.municipality,
            "region": location.region or node.region,
            "postal_code": location.postal_code,
            "country": location.country_code,
            "client_type": node.client_type,
            "reference_id": node.reference_id,
            "preferred_technician_external_id": node.preferred_technician_id,
            "referred_by": node.referred_by,
            "referral_client_external_id": _id(node.referral_client),
            "reason_inactive": node.reason_inactive_code or node.reason_inactive_details,
            "no_contact_until": node.no_contact_until,
            "no_contact_reason": node.no_contact_reason,
            "lifecycle_state": node.lifecycle_state,
            "preference_notes": node.preference_notes,
            "personal_notes": node.personal_notes,
            "created_at": node.created_at,
            "updated_at": node.updated_at,
        },
    )


def contact(raw: bytes, context: ParseContext) -> Record:
    """A contact with its e-mails, telephones and addresses."""
    node = models.ContactNode.model_validate_json(raw)
    emails = _whole(node.all_emails, "e-mails")
    phones = _whole(node.all_phones, "telephones")
    locations = _whole(node.all_locations, "addresses")
    email, phone = _default(emails), _default(phones)
    return _record(
        node,
        raw,
        context,
        changed=node.updated_at,
        row={
            "client_external_id": _id(node.client),
            "title": node.title,
            "first_name": node.first_name,
            "middle_name": node.middle_name,
            "last_name": node.last_name,
            "suffix": node.suffix,
            "role": node.role,
            "sort_order": node.sort_order,
            "is_default": node.is_default,
            "is_billing_default": node.is_billing_default,
            "is_archived": node.archived,
            "wants_email": node.wants_email,
            "wants_phone": node.wants_phone,
            "wants_text": node.wants_text,
            "email": email.email if email else None,
            "phone": phone.phone_number if phone else None,
            "created_at": node.created_at,
            "updated_at": node.updated_at,
        },
        children={
            "contact_emails": [{"email_id": item.id, "email": item.email, "is_default": item.is_default} for item in emails],
            "contact_phones": [
                {
                    "phone_id": item.id,
                    "phone": item.phone_number,
                    "extension": item.extension,
                    "type": item.type,
                    "is_default": item.is_default,
                    "confirmed_at": item.confirmed_at,
                }
                for item in phones
            ],
            "contact_locations": [_location(item, place) for place, item in enumerate(locations)],
        },
    )


def piano(raw: bytes, context: ParseContext) -> Record:
    """A piano with its owner and service dates."""
    node = models.PianoNode.model_validate_json(raw)
    tuning = node.next_tuning_scheduled or models.NextTuning()
    return _record(
        node,
        raw,
        context,
        changed=node.updated_at,
        row={
            "client_external_id": _id(node.client),
            "status": node.status,
            "type": node.type,
            "make": node.make,
            "model": node.model,
            "serial_number": node.serial_number,
            "year": node.year,
            "size": node.size,
            "location": node.location,
            "tags": node.tags or [],
            "reference_id": node.reference_id,
            "case_color": node.case_color,
            "case_finish": node.case_finish,
            "use_type": node.use_type,
            "notes": node.notes,
            "is_rental": node.rental,
            "rental_ends_on": node.rental_contract_ends_on,
            "is_consignment": node.consignment,
            "needs_repair": node.needs_repair_or_rebuilding,
            "is_total_loss": node.total_loss,
            "has_dampp_chaser": node.dampp_chaser_installed,
            "has_player": node.player_installed,
            "service_interval_months": node.service_interval_months,
            "manual_last_service": node.manual_last_service,
            "event_last_service": node.event_last_service,
            "last_service": node.calculated_last_service,
            "calculated_next_service": node.calculated_next_service,
            "next_service_override": node.next_service_override,
            "next_service": node.next_service_override or node.calculated_next_service,
            "next_tuning_external_id": tuning.id,
            "next_tuning_at": tuning.start,
            "created_at": node.created_at,
            "updated_at": node.updated_at,
        },
    )


def event(raw: bytes, context: ParseContext) -> Record:
    """An event with who takes part, its pianos and its services."""
    node = models.EventNode.model_validate_json(raw)
    pianos = {item.piano.id: item for item in _whole(node.all_event_pianos, "pianos") if item.piano and item.piano.id}
    participants = [("technician", _id(node.user)), ("client", _id(node.client))]
    return _record(
        node,
        raw,
        context,
        changed=node.updated_at,
        row={
            "type": node.type,
            "status": node.status,
            "title": node.title,
            "starts_at": node.start,
            "duration_minutes": node.duration,
            "buffer_minutes": node.buffer,
            "is_all_day": node.is_all_day,
            "timezone": node.timezone,
            "client_external_id": _id(node.client),
            "technician_external_id": _id(node.user),
            "created_by_external_id": _id(node.created_by),
            "notes": node.notes,
            "source": node.source,
            "is_confirmed": node.confirmed_by_client,
            "confirmed_at": node.confirmed_at,
            "address_line": node.manual_address_line or node.address_line,
            "travel_mode": node.travel_mode,
            "recurrence_id": node.recurrence_id,
            "created_at": node.created_at,
            "updated_at": node.updated_at,
        },
        children={
            "appointment_participants": [{"role": role, "participant_external_id": who} for role, who in participants if who],
            "appointment_pianos": [{"piano_external_id": key, "is_tuning": item.is_tuning} for key, item in pianos.items()],
            "appointment_services": [_service(item) for item in _whole(node.all_service_items, "services")],
        },
    )


def timeline_entry(raw: bytes, context: ParseContext) -> Record:
    """A timeline entry; versioned by when it was read."""
    node = models.EntryNode.model_validate_json(raw)
    return _record(
        node,
        raw,
        context,
        changed=None,
        row={
            "type": node.type,
            "occurred_at": node.occurred_at,
            "client_external_id": _id(node.client),
            "piano_external_id": _id(node.piano),
            "technician_external_id": _id(node.user),
            "appointment_external_id": _id(node.appointment),
            "invoice_external_id": _id(node.invoice),
            "estimate_external_id": _id(node.estimate),
            "summary": node.summary,
            "comment": node.comment,
            "duration_minutes": node.duration,
            "email_status": node.email_status,
            "sms_status": node.sms_status,
            "related_type": node.related_type,
            "related_id": node.related_id,
        },
    )


def user(raw: bytes, context: ParseContext) -> Record:
    """A technician or assistant."""
    node = models.UserNode.model_validate_json(raw)
    return _record(
        node,
        raw,
        context,
        changed=node.updated_at,
        row={
            "first_name": node.first_name,
            "last_name": node.last_name,
            "full_name": node.full_name,
            "email": node.email,
            "status": node.status,
            "access_level": node.access_level,
            "color": node.color,
            "timezone": node.timezone,
            "is_schedulable": node.is_schedulable,
            "created_at": node.created_at,
            "updated_at": node.updated_at,
        },
    )


def service_item(raw: bytes, context: ParseContext) -> Record:
    """An item of the service list."""
    node = models.ServiceItemNode.model_validate_json(raw)
    return _record(
        node,
        raw,
        context,
        changed=node.updated_at,
        row={
            "name": node.name,
            "description": node.description,
            "type": node.type,
            "amount_minor": node.amount,
            "duration_minutes": node.duration,
            "position": node.order,
            "service_group_external_id": _id(node.master_service_group),
            "is_archived": node.is_archived,
            "is_default": node.is_default,
            "is_taxable": node.is_taxable,
            "is_tuning": node.is_tuning,
            "created_at": node.created_at,
            "updated_at": node.updated_at,
        },
    )


def tag(raw: bytes, context: ParseContext) -> Record:
    """A tag in use."""
    node = models.TagNode.model_validate_json(raw)
    return Record(key=(node.kind, node.tag), version=context.received_at, row={}, raw=raw, extra=context.received_at)


def _record(
    node: Any,
    raw: bytes,
    context: ParseContext,
    *,
    changed: datetime | None,
    row: Row,
    children: dict[str, list[Row]] | None = None,
) -> Record:
    """A record whose ``extra`` is when it was read; its version is the vendor's change time where there is one."""
    left_out = {name.rpartition(".")[2] for name in getattr(context.settings, "without_fields", ())}
    missing = [
        f"{alias} is absent"
        for name, alias in models.missing_fields(node)
        if name not in _EXPECTED_ABSENCES and alias not in left_out
    ]
    return Record(
        key=(node.id,),
        version=changed or context.received_at,
        row=row,
        raw=raw,
        children=children or {},
        extra=context.received_at,
        unknown=(*models.unknown_words(node), *missing),
    )


def _id(ref: models.Ref | None) -> str | None:
    return ref.id if ref else None


def _whole(connection: Any, what: str) -> list[Any]:
    """The elements of a nested list.

    Raises:
        DataError: Even the widest page did not show all of them.
    """
    if connection is None:
        return []
    if connection.page_info.has_next_page:
        raise DataError(f"a record has more {what} than one request can show; storing a part would look like a deletion")
    return [item for item in connection.nodes or () if item is not None]


def _default(items: Iterable[Any]) -> Any:
    listed = list(items)
    return next((item for item in listed if item.is_default), listed[0] if listed else None)


def _location(item: models.Location, place: int) -> Row:
    return {
        "location_id": item.id or f"#{place}",
        "usage_type": item.usage_type,
        "location_type": item.location_type,
        "street1": item.street1,
        "street2": item.street2,
        "city": item.municipality,
        "region": item.region,
        "postal_code": item.postal_code,
        "country": item.country_code,
        "latitude": _degrees(item.latitude),
        "longitude": _degrees(item.longitude),
        "what3words": item.what3words,
        "is_bad_address": item.is_bad_address,
    }


def _service(item: models.EventService) -> Row:
    return {
        "service_id": item.id,
        "service_item_external_id": _id(item.master_service_item),
        "piano_external_id": _id(item.piano),
        "name": item.name,
        "type": item.type,
        "amount_minor": item.amount,
        "quantity": None if item.quantity is None else Decimal(item.quantity) / _HUNDREDTHS,
        "duration_minutes": item.duration,
        "is_taxable": item.is_taxable,
        "is_tuning": item.is_tuning,
    }


def _degrees(text: str | None) -> Decimal | None:
    """A coordinate the vendor sends as text; ``None`` if it is no number."""
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


PARSERS: dict[str, Callable[[bytes, ParseContext], Record]] = {
    "clients": client,
    "contacts": contact,
    "pianos": piano,
    "appointments": event,
    "timeline_entries": timeline_entry,
    "users": user,
    "service_items": service_item,
    "tags": tag,
}
"""By stream name."""
