"""Gazelle's records as we ask for them (`selections`).

Almost everything may be null (apis/gazelle/facts.md §3), and a field that the server no longer knows is simply absent;
`missing_fields` names those.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Json
from pydantic.alias_generators import to_camel

from sync_pipelines.vendors.gazelle.vocabularies import VOCABULARIES

I18n = dict[str, str | None] | Json[Any] | None
"""Text by locale (``en_US``); a JSON scalar, so a server may also send it as a string of JSON."""


class _Enum:
    """Marks a field's vocabulary."""

    def __init__(self, name: str) -> None:
        self.name = name


class Node(BaseModel):
    """Part of an answer; fields we did not ask for are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class Ref(Node):
    """A link to another record."""

    id: str | None = None


class PageInfo(Node):
    """Whether a nested list was cut."""

    has_next_page: bool = False


class Email(Node):
    """An e-mail address of a contact."""

    id: str
    email: str | None = None
    is_default: bool | None = None


class Phone(Node):
    """A telephone number of a contact, E.164."""

    id: str
    phone_number: str | None = None
    extension: str | None = None
    type: Annotated[str | None, _Enum("PhoneType")] = None
    is_default: bool | None = None
    confirmed_at: AwareDatetime | None = None
    confirmed_class: Annotated[str | None, _Enum("PhoneClass")] = None
    updated_at: AwareDatetime | None = None


class Location(Node):
    """An address of a contact; coordinates are text at the vendor."""

    id: str | None = None
    usage_type: Annotated[str | None, _Enum("ContactLocationUsageType")] = None
    location_type: Annotated[str | None, _Enum("LocationType")] = None
    geocode_type: Annotated[str | None, _Enum("GeocodeLocationType")] = None
    street1: str | None = None
    street2: str | None = None
    municipality: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    what3words: str | None = Field(default=None, alias="what3words")
    is_bad_address: bool | None = None
    updated_at: AwareDatetime | None = None


class Emails(Node):
    """A contact's e-mails."""

    nodes: list[Email | None] | None = None
    page_info: PageInfo = PageInfo()


class Phones(Node):
    """A contact's telephones."""

    nodes: list[Phone | None] | None = None
    page_info: PageInfo = PageInfo()


class Locations(Node):
    """A contact's addresses."""

    nodes: list[Location | None] | None = None
    page_info: PageInfo = PageInfo()


class DefaultContact(Node):
    """A client's default contact as far as the client's own row shows it."""

    id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    default_email: Email | None = None
    default_phone: Phone | None = None
    default_location: Location | None = None


class ClientNode(Node):
    """A client."""

    id: str
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    status: Annotated[str | None, _Enum("ClientStatus")] = None
    company_name: str | None = None
    client_type: str | None = None
    tags: list[str] | None = None
    reference_id: str | None = None
    region: str | None = None
    preference_notes: str | None = None
    personal_notes: str | None = None
    last_result_notes: str | None = None
    preferred_technician_id: str | None = None
    referral_client: Ref | None = None
    referred_by: str | None = None
    referred_by_notes: str | None = None
    reason_inactive_code: str | None = None
    reason_inactive_details: str | None = None
    no_contact_reason: str | None = None
    no_contact_until: date | None = None
    lifecycle_state: str | None = None
    lifecycle: Ref | None = None
    default_contact: DefaultContact | None = None
    default_billing_contact: Ref | None = None


class ContactNode(Node):
    """A contact of a client."""

    id: str
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    client: Ref | None = None
    title: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    suffix: str | None = None
    role: str | None = None
    sort_order: int | None = None
    is_default: bool | None = None
    is_billing_default: bool | None = None
    archived: bool | None = None
    wants_email: bool | None = None
    wants_phone: bool | None = None
    wants_text: bool | None = None
    all_emails: Emails | None = None
    all_phones: Phones | None = None
    all_locations: Locations | None = None


class NextTuning(Node):
    """A piano's next tuning in the calendar."""

    id: str | None = None
    start: AwareDatetime | None = None


class PianoNode(Node):
    """A piano."""

    id: str
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    client: Ref | None = None
    status: Annotated[str | None, _Enum("PianoStatus")] = None
    type: Annotated[str | None, _Enum("PianoType")] = None
    make: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year: int | None = None
    size: str | None = None
    location: str | None = None
    tags: list[str] | None = None
    reference_id: str | None = None
    case_color: str | None = None
    case_finish: str | None = None
    use_type: str | None = None
    notes: str | None = None
    rental: bool | None = None
    rental_contract_ends_on: date | None = None
    consignment: bool | None = None
    needs_repair_or_rebuilding: bool | None = None
    total_loss: bool | None = None
    service_interval_months: int | None = None
    manual_last_service: date | None = None
    event_last_service: date | None = None
    calculated_last_service: date | None = None
    calculated_next_service: date | None = None
    next_service_override: date | None = None
    next_tuning_scheduled: NextTuning | None = None
    dampp_chaser_installed: bool | None = None
    player_installed: bool | None = None


class EventPiano(Node):
    """A piano of an event."""

    is_tuning: bool | None = None
    piano: Ref | None = None


class EventPianos(Node):
    """An event's pianos."""

    nodes: list[EventPiano | None] | None = None
    page_info: PageInfo = PageInfo()


class EventService(Node):
    """A service of an event; ``amount`` in minor units, ``quantity`` in hundredths."""

    id: str
    name: str | None = None
    type: Annotated[str | None, _Enum("MasterServiceItemType")] = None
    amount: int | None = None
    quantity: int | None = None
    duration: int | None = None
    is_taxable: bool | None = None
    is_tuning: bool | None = None
    master_service_item: Ref | None = None
    piano: Ref | None = None


class EventServices(Node):
    """An event's services."""

    nodes: list[EventService | None] | None = None
    page_info: PageInfo = PageInfo()


class EventNode(Node):
    """An event; an appointment is one with type APPOINTMENT. Durations in minutes."""

    id: str
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    type: Annotated[str | None, _Enum("EventType")] = None
    status: Annotated[str | None, _Enum("EventStatus")] = None
    title: str | None = None
    start: AwareDatetime | None = None
    duration: int | None = None
    buffer: int | None = None
    is_all_day: bool | None = None
    timezone: str | None = None
    notes: str | None = None
    source: str | None = None
    confirmed_by_client: bool | None = None
    confirmed_at: AwareDatetime | None = None
    travel_mode: Annotated[str | None, _Enum("SchedulerTravelMode")] = None
    address_line: str | None = None
    manual_address_line: str | None = None
    recurrence_id: str | None = None
    client: Ref | None = None
    user: Ref | None = None
    created_by: Ref | None = None
    all_event_pianos: EventPianos | None = None
    all_service_items: EventServices | None = None


class EntryNode(Node):
    """A timeline entry; it has no change time."""

    id: str
    occurred_at: AwareDatetime
    type: Annotated[str | None, _Enum("TimelineEntryType")] = None
    summary: str | None = None
    comment: str | None = None
    duration: int | None = None
    related_id: str | None = None
    related_type: str | None = None
    email_status: Annotated[str | None, _Enum("EmailStatus")] = None
    sms_status: Annotated[str | None, _Enum("EmailStatus")] = None
    client: Ref | None = None
    piano: Ref | None = None
    user: Ref | None = None
    appointment: Ref | None = None
    invoice: Ref | None = None
    estimate: Ref | None = None


class UserNode(Node):
    """A technician or assistant of the business."""

    id: str
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    first_name: str | None = None
    last_name: str | None = None
    full_name: str | None = None
    email: str | None = None
    status: Annotated[str | None, _Enum("UserStatus")] = None
    access_level: Annotated[str | None, _Enum("AccessLevel")] = None
    color: str | None = None
    timezone: str | None = None
    is_schedulable: bool | None = None


class ServiceItemNode(Node):
    """An item of the service list; ``amount`` in minor units, ``duration`` in minutes."""

    id: str
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None
    name: I18n = None
    description: I18n = None
    type: Annotated[str | None, _Enum("MasterServiceItemType")] = None
    amount: int | None = None
    duration: int | None = None
    order: int | None = None
    is_archived: bool | None = None
    is_default: bool | None = None
    is_taxable: bool | None = None
    is_tuning: bool | None = None
    master_service_group: Ref | None = None


class TagNode(Node):
    """A tag; we make this object ourselves, the vendor lists bare texts by kind."""

    kind: str
    tag: str


def unknown_words(node: Node) -> tuple[str, ...]:
    """``field=value`` for each word outside its vocabulary, nested records included, and ``field is absent`` for lost fields."""
    return tuple(dict.fromkeys(_unknown(node)))


def _unknown(node: Node) -> list[str]:
    found: list[str] = []
    for name, info in type(node).model_fields.items():
        if name not in node.model_fields_set:
            continue
        value = getattr(node, name)
        enum = next((item.name for item in info.metadata if isinstance(item, _Enum)), None)
        if enum is not None and isinstance(value, str) and value not in VOCABULARIES[enum]:
            found.append(f"{name}={value}")
        elif isinstance(value, Node):
            found += _unknown(value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, Node):
                    found += _unknown(item)
    return found


def missing_fields(node: Node) -> list[tuple[str, str]]:
    """Top-level fields that the answer did not contain: our name and the vendor's."""
    fields = type(node).model_fields
    return [(name, info.alias or name) for name, info in fields.items() if name not in node.model_fields_set]
