"""The vendor's vocabularies as of the schema snapshot; a word outside them is stored as it is, and counted."""

from __future__ import annotations

VOCABULARIES: dict[str, frozenset[str]] = {
    "ClientStatus": frozenset({"ACTIVE", "INACTIVE", "PROSPECT", "NEW"}),
    "PianoStatus": frozenset({"ACTIVE", "INACTIVE", "TEMPORARY_STORAGE", "UNDER_RESTORATION"}),
    "PianoType": frozenset(
        {
            "UNKNOWN",
            "GRAND",
            "SQUARE_GRAND",
            "SPINET",
            "STUDIO",
            "UPRIGHT",
            "CONSOLE",
            "DIGITAL",
            "ORGAN",
            "HARPSICHORD",
            "FORTEPIANO",
            "CLAVICHORD",
            "AUTOHARP",
            "HYBRID",
        }
    ),
    "EventType": frozenset({"APPOINTMENT", "PERSONAL", "MEMO", "SYNCED"}),
    "EventStatus": frozenset({"ACTIVE", "CANCELED", "NO_SHOW", "COMPLETE"}),
    "EventConfirmationWarning": frozenset({"NONE", "NOTICE", "CRITICAL"}),
    "TimelineEntryType": frozenset(
        {
            "CONTACT_EMAIL_AUTOMATED",
            "CONTACT_EMAIL_MANUAL",
            "CONTACT_SMS_AUTOMATED",
            "CONTACT_SMS_MANUAL",
            "CONTACT_PHONE_AUTOMATED",
            "CONTACT_PHONE_MANUAL_TALKED",
            "CONTACT_PHONE_MANUAL_MESSAGE",
            "CONTACT_POST_AUTOMATED",
            "CONTACT_POST_MANUAL",
            "CONTACT_OTHER_MANUAL",
            "ERROR_MESSAGE",
            "SYSTEM_MESSAGE",
            "USER_COMMENT",
            "SERVICE_ENTRY_AUTOMATED",
            "SERVICE_ENTRY_MANUAL",
            "APPOINTMENT",
            "APPOINTMENT_LOG",
            "INVOICE",
            "INVOICE_LOG",
            "INVOICE_PAYMENT",
            "INVOICE_SYNC",
            "PIANO_MEASUREMENT",
            "SCHEDULED_MESSAGE_EMAIL",
            "SCHEDULED_MESSAGE_SMS",
            "SCHEDULED_MESSAGE_PHONE",
            "ESTIMATE",
            "ESTIMATE_LOG",
            "SYSTEM_NOTIFICATION",
        }
    ),
    "EmailStatus": frozenset(
        {
            "ACCEPTED",
            "BOUNCED",
            "CLICKED",
            "COMPLAINED",
            "DELIVERED",
            "DROPPED",
            "FAILED",
            "OPENED",
            "PENDING",
            "UNSUBSCRIBED",
            "UNDELIVERED",
            "QUEUED",
            "SENT",
        }
    ),
    "PhoneType": frozenset({"UNKNOWN", "PRIMARY", "SECONDARY", "MOBILE", "HOME", "WORK", "FAX"}),
    "PhoneClass": frozenset({"MOBILE", "LANDLINE", "VOIP", "UNKNOWN"}),
    "ContactLocationUsageType": frozenset({"STREET", "MAILING", "BILLING"}),
    "LocationType": frozenset({"ADDRESS", "COORDINATES", "WHAT3WORDS"}),
    "GeocodeLocationType": frozenset(
        {"ROOFTOP", "RANGE_INTERPOLATED", "GEOMETRIC_CENTER", "APPROXIMATE", "ADDRESS_NOT_FOUND", "UNKNOWN"}
    ),
    "UserStatus": frozenset({"ACTIVE", "INACTIVE"}),
    "AccessLevel": frozenset({"ADMIN", "TECHNICIAN", "ASSISTANT"}),
    "MasterServiceItemType": frozenset({"LABOR_FIXED_RATE", "LABOR_HOURLY", "EXPENSE", "MILEAGE", "OTHER"}),
    "SchedulerTravelMode": frozenset({"DRIVING", "WALKING", "BICYCLING", "TRANSIT"}),
    "SystemNotificationAlertType": frozenset({"ERROR", "WARNING", "INFO"}),
    "EventRecurrenceType": frozenset({"WEEKLY", "MONTHLY"}),
}
"""Known words by enum."""
