"""Gazelle's tables in schema ``gazelle``, with the column names reports already use.

Views on them (``client_overview``, ``pianos_due``, ``piano_history``) come with the migrations.
"""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Date, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import child_table, instant, vendor_table

SCHEMA = "gazelle"

clients = vendor_table(
    SCHEMA,
    "clients",
    key=[Column("external_id", Text, comment="Gazelle's client id, cli_…")],
    columns=[
        Column("company_name", Text, comment="Empty or null for a private person"),
        Column("status", Text, comment="ACTIVE, INACTIVE, PROSPECT (never booked), NEW (booked, not yet visited)"),
        Column("tags", ARRAY(Text)),
        Column("default_contact_external_id", Text),
        Column("contact_name", Text, comment="First and last name of the default contact"),
        Column("email", Text, comment="Of the default contact"),
        Column("phone", Text, comment="Of the default contact, E.164"),
        Column("street", Text, comment="Of the default contact's default location"),
        Column("city", Text, comment="Of the default contact's default location"),
        Column("region", Text, comment="Of the default contact's default location, else the client's own"),
        Column("postal_code", Text, comment="Of the default contact's default location"),
        Column("country", Text, comment="ISO 3166-1 alpha-2, of the default contact's default location"),
        Column("client_type", Text),
        Column("reference_id", Text),
        Column("preferred_technician_external_id", Text),
        Column("referred_by", Text),
        Column("referral_client_external_id", Text),
        Column("reason_inactive", Text),
        Column("no_contact_until", Date),
        Column("no_contact_reason", Text),
        Column("lifecycle_state", Text),
        Column("preference_notes", Text),
        Column("personal_notes", Text),
        instant("created_at"),
        instant("updated_at"),
    ],
    comment="Clients of the piano business: persons and companies",
    indexes=[
        ["status"],
        ["default_contact_external_id"],
        ["preferred_technician_external_id"],
        ["referral_client_external_id"],
        ["email"],
    ],
)

contacts = vendor_table(
    SCHEMA,
    "contacts",
    key=[Column("external_id", Text, comment="Gazelle's contact id, con_…")],
    columns=[
        Column("client_external_id", Text),
        Column("title", Text),
        Column("first_name", Text),
        Column("middle_name", Text),
        Column("last_name", Text),
        Column("suffix", Text),
        Column("role", Text),
        Column("sort_order", Integer),
        Column("is_default", Boolean),
        Column("is_billing_default", Boolean),
        Column("is_archived", Boolean),
        Column("wants_email", Boolean),
        Column("wants_phone", Boolean),
        Column("wants_text", Boolean),
        Column("email", Text, comment="The default one, else the first"),
        Column("phone", Text, comment="The default one, else the first; E.164"),
        instant("created_at"),
        instant("updated_at"),
    ],
    comment="Contacts of clients, archived ones included",
    indexes=[["client_external_id"], ["email"], ["phone"]],
)

contact_emails = child_table(
    contacts,
    "contact_emails",
    key=[Column("email_id", Text)],
    columns=[Column("email", Text), Column("is_default", Boolean)],
    comment="E-mail addresses of contacts",
    indexes=[["email"]],
)

contact_phones = child_table(
    contacts,
    "contact_phones",
    key=[Column("phone_id", Text)],
    columns=[
        Column("phone", Text, comment="E.164"),
        Column("extension", Text),
        Column("type", Text),
        Column("is_default", Boolean),
        instant("confirmed_at"),
    ],
    comment="Telephone numbers of contacts",
    indexes=[["phone"]],
)

contact_locations = child_table(
    contacts,
    "contact_locations",
    key=[Column("location_id", Text)],
    columns=[
        Column("usage_type", Text, comment="STREET, MAILING or BILLING"),
        Column("location_type", Text, comment="ADDRESS, COORDINATES or WHAT3WORDS"),
        Column("street1", Text),
        Column("street2", Text),
        Column("city", Text),
        Column("region", Text),
        Column("postal_code", Text),
        Column("country", Text, comment="ISO 3166-1 alpha-2"),
        Column("latitude", Numeric),
        Column("longitude", Numeric),
        Column("what3words", Text),
        Column("is_bad_address", Boolean),
    ],
    comment="Addresses of contacts",
    indexes=[["postal_code"]],
)

pianos = vendor_table(
    SCHEMA,
    "pianos",
    key=[Column("external_id", Text, comment="Gazelle's piano id, ins_…; a piano that changes hands gets a new one")],
    columns=[
        Column("client_external_id", Text, comment="Owner"),
        Column("status", Text),
        Column("type", Text),
        Column("make", Text),
        Column("model", Text),
        Column("serial_number", Text),
        Column("year", Integer),
        Column("size", Text),
        Column("location", Text, comment="Where it stands at the client's"),
        Column("tags", ARRAY(Text)),
        Column("reference_id", Text),
        Column("case_color", Text),
        Column("case_finish", Text),
        Column("use_type", Text),
        Column("notes", Text),
        Column("is_rental", Boolean),
        Column("rental_ends_on", Date),
        Column("is_consignment", Boolean),
        Column("needs_repair", Boolean),
        Column("is_total_loss", Boolean),
        Column("has_dampp_chaser", Boolean),
        Column("has_player", Boolean),
        Column("service_interval_months", Integer),
        Column("manual_last_service", Date),
        Column("event_last_service", Date),
        Column("last_service", Date, comment="As the vendor computes it"),
        Column("calculated_next_service", Date, comment="As the vendor computes it"),
        Column("next_service_override", Date, comment="Set by hand; wins over the computed date"),
        Column("next_service", Date, comment="next_service_override, else calculated_next_service"),
        Column("next_tuning_external_id", Text, comment="Scheduled appointment"),
        instant("next_tuning_at"),
        instant("created_at"),
        instant("updated_at"),
    ],
    comment="Pianos; what a former owner's piano became is in view piano_history",
    indexes=[["client_external_id"], ["next_service"], ["next_tuning_external_id"], ["serial_number"]],
)

appointments = vendor_table(
    SCHEMA,
    "appointments",
    key=[Column("external_id", Text, comment="Gazelle's event id, evt_…")],
    columns=[
        Column("type", Text, comment="APPOINTMENT, PERSONAL, MEMO or SYNCED (from another calendar)"),
        Column("status", Text, comment="ACTIVE, COMPLETE, CANCELED or NO_SHOW"),
        Column("title", Text),
        instant("starts_at"),
        Column("duration_minutes", Integer),
        Column("buffer_minutes", Integer),
        Column("is_all_day", Boolean),
        Column("timezone", Text, comment="Zone it is shown in"),
        Column("client_external_id", Text),
        Column("technician_external_id", Text),
        Column("created_by_external_id", Text),
        Column("notes", Text),
        Column("source", Text),
        Column("is_confirmed", Boolean, comment="By the client"),
        instant("confirmed_at"),
        Column("address_line", Text, comment="Typed on the event, else taken from the client's record by the vendor"),
        Column("travel_mode", Text),
        Column("recurrence_id", Text),
        instant("created_at"),
        instant("updated_at"),
    ],
    comment="Events of the calendar; an appointment is one with type APPOINTMENT",
    indexes=[
        ["starts_at"],
        ["client_external_id", "starts_at"],
        ["technician_external_id", "starts_at"],
        ["created_by_external_id"],
    ],
)

appointment_participants = child_table(
    appointments,
    "appointment_participants",
    key=[Column("role", Text, comment="technician or client"), Column("participant_external_id", Text)],
    columns=[],
    comment="Who takes part in an appointment; the vendor knows one technician each, joint visits are separate events",
    indexes=[["participant_external_id"]],
)

appointment_pianos = child_table(
    appointments,
    "appointment_pianos",
    key=[Column("piano_external_id", Text)],
    columns=[Column("is_tuning", Boolean)],
    comment="Pianos of an appointment",
    indexes=[["piano_external_id"]],
)

appointment_services = child_table(
    appointments,
    "appointment_services",
    key=[Column("service_id", Text)],
    columns=[
        Column("service_item_external_id", Text),
        Column("piano_external_id", Text),
        Column("name", Text),
        Column("type", Text),
        Column("amount_minor", BigInteger, comment="Price of one unit in the minor unit of the company's currency"),
        Column("quantity", Numeric, comment="In units; the vendor counts hundredths"),
        Column("duration_minutes", Integer),
        Column("is_taxable", Boolean),
        Column("is_tuning", Boolean),
    ],
    comment="Services of an appointment, where the vendor's schema has them",
    indexes=[["service_item_external_id"], ["piano_external_id"]],
)

timeline_entries = vendor_table(
    SCHEMA,
    "timeline_entries",
    key=[Column("external_id", Text, comment="Gazelle's timeline entry id")],
    columns=[
        Column("type", Text),
        instant("occurred_at"),
        Column("client_external_id", Text),
        Column("piano_external_id", Text),
        Column("technician_external_id", Text),
        Column("appointment_external_id", Text),
        Column("invoice_external_id", Text),
        Column("estimate_external_id", Text),
        Column("summary", Text),
        Column("comment", Text),
        Column("duration_minutes", Integer),
        Column("email_status", Text),
        Column("sms_status", Text),
        Column("related_type", Text),
        Column("related_id", Text),
    ],
    comment="What happened with clients and pianos, newest knowledge of each entry; the vendor has no change time for them",
    indexes=[
        ["occurred_at"],
        ["client_external_id", "occurred_at"],
        ["piano_external_id", "occurred_at"],
        ["technician_external_id"],
        ["appointment_external_id"],
        ["invoice_external_id"],
        ["estimate_external_id"],
        ["type", "occurred_at"],
    ],
)

users = vendor_table(
    SCHEMA,
    "users",
    key=[Column("external_id", Text, comment="Gazelle's user id, usr_…")],
    columns=[
        Column("first_name", Text),
        Column("last_name", Text),
        Column("full_name", Text),
        Column("email", Text),
        Column("status", Text),
        Column("access_level", Text),
        Column("color", Text),
        Column("timezone", Text),
        Column("is_schedulable", Boolean),
        instant("created_at"),
        instant("updated_at"),
    ],
    comment="Technicians and assistants of the business",
)

service_items = vendor_table(
    SCHEMA,
    "service_items",
    key=[Column("external_id", Text, comment="Gazelle's master service item id, mit_…")],
    columns=[
        Column("name", JSONB, comment="Text by locale"),
        Column("description", JSONB, comment="Text by locale"),
        Column("type", Text),
        Column("amount_minor", BigInteger, comment="In the minor unit of the company's currency"),
        Column("duration_minutes", Integer),
        Column("position", Integer, comment="Order in the vendor's list"),
        Column("service_group_external_id", Text),
        Column("is_archived", Boolean),
        Column("is_default", Boolean),
        Column("is_taxable", Boolean),
        Column("is_tuning", Boolean),
        instant("created_at"),
        instant("updated_at"),
    ],
    comment="The business's list of services",
    indexes=[["service_group_external_id"]],
)

tags = vendor_table(
    SCHEMA,
    "tags",
    key=[Column("kind", Text, comment="CLIENT, PIANO, INVOICE or ESTIMATE"), Column("tag", Text)],
    columns=[],
    comment="Tags in use, by what they are put on",
)
