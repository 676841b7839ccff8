"""Gazelle's tables, and the views reports and assistants read."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "gazelle_0001"
down_revision = None
branch_labels = ("gazelle",)
depends_on = "engine_0001"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("create schema if not exists gazelle")
    op.create_table(
        "appointment_participants",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's event id, evt_…"),
        sa.Column("role", sa.Text(), nullable=False, comment="technician or client"),
        sa.Column("participant_external_id", sa.Text(), nullable=False),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id", "role", "participant_external_id"),
        schema="gazelle",
        comment="Who takes part in an appointment; the vendor knows one technician each, joint visits are separate events",
    )
    op.create_index(
        "ix_appointment_participants_participant_external_id",
        "appointment_participants",
        ["participant_external_id"],
        schema="gazelle",
    )
    op.create_table(
        "appointment_pianos",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's event id, evt_…"),
        sa.Column("piano_external_id", sa.Text(), nullable=False),
        sa.Column("is_tuning", sa.Boolean(), nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id", "piano_external_id"),
        schema="gazelle",
        comment="Pianos of an appointment",
    )
    op.create_index("ix_appointment_pianos_piano_external_id", "appointment_pianos", ["piano_external_id"], schema="gazelle")
    op.create_table(
        "appointment_services",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's event id, evt_…"),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("service_item_external_id", sa.Text(), nullable=True),
        sa.Column("piano_external_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column(
            "amount_minor", sa.BigInteger(), nullable=True, comment="Price of one unit in the minor unit of the company's currency"
        ),
        sa.Column("quantity", sa.Numeric(), nullable=True, comment="In units; the vendor counts hundredths"),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("is_taxable", sa.Boolean(), nullable=True),
        sa.Column("is_tuning", sa.Boolean(), nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id", "service_id"),
        schema="gazelle",
        comment="Services of an appointment, where the vendor's schema has them",
    )
    op.create_index("ix_appointment_services_piano_external_id", "appointment_services", ["piano_external_id"], schema="gazelle")
    op.create_index(
        "ix_appointment_services_service_item_external_id", "appointment_services", ["service_item_external_id"], schema="gazelle"
    )
    op.create_table(
        "appointments",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's event id, evt_…"),
        sa.Column("type", sa.Text(), nullable=True, comment="APPOINTMENT, PERSONAL, MEMO or SYNCED (from another calendar)"),
        sa.Column("status", sa.Text(), nullable=True, comment="ACTIVE, COMPLETE, CANCELED or NO_SHOW"),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("starts_at", _INSTANT, nullable=True),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("buffer_minutes", sa.Integer(), nullable=True),
        sa.Column("is_all_day", sa.Boolean(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True, comment="Zone it is shown in"),
        sa.Column("client_external_id", sa.Text(), nullable=True),
        sa.Column("technician_external_id", sa.Text(), nullable=True),
        sa.Column("created_by_external_id", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("is_confirmed", sa.Boolean(), nullable=True, comment="By the client"),
        sa.Column("confirmed_at", _INSTANT, nullable=True),
        sa.Column(
            "address_line",
            sa.Text(),
            nullable=True,
            comment="Typed on the event, else taken from the client's record by the vendor",
        ),
        sa.Column("travel_mode", sa.Text(), nullable=True),
        sa.Column("recurrence_id", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="Events of the calendar; an appointment is one with type APPOINTMENT",
    )
    op.create_index(
        "ix_appointments_client_external_id_starts_at", "appointments", ["client_external_id", "starts_at"], schema="gazelle"
    )
    op.create_index("ix_appointments_starts_at", "appointments", ["starts_at"], schema="gazelle")
    op.create_index(
        "ix_appointments_technician_external_id_starts_at",
        "appointments",
        ["technician_external_id", "starts_at"],
        schema="gazelle",
    )
    op.create_table(
        "clients",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's client id, cli_…"),
        sa.Column("company_name", sa.Text(), nullable=True, comment="Empty or null for a private person"),
        sa.Column(
            "status", sa.Text(), nullable=True, comment="ACTIVE, INACTIVE, PROSPECT (never booked), NEW (booked, not yet visited)"
        ),
        sa.Column("tags", sa.ARRAY(sa.Text())),
        sa.Column("default_contact_external_id", sa.Text(), nullable=True),
        sa.Column("contact_name", sa.Text(), nullable=True, comment="First and last name of the default contact"),
        sa.Column("email", sa.Text(), nullable=True, comment="Of the default contact"),
        sa.Column("phone", sa.Text(), nullable=True, comment="Of the default contact, E.164"),
        sa.Column("street", sa.Text(), nullable=True, comment="Of the default contact's default location"),
        sa.Column("city", sa.Text(), nullable=True, comment="Of the default contact's default location"),
        sa.Column("region", sa.Text(), nullable=True, comment="Of the default contact's default location, else the client's own"),
        sa.Column("postal_code", sa.Text(), nullable=True, comment="Of the default contact's default location"),
        sa.Column("country", sa.Text(), nullable=True, comment="ISO 3166-1 alpha-2, of the default contact's default location"),
        sa.Column("client_type", sa.Text(), nullable=True),
        sa.Column("reference_id", sa.Text(), nullable=True),
        sa.Column("preferred_technician_external_id", sa.Text(), nullable=True),
        sa.Column("referred_by", sa.Text(), nullable=True),
        sa.Column("referral_client_external_id", sa.Text(), nullable=True),
        sa.Column("reason_inactive", sa.Text(), nullable=True),
        sa.Column("no_contact_until", sa.Date(), nullable=True),
        sa.Column("no_contact_reason", sa.Text(), nullable=True),
        sa.Column("lifecycle_state", sa.Text(), nullable=True),
        sa.Column("preference_notes", sa.Text(), nullable=True),
        sa.Column("personal_notes", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="Clients of the piano business: persons and companies",
    )
    op.create_index("ix_clients_email", "clients", ["email"], schema="gazelle")
    op.create_index(
        "ix_clients_preferred_technician_external_id", "clients", ["preferred_technician_external_id"], schema="gazelle"
    )
    op.create_index("ix_clients_status", "clients", ["status"], schema="gazelle")
    op.create_table(
        "contact_emails",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's contact id, con_…"),
        sa.Column("email_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id", "email_id"),
        schema="gazelle",
        comment="E-mail addresses of contacts",
    )
    op.create_index("ix_contact_emails_email", "contact_emails", ["email"], schema="gazelle")
    op.create_table(
        "contact_locations",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's contact id, con_…"),
        sa.Column("location_id", sa.Text(), nullable=False),
        sa.Column("usage_type", sa.Text(), nullable=True, comment="STREET, MAILING or BILLING"),
        sa.Column("location_type", sa.Text(), nullable=True, comment="ADDRESS, COORDINATES or WHAT3WORDS"),
        sa.Column("street1", sa.Text(), nullable=True),
        sa.Column("street2", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("postal_code", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True, comment="ISO 3166-1 alpha-2"),
        sa.Column("latitude", sa.Numeric(), nullable=True),
        sa.Column("longitude", sa.Numeric(), nullable=True),
        sa.Column("what3words", sa.Text(), nullable=True),
        sa.Column("is_bad_address", sa.Boolean(), nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id", "location_id"),
        schema="gazelle",
        comment="Addresses of contacts",
    )
    op.create_index("ix_contact_locations_postal_code", "contact_locations", ["postal_code"], schema="gazelle")
    op.create_table(
        "contact_phones",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's contact id, con_…"),
        sa.Column("phone_id", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True, comment="E.164"),
        sa.Column("extension", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=True),
        sa.Column("confirmed_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id", "phone_id"),
        schema="gazelle",
        comment="Telephone numbers of contacts",
    )
    op.create_index("ix_contact_phones_phone", "contact_phones", ["phone"], schema="gazelle")
    op.create_table(
        "contacts",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's contact id, con_…"),
        sa.Column("client_external_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("middle_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("suffix", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("sort_order", sa.Integer(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=True),
        sa.Column("is_billing_default", sa.Boolean(), nullable=True),
        sa.Column("is_archived", sa.Boolean(), nullable=True),
        sa.Column("wants_email", sa.Boolean(), nullable=True),
        sa.Column("wants_phone", sa.Boolean(), nullable=True),
        sa.Column("wants_text", sa.Boolean(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True, comment="The default one, else the first"),
        sa.Column("phone", sa.Text(), nullable=True, comment="The default one, else the first; E.164"),
        sa.Column("created_at", _INSTANT, nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="Contacts of clients, archived ones included",
    )
    op.create_index("ix_contacts_client_external_id", "contacts", ["client_external_id"], schema="gazelle")
    op.create_index("ix_contacts_email", "contacts", ["email"], schema="gazelle")
    op.create_index("ix_contacts_phone", "contacts", ["phone"], schema="gazelle")
    op.create_table(
        "pianos",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column(
            "external_id", sa.Text(), nullable=False, comment="Gazelle's piano id, ins_…; a piano that changes hands gets a new one"
        ),
        sa.Column("client_external_id", sa.Text(), nullable=True, comment="Owner"),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("make", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("size", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True, comment="Where it stands at the client's"),
        sa.Column("tags", sa.ARRAY(sa.Text())),
        sa.Column("reference_id", sa.Text(), nullable=True),
        sa.Column("case_color", sa.Text(), nullable=True),
        sa.Column("case_finish", sa.Text(), nullable=True),
        sa.Column("use_type", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("is_rental", sa.Boolean(), nullable=True),
        sa.Column("rental_ends_on", sa.Date(), nullable=True),
        sa.Column("is_consignment", sa.Boolean(), nullable=True),
        sa.Column("needs_repair", sa.Boolean(), nullable=True),
        sa.Column("is_total_loss", sa.Boolean(), nullable=True),
        sa.Column("has_dampp_chaser", sa.Boolean(), nullable=True),
        sa.Column("has_player", sa.Boolean(), nullable=True),
        sa.Column("service_interval_months", sa.Integer(), nullable=True),
        sa.Column("manual_last_service", sa.Date(), nullable=True),
        sa.Column("event_last_service", sa.Date(), nullable=True),
        sa.Column("last_service", sa.Date(), nullable=True, comment="As the vendor computes it"),
        sa.Column("calculated_next_service", sa.Date(), nullable=True, comment="As the vendor computes it"),
        sa.Column("next_service_override", sa.Date(), nullable=True, comment="Set by hand; wins over the computed date"),
        sa.Column("next_service", sa.Date(), nullable=True, comment="next_service_override, else calculated_next_service"),
        sa.Column("next_tuning_external_id", sa.Text(), nullable=True, comment="Scheduled appointment"),
        sa.Column("next_tuning_at", _INSTANT, nullable=True),
        sa.Column("created_at", _INSTANT, nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="Pianos; what a former owner's piano became is in view piano_history",
    )
    op.create_index("ix_pianos_client_external_id", "pianos", ["client_external_id"], schema="gazelle")
    op.create_index("ix_pianos_next_service", "pianos", ["next_service"], schema="gazelle")
    op.create_index("ix_pianos_serial_number", "pianos", ["serial_number"], schema="gazelle")
    op.create_table(
        "service_items",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's master service item id, mit_…"),
        sa.Column("name", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="Text by locale"),
        sa.Column("description", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="Text by locale"),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True, comment="In the minor unit of the company's currency"),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True, comment="Order in the vendor's list"),
        sa.Column("service_group_external_id", sa.Text(), nullable=True),
        sa.Column("is_archived", sa.Boolean(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=True),
        sa.Column("is_taxable", sa.Boolean(), nullable=True),
        sa.Column("is_tuning", sa.Boolean(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="The business's list of services",
    )
    op.create_index("ix_service_items_service_group_external_id", "service_items", ["service_group_external_id"], schema="gazelle")
    op.create_table(
        "tags",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("kind", sa.Text(), nullable=False, comment="CLIENT, PIANO, INVOICE or ESTIMATE"),
        sa.Column("tag", sa.Text(), nullable=False),
        *_common(),
        sa.PrimaryKeyConstraint("account", "kind", "tag"),
        schema="gazelle",
        comment="Tags in use, by what they are put on",
    )
    op.create_table(
        "timeline_entries",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's timeline entry id"),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("occurred_at", _INSTANT),
        sa.Column("client_external_id", sa.Text(), nullable=True),
        sa.Column("piano_external_id", sa.Text(), nullable=True),
        sa.Column("technician_external_id", sa.Text(), nullable=True),
        sa.Column("appointment_external_id", sa.Text(), nullable=True),
        sa.Column("invoice_external_id", sa.Text(), nullable=True),
        sa.Column("estimate_external_id", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("email_status", sa.Text(), nullable=True),
        sa.Column("sms_status", sa.Text(), nullable=True),
        sa.Column("related_type", sa.Text(), nullable=True),
        sa.Column("related_id", sa.Text(), nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="What happened with clients and pianos, newest knowledge of each entry; the vendor has no change time for them",
    )
    op.create_index(
        "ix_timeline_entries_appointment_external_id", "timeline_entries", ["appointment_external_id"], schema="gazelle"
    )
    op.create_index(
        "ix_timeline_entries_client_external_id_occurred_at",
        "timeline_entries",
        ["client_external_id", "occurred_at"],
        schema="gazelle",
    )
    op.create_index("ix_timeline_entries_occurred_at", "timeline_entries", ["occurred_at"], schema="gazelle")
    op.create_index(
        "ix_timeline_entries_piano_external_id_occurred_at",
        "timeline_entries",
        ["piano_external_id", "occurred_at"],
        schema="gazelle",
    )
    op.create_index("ix_timeline_entries_technician_external_id", "timeline_entries", ["technician_external_id"], schema="gazelle")
    op.create_index("ix_timeline_entries_type_occurred_at", "timeline_entries", ["type", "occurred_at"], schema="gazelle")
    op.create_table(
        "users",
        sa.Column("account", sa.Text(), nullable=False, comment="vendor/name"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="Gazelle's user id, usr_…"),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("access_level", sa.Text(), nullable=True),
        sa.Column("color", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("is_schedulable", sa.Boolean(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=True),
        sa.Column("updated_at", _INSTANT, nullable=True),
        *_common(),
        sa.PrimaryKeyConstraint("account", "external_id"),
        schema="gazelle",
        comment="Technicians and assistants of the business",
    )
    for view in (CLIENT_OVERVIEW, PIANOS_DUE, PIANO_HISTORY):
        op.execute(view)


def downgrade() -> None:
    op.execute("drop schema gazelle cascade")


def _common() -> list[sa.Column[Any]]:
    """The columns every vendor table ends with."""
    return [
        sa.Column("raw", postgresql.JSONB(), nullable=False, comment="The vendor's object as received"),
        sa.Column("version", _INSTANT, nullable=False, comment="Vendor change time; read time where the vendor has none"),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="BLAKE2b-128 of the content"),
        sa.Column("deleted_at", _INSTANT, comment="Set on a tombstone: when the vendor's copy was found gone"),
        sa.Column("first_seen_at", _INSTANT, nullable=False, comment="When this row was first stored"),
        sa.Column("synced_at", _INSTANT, nullable=False, comment="When this row was last written"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="The Dagster run that last wrote this row"),
    ]


CLIENT_OVERVIEW = """
CREATE VIEW gazelle.client_overview AS
SELECT c.account, c.external_id, c.company_name, c.status, c.tags, c.contact_name, c.email, c.phone, c.street, c.city, c.region,
       c.postal_code, c.country, c.preferred_technician_external_id,
       coalesce(p.piano_count, 0) AS piano_count, coalesce(p.active_piano_count, 0) AS active_piano_count,
       p.next_service, past.starts_at AS last_appointment_at, past.external_id AS last_appointment_external_id,
       coming.starts_at AS next_appointment_at, coming.external_id AS next_appointment_external_id,
       entry.occurred_at AS last_entry_at, entry.type AS last_entry_type, entry.summary AS last_entry_summary,
       entry.comment AS last_entry_comment, c.created_at, c.updated_at
FROM gazelle.clients c
LEFT JOIN LATERAL (
    SELECT count(*) AS piano_count, count(*) FILTER (WHERE status = 'ACTIVE') AS active_piano_count,
           min(next_service) FILTER (WHERE status = 'ACTIVE') AS next_service
    FROM gazelle.pianos WHERE account = c.account AND client_external_id = c.external_id AND deleted_at IS NULL
) p ON true
LEFT JOIN LATERAL (
    SELECT external_id, starts_at FROM gazelle.appointments
    WHERE account = c.account AND client_external_id = c.external_id AND deleted_at IS NULL AND type = 'APPOINTMENT'
      AND status IN ('ACTIVE', 'COMPLETE') AND starts_at < now()
    ORDER BY starts_at DESC LIMIT 1
) past ON true
LEFT JOIN LATERAL (
    SELECT external_id, starts_at FROM gazelle.appointments
    WHERE account = c.account AND client_external_id = c.external_id AND deleted_at IS NULL AND type = 'APPOINTMENT'
      AND status = 'ACTIVE' AND starts_at >= now()
    ORDER BY starts_at LIMIT 1
) coming ON true
LEFT JOIN LATERAL (
    SELECT occurred_at, type, summary, comment FROM gazelle.timeline_entries
    WHERE account = c.account AND client_external_id = c.external_id AND deleted_at IS NULL
    ORDER BY occurred_at DESC LIMIT 1
) entry ON true
WHERE c.deleted_at IS NULL
"""


PIANOS_DUE = """
CREATE VIEW gazelle.pianos_due AS
SELECT p.account, p.external_id, p.client_external_id, c.company_name, c.contact_name, c.email, c.phone, c.city,
       p.make, p.model, p.serial_number, p.location, p.last_service, p.next_service, p.next_service - current_date AS days_left,
       p.service_interval_months, p.next_tuning_external_id, p.next_tuning_at
FROM gazelle.pianos p
LEFT JOIN gazelle.clients c
       ON c.account = p.account AND c.external_id = p.client_external_id AND c.deleted_at IS NULL
WHERE p.deleted_at IS NULL AND p.status = 'ACTIVE' AND p.next_service IS NOT NULL
"""


PIANO_HISTORY = """
CREATE VIEW gazelle.piano_history AS
SELECT account, external_id, client_external_id, make, serial_number, status, created_at AS owned_from, deleted_at,
       lead(created_at) OVER same AS owned_until, lead(external_id) OVER same AS successor_external_id,
       lag(external_id) OVER same AS predecessor_external_id
FROM gazelle.pianos
WHERE serial_number <> ''
WINDOW same AS (PARTITION BY account, lower(make), serial_number ORDER BY created_at, external_id)
"""
