"""The invented piano business: clients, contacts, pianos, events and timeline, the same for the same seed.

Objects are dictionaries in the vendor's field names; keys with a leading underscore are links that the resolvers follow.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Node = dict[str, Any]

_FIRST_NAMES = ("Ada", "Bela", "Clara", "Dinu", "Edvard", "Fanny", "Glenn", "Hazel", "Imre", "Jelly", "Klara", "Lili")
_LAST_NAMES = ("Ambre", "Bouleau", "Cordier", "Dampier", "Etouffoir", "Feutre", "Girard", "Hammer", "Ivory", "Jackson", "Keybed")
_CITIES = (("Montreal", "QC", "H2X"), ("Laval", "QC", "H7A"), ("Longueuil", "QC", "J4K"), ("Quebec", "QC", "G1R"))
_STREETS = ("Maple Street", "Station Road", "Rue du Moulin", "Avenue des Pins", "Harbour Lane")
_MAKES = (("Alder & Sons", "A-12"), ("Brookhaven", "Studio 45"), ("Corelli", "C170"), ("Dorn", "Concert 9"))
_PIANO_TYPES = ("GRAND", "UPRIGHT", "STUDIO", "SPINET", "DIGITAL", "CONSOLE")
_TIMELINE_TYPES = (
    "SERVICE_ENTRY_MANUAL", "SERVICE_ENTRY_AUTOMATED", "USER_COMMENT", "APPOINTMENT", "CONTACT_EMAIL_AUTOMATED",
    "INVOICE", "SYSTEM_MESSAGE", "CONTACT_PHONE_MANUAL_TALKED",
)  # fmt: skip
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Size:
    """How many of everything."""

    clients: int
    pianos: int
    events: int
    timeline: int
    users: int = 6


SIZES = {"tiny": Size(20, 28, 40, 120), "demo": Size(60, 84, 160, 720), "full": Size(5_000, 7_000, 12_000, 60_000)}


def stamp(moment: datetime) -> str:
    """An instant as the vendor writes it: UTC, whole seconds, ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """Everything the vendor knows.

    Args:
        seed: Same seed and same day, same data.
        size: A name in `SIZES`.
        now: The instant around which history and future lie.

    Attributes:
        changes: Counts every change, so that sorted lists can be cached.
        deleted: Ids that existed once, by collection.
    """

    def __init__(self, *, seed: int, size: str, now: datetime) -> None:
        self.random = random.Random(f"gazelle-{seed}")
        self.today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.size = SIZES[size]
        self.changes = 0
        self.clients: dict[str, Node] = {}
        self.contacts: dict[str, Node] = {}
        self.pianos: dict[str, Node] = {}
        self.events: dict[str, Node] = {}
        self.timeline: dict[str, Node] = {}
        self.users: dict[str, Node] = {}
        self.service_groups: dict[str, Node] = {}
        self.service_items: dict[str, Node] = {}
        self.deleted: dict[str, set[str]] = {name: set() for name in ("clients", "contacts", "pianos", "events", "timeline")}
        self._generate()

    def new_id(self, prefix: str) -> str:
        """A fresh id in the vendor's shape, ``cli_`` and 16 letters or digits."""
        return f"{prefix}_{''.join(self.random.choices(_ALPHABET, k=16))}"

    # The first day

    def _generate(self) -> None:
        span = timedelta(days=8 * 365)
        for number in range(self.size.users):
            self.add_user(number)
        self._add_services()
        users = list(self.users)
        for number in range(self.size.clients):
            created = self.today - span + span * (number / self.size.clients) + timedelta(seconds=number % 60)
            self.add_client(created, technician=self.random.choice([*users, None]))
        clients = list(self.clients)
        for number in range(self.size.pianos):
            owner = clients[number] if number < len(clients) else self.random.choice(clients)
            created = self.today - span + span * (number / self.size.pianos) + timedelta(hours=1, seconds=number % 60)
            self.add_piano(owner, created)
        pianos = list(self.pianos.values())
        for number in range(self.size.events):
            day = self.today + timedelta(days=self.random.triangular(-5 * 365, 300, -20))
            start = day.replace(hour=13, minute=0, second=0) + timedelta(minutes=30 * self.random.randrange(16))
            self.add_event(
                self.random.choice(pianos), start, created=min(start, self.today) - timedelta(days=20, seconds=number % 60)
            )
        for number in range(self.size.timeline):
            moment = self.today - span * (1 - number / self.size.timeline) - timedelta(minutes=self.random.randrange(60))
            self.add_timeline(self.random.choice(pianos), moment)
        self.changes = 0

    def _add_services(self) -> None:
        created = stamp(self.today - timedelta(days=3000))
        group: Node = {
            "id": self.new_id("msg"), "name": {"en_US": "Tuning and care", "fr_CA": "Accord et entretien"}, "order": 1,
            "isArchived": False, "isMultiChoice": True, "estimateChecklistCount": 0, "createdAt": created, "updatedAt": created,
        }  # fmt: skip
        self.service_groups[group["id"]] = group
        names = (
            ("Tuning", "Accord", 18500, True),
            ("Regulation", "Réglage", 42000, False),
            ("Voicing", "Harmonisation", 26000, False),
        )
        for order, (english, french, amount, is_tuning) in enumerate(names, 1):
            item: Node = {
                "id": self.new_id("mit"), "name": {"en_US": english, "fr_CA": french}, "order": order, "amount": amount,
                "description": {"en_US": f"{english} of one instrument"}, "educationDescription": {}, "externalUrl": None,
                "duration": 90, "type": "LABOR_FIXED_RATE", "isAnyUser": True, "isArchived": False, "isDefault": is_tuning,
                "isSelfSchedulable": True, "isTaxable": True, "isTuning": is_tuning, "createdAt": created, "updatedAt": created,
                "_group": group["id"],
            }  # fmt: skip
            self.service_items[item["id"]] = item

    # Births

    def add_user(self, number: int) -> Node:
        """A technician of the business."""
        created = stamp(self.today - timedelta(days=3000 - number))
        first, last = _FIRST_NAMES[number % len(_FIRST_NAMES)], _LAST_NAMES[number % len(_LAST_NAMES)]
        user: Node = {
            "id": self.new_id("usr"), "firstName": first, "lastName": last, "fullName": f"{first} {last}",
            "email": f"technician{number}@example.com", "color": f"#{number * 1118481 % 0xFFFFFF:06x}",
            "timezone": "America/Montreal", "accessLevel": "ADMIN" if number == 0 else "TECHNICIAN", "status": "ACTIVE",
            "isSchedulable": True, "hasLimitedAccess": False, "defaultBuffer": 15, "region": None,
            "createdAt": created, "updatedAt": created,
        }  # fmt: skip
        self.users[user["id"]] = user
        return user

    def add_client(self, created: datetime, *, technician: str | None = None) -> Node:
        """A client with one to three contacts; about one in six is a company."""
        rng = self.random
        number = len(self.clients) + len(self.deleted["clients"])
        updated = stamp(created + (self.today - created) * rng.random() if created < self.today else created)
        client: Node = {
            "id": self.new_id("cli"), "companyName": f"Concert Hall {number}" if number % 6 == 0 else "",
            "clientType": rng.choice(("private", "school", None)), "status": rng.choices(("ACTIVE", "INACTIVE", "PROSPECT",
            "NEW"), (80, 12, 4, 4))[0],
            "tags": sorted(rng.sample(("vip", "church", "school", "rental"), rng.randrange(3))), "referenceId": f"R{number:05d}",
            "region": None, "preferenceNotes": "Prefers mornings" if number % 4 == 0 else None, "personalNotes": None,
            "preferredTechnicianId": technician, "noContactReason": None, "noContactUntil": None, "reasonInactiveCode": None,
            "reasonInactiveDetails": None, "referredBy": None, "referredByNotes": None, "lastResultNotes": None,
            "lifecycleState": "no-lifecycle", "ignoreSafetyChecks": False, "searchString": f"client {number}",
            "custom1": f"field {number % 9}" if number % 3 == 0 else None, **{f"custom{n}": None for n in range(2, 11)},
            "createdAt": stamp(created), "updatedAt": updated, "_contacts": [],
        }  # fmt: skip
        self.clients[client["id"]] = client
        for order in range(rng.choices((1, 2, 3), (70, 22, 8))[0]):
            self.add_contact(client, created, order)
        self.changes += 1
        return client

    def add_contact(self, client: Node, created: datetime, order: int) -> Node:
        """A contact with e-mails, phones and locations; the first of a client is its default."""
        rng = self.random
        number = len(self.contacts) + len(self.deleted["contacts"])
        at = stamp(created)
        city, region, code = rng.choice(_CITIES)
        contact: Node = {
            "id": self.new_id("con"), "firstName": rng.choice(_FIRST_NAMES), "middleName": None,
            "lastName": rng.choice(_LAST_NAMES),
            "title": None, "suffix": None, "role": rng.choice((None, "Caretaker", "Teacher")), "sortOrder": order,
            "isDefault": order == 0, "isBillingDefault": order == 0, "archived": order > 0 and rng.random() < 0.15,
            "wantsEmail": True, "wantsPhone": rng.random() < 0.5, "wantsText": False,
            "createdAt": at,
            "updatedAt": stamp(created + (self.today - created) * rng.random() if created < self.today else created),
            "_client": client["id"],
            "_emails": [
                {"id": self.new_id("eml"), "email": f"person{number}.{n}@example.com", "emailMd5": None, "isDefault": n == 0}
                for n in range(rng.choices((0, 1, 2), (10, 75, 15))[0])
            ],
            "_phones": [
                {
                    "id": self.new_id("phn"), "extension": None, "isDefault": n == 0, "type": "MOBILE" if n == 0 else "HOME",
                    "confirmedAt": None, "confirmedCarrier": None, "confirmedClass": None, "createdAt": at, "updatedAt": at,
                    "_e164": f"+1514555{100 + (number + n) % 100:04d}",
                }
                for n in range(rng.choices((0, 1, 2), (5, 65, 30))[0])
            ],
            "_locations": [
                {
                    "id": self.new_id("loc"), "usageType": "STREET" if n == 0 else "BILLING", "locationType": "ADDRESS",
                    "geocodeType": "ROOFTOP",
                    "street1": f"{1 + number % 999} {rng.choice(_STREETS)}", "street2": None, "municipality": city,
                    "region": region,
                    "postalCode": f"{code} 1A{number % 10}", "countryCode": "CA", "latitude": f"45.{number % 10000:04d}",
                    "longitude": f"-73.{number % 10000:04d}", "what3words": None, "isBadAddress": False, "createdAt": at,
                    "updatedAt": at,
                }
                for n in range(rng.choices((1, 2), (85, 15))[0])
            ],
        }  # fmt: skip
        self.contacts[contact["id"]] = contact
        client["_contacts"].append(contact["id"])
        self.changes += 1
        return contact

    def add_piano(self, owner: str, created: datetime) -> Node:
        """A piano of a client."""
        rng = self.random
        number = len(self.pianos) + len(self.deleted["pianos"])
        make, model = rng.choice(_MAKES)
        last = (self.today - timedelta(days=rng.randrange(900))).date() if rng.random() < 0.9 else None
        interval = rng.choice((6, 12, 24, None))
        following = last + timedelta(days=30 * interval) if last and interval else None
        piano: Node = {
            "id": self.new_id("ins"), "make": make, "model": model, "serialNumber": f"{100000 + number}",
            "type": rng.choice(_PIANO_TYPES),
            "status": rng.choices(("ACTIVE", "INACTIVE", "UNDER_RESTORATION"), (90, 8, 2))[0], "year": rng.randrange(1890, 2024),
            "size": None, "location": rng.choice(("Living room", "Stage", None)), "caseColor": "Black", "caseFinish": "Satin",
            "useType": None, "notes": f"Note {number}" if number % 5 == 0 else None, "referenceId": None,
            "searchString": f"piano {number}",
            "tags": sorted(rng.sample(("ivory", "humidity"), rng.randrange(2))), "consignment": False,
            "rental": rng.random() < 0.05,
            "rentalContractEndsOn": None, "hasIvory": None, "needsRepairOrRebuilding": False, "totalLoss": False,
            "damppChaserInstalled": rng.random() < 0.2, "damppChaserHumidistatModel": None, "damppChaserMfgDate": None,
            "playerInstalled": False, "playerMake": None, "playerModel": None, "playerSerialNumber": None,
            "potentialPerformanceLevel": rng.choice((None, 3, 5)), "serviceIntervalMonths": interval,
            "manualLastService": None, "eventLastService": last and last.isoformat(),
            "calculatedLastService": last and last.isoformat(),
            "calculatedNextService": following and following.isoformat(), "nextServiceOverride": None,
            "lifecycleState": "no-lifecycle", "lifecycleContactPausedUntil": None,
            "createdAt": stamp(created),
            "updatedAt": stamp(created + (self.today - created) * rng.random() if created < self.today else created),
            "_client": owner,
        }  # fmt: skip
        self.pianos[piano["id"]] = piano
        self.changes += 1
        return piano

    def add_event(self, piano: Node, start: datetime, *, created: datetime, kind: str | None = None) -> Node:
        """An appointment on a piano, or something else in the calendar."""
        rng = self.random
        kind = kind or rng.choices(("APPOINTMENT", "PERSONAL", "MEMO", "SYNCED"), (86, 9, 3, 2))[0]
        is_appointment = kind == "APPOINTMENT"
        user = rng.choice(list(self.users))
        service = rng.choice(list(self.service_items.values()))
        name = service["name"]["en_US"]
        event: Node = {
            "id": self.new_id("evt"), "type": kind, "title": name if is_appointment else kind.title(),
            "status": "ACTIVE" if start > self.today else rng.choices(("COMPLETE", "CANCELED", "NO_SHOW"), (90, 8, 2))[0],
            "start": stamp(start), "duration": 90, "buffer": 15, "isAllDay": False, "timezone": "America/Montreal",
            "notes": None, "source": "manual_schedule", "confirmedByClient": False, "confirmedAt": None,
            "confirmationWarning": "NONE",
            "addressLine": None, "manualAddressLine": None, "lat": None, "lng": None, "travelMode": "DRIVING",
            "recurrenceId": None, "recurrenceType": None, "recurrenceInterval": None, "isTypeChangeable": True,
            "lifecycleState": None,
            "createdAt": stamp(created), "updatedAt": stamp(created), "location": None,
            "_client": piano["_client"] if is_appointment else None, "_user": user, "_created_by": user,
            "_pianos": [{"_piano": piano["id"], "isTuning": service["isTuning"]}] if is_appointment else [],
            "_services": [
                {
                    "id": self.new_id("esi"), "name": name, "amount": service["amount"], "quantity": 100, "duration": 90,
                    "type": service["type"], "isTaxable": True, "isTuning": service["isTuning"],
                    "_service": service["id"], "_piano": piano["id"],
                }
            ] if is_appointment else [],
        }  # fmt: skip
        for link in event["_pianos"]:
            link["_event"] = event["id"]
        self.events[event["id"]] = event
        self.changes += 1
        return event

    def add_timeline(self, piano: Node, moment: datetime, kind: str | None = None, *, comment: str | None = None) -> Node:
        """An entry in a client's history."""
        rng = self.random
        kind = kind or rng.choice(_TIMELINE_TYPES)
        is_mail = kind == "CONTACT_EMAIL_AUTOMATED"
        entry: Node = {
            "id": self.new_id("tle"), "type": kind, "occurredAt": stamp(moment), "summary": kind.replace("_", " ").capitalize(),
            "comment": comment or f"Remark {len(self.timeline)}", "duration": None, "emailStatus": "DELIVERED" if is_mail else None,
            "smsStatus": None, "emailFailureReason": None, "emailRecipientName": None, "alertType": None,
            "relatedId": None, "relatedType": None,
            "_client": piano["_client"], "_piano": piano["id"] if not is_mail else None, "_user": rng.choice([*self.users, None]),
        }  # fmt: skip
        self.timeline[entry["id"]] = entry
        self.changes += 1
        return entry

    def delete(self, collection: str, identifier: str) -> None:
        """Removes one object without a trace, and what cannot live without it."""
        store: dict[str, Node] = getattr(self, collection)
        node = store.pop(identifier)
        self.deleted[collection].add(identifier)
        self.changes += 1
        if collection == "contacts":
            self.clients[node["_client"]]["_contacts"].remove(identifier)
        if collection == "clients":
            for contact in node["_contacts"]:
                self.contacts.pop(contact)
                self.deleted["contacts"].add(contact)
            self._delete_where("pianos", "_client", identifier)
            self._delete_where("events", "_client", identifier)
            self._delete_where("timeline", "_client", identifier)
        if collection == "pianos":
            for event in self.events.values():
                if any(link["_piano"] == identifier for link in event["_pianos"]):
                    event["_pianos"] = [link for link in event["_pianos"] if link["_piano"] != identifier]
                    event["_services"] = [item for item in event["_services"] if item["_piano"] != identifier]

    def _delete_where(self, collection: str, link: str, identifier: str) -> None:
        store: dict[str, Node] = getattr(self, collection)
        for key in [key for key, node in store.items() if node[link] == identifier]:
            self.delete(collection, key)
