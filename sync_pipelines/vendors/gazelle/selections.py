"""Every field we ask Gazelle for, and nothing else: one place to look when the schema moves.

Each type has a full fragment and, where change detection needs it, a lean one. A lean fragment holds the change time and those few
fields that may move without it. Fields live in fragments only, so that a refused field has one name, ``Fragment.path``, in every
query that uses it. Connections below a record carry ``pageInfo`` so that a cut list is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAGMENTS: dict[str, str] = {
    "ClientLean": """fragment ClientLean on PrivateClient { id updatedAt status defaultContact { id updatedAt } }""",
    "ClientFields": """fragment ClientFields on PrivateClient {
  id updatedAt createdAt status companyName clientType tags referenceId region
  preferenceNotes personalNotes lastResultNotes preferredTechnicianId referralClient { id }
  referredBy referredByNotes reasonInactiveCode reasonInactiveDetails noContactReason noContactUntil
  lifecycleState lifecycle { id name }
  custom1 custom2 custom3 custom4 custom5 custom6 custom7 custom8 custom9 custom10
  defaultContact {
    id updatedAt firstName lastName
    defaultEmail { id email } defaultPhone { id phoneNumber(format: E164) }
    defaultLocation { street1 street2 municipality region postalCode countryCode latitude longitude }
  }
  defaultBillingContact { id }
}""",
    "ContactLean": """fragment ContactLean on PrivateContact { id updatedAt archived isDefault }""",
    "ContactFields": """fragment ContactFields on PrivateContact {
  id updatedAt createdAt client { id } title firstName middleName lastName suffix role sortOrder
  isDefault isBillingDefault archived wantsEmail wantsPhone wantsText
  allEmails(first: $nested) { nodes { id email isDefault } pageInfo { hasNextPage } }
  allPhones(first: $nested) {
    nodes { id phoneNumber(format: E164) extension type isDefault confirmedAt confirmedClass updatedAt } pageInfo { hasNextPage }
  }
  allLocations(first: $nested) {
    nodes {
      id usageType locationType geocodeType street1 street2 municipality region postalCode countryCode
      latitude longitude what3words isBadAddress updatedAt
    }
    pageInfo { hasNextPage }
  }
}""",
    "PianoLean": """fragment PianoLean on PrivatePiano {
  id updatedAt status calculatedLastService calculatedNextService client { id }
}""",
    "PianoFields": """fragment PianoFields on PrivatePiano {
  id updatedAt createdAt client { id } status type make model serialNumber year size location tags referenceId
  caseColor caseFinish useType notes hasIvory consignment rental rentalContractEndsOn needsRepairOrRebuilding totalLoss
  serviceIntervalMonths manualLastService eventLastService calculatedLastService calculatedNextService nextServiceOverride
  nextTuningScheduled { id start } potentialPerformanceLevel lifecycleState lifecycleContactPausedUntil
  damppChaserInstalled damppChaserHumidistatModel damppChaserMfgDate
  playerInstalled playerMake playerModel playerSerialNumber
}""",
    "EventLean": """fragment EventLean on PrivateEvent {
  id updatedAt status start duration client { id } user { id } allEventPianos(first: $nested) { totalCount }
}""",
    "EventFields": """fragment EventFields on PrivateEvent {
  id updatedAt createdAt type status title start duration buffer isAllDay timezone notes source
  confirmedByClient confirmedAt confirmationWarning travelMode addressLine manualAddressLine lat lng
  location { singleLineAddress street1 street2 municipality region postalCode countryCode }
  recurrenceId recurrenceType recurrenceInterval
  client { id } user { id } createdBy { id }
  allEventPianos(first: $nested) { totalCount nodes { isTuning piano { id } } pageInfo { hasNextPage } }
  allServiceItems(first: $nested) {
    nodes { id name type amount quantity duration isTaxable isTuning masterServiceItem { id } piano { id } }
    pageInfo { hasNextPage }
  }
}""",
    "EntryLean": """fragment EntryLean on PrivateTimelineEntry { id occurredAt }""",
    "EntryFields": """fragment EntryFields on PrivateTimelineEntry {
  id occurredAt type summary comment duration relatedId relatedType alertType
  emailStatus emailFailureReason emailRecipientName smsStatus
  client { id } piano { id } user { id } appointment { id } invoice { id } estimate { id } invoicePayment { id }
}""",
    "UserFields": """fragment UserFields on PrivateUser {
  id updatedAt createdAt firstName lastName fullName email status accessLevel color timezone region
  isSchedulable hasLimitedAccess defaultBuffer
}""",
    "ServiceItemFields": """fragment ServiceItemFields on PrivateMasterServiceItem {
  id updatedAt createdAt name description educationDescription type amount duration order externalUrl
  isArchived isDefault isTaxable isTuning isAnyUser isSelfSchedulable masterServiceGroup { id name }
}""",
}

LATER_FIELDS = frozenset({"EventFields.allServiceItems"})
"""Seen by integrators after the schema snapshot (apis/gazelle/facts.md §10); a server without them is no surprise."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A paged list.

    Attributes:
        root: Field of the query type.
        arguments: Its arguments besides paging, by GraphQL type; given as variables of the same name.
        sort: Fixed ``sortBy``, where the list has one: without it the order is unspecified.
        lean: Fragment for change detection; ``None`` where the vendor has no change time.
        full: Fragment of whole records.
        below: Where a record hangs below the listed object (contacts below clients), with the arguments of that list.
    """

    root: str
    full: str
    lean: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    sort: str | None = None
    below: str | None = None

    def query(self, fragment: str) -> str:
        """The query of one page with a fragment; ``edges`` because each element's cursor is needed."""
        fragments = FRAGMENTS[fragment]
        variables = ["$first: Int!", "$after: String", *(f"${name}: {kind}" for name, kind in self.arguments)]
        if self.below or "$nested" in fragments:
            variables.append("$nested: Int!")
        given = ["first: $first", "after: $after", *(f"{name}: ${name}" for name, _ in self.arguments)]
        if self.sort:
            given.append(f"sortBy: [{self.sort}]")
        node = f"...{fragment}"
        if self.below:
            node = f"id {self.below} {{ nodes {{ ...{fragment} }} pageInfo {{ hasNextPage endCursor }} }}"
        return (
            f"query {self.root}({', '.join(variables)}) {{ {self.root}({', '.join(given)}) {{"
            f" totalCount pageInfo {{ hasNextPage endCursor }} edges {{ cursor node {{ {node} }} }} }} }}\n{fragments}"
        )


@dataclass(frozen=True, slots=True)
class Lookup:
    """Single records by id, many in one request under aliases.

    Attributes:
        root: Field of the query type.
        argument: Its id argument.
        full: Fragment of the record.
    """

    root: str
    argument: str
    full: str

    def query(self, count: int) -> str:
        """The query for ``count`` ids, given as ``$i0``, ``$i1``, …; answers under ``n0``, ``n1``, …."""
        fragment = FRAGMENTS[self.full]
        variables = [f"$i{place}: String!" for place in range(count)]
        if "$nested" in fragment:
            variables.append("$nested: Int!")
        fields = " ".join(f"n{place}: {self.root}({self.argument}: $i{place}) {{ ...{self.full} }}" for place in range(count))
        return f"query {self.root}({', '.join(variables)}) {{ {fields} }}\n{fragment}"


_CONTACTS = "allContacts(first: $nested, includeArchived: true)"

CLIENTS = Listing("allClients", full="ClientFields", lean="ClientLean", sort="CREATED_AT_ASC")
CONTACTS = Listing("allClients", full="ContactFields", lean="ContactLean", sort="CREATED_AT_ASC", below=_CONTACTS)
PIANOS = Listing("allPianos", full="PianoFields", lean="PianoLean", sort="CREATED_AT_ASC")
EVENTS = Listing(
    "allEventsBatched",
    full="EventFields",
    lean="EventLean",
    arguments=(("filters", "PrivateAllEventsFilter"),),
    sort="START_ASC",
)
TIMELINE = Listing(
    "allTimelineEntries",
    full="EntryFields",
    lean="EntryLean",
    arguments=(("occurredAtGet", "CoreDateTime"), ("pianoId", "String")),
)

CLIENT = Lookup("client", "id", "ClientFields")
CONTACT = Lookup("contact", "id", "ContactFields")
PIANO = Lookup("piano", "id", "PianoFields")
EVENT = Lookup("event", "eventId", "EventFields")

CONTACTS_OF_CLIENT = {
    fragment: (
        "query client($id: String!, $first: Int!, $after: String{nested}) {{ client(id: $id) {{"
        " allContacts(first: $first, after: $after, includeArchived: true) {{"
        " nodes {{ ...{fragment} }} pageInfo {{ hasNextPage endCursor }} }} }} }}\n"
    ).format(fragment=fragment, nested=", $nested: Int!" if "$nested" in FRAGMENTS[fragment] else "")
    + FRAGMENTS[fragment]
    for fragment in ("ContactFields", "ContactLean")
}
"""The rest of a client's contacts, where it has more than one nested page."""

USERS = f"query allUsers {{ allUsers {{ ...UserFields }} }}\n{FRAGMENTS['UserFields']}"
SERVICE_ITEMS = (
    f"query allMasterServiceItems {{ allMasterServiceItems {{ ...ServiceItemFields }} }}\n{FRAGMENTS['ServiceItemFields']}"
)
TAGS = "query tags { CLIENT: allClientTags PIANO: allPianoTags INVOICE: allInvoiceTags ESTIMATE: allEstimateTags }"
SCHEMA = """query schema { __schema {
  queryType { name }
  types { name kind enumValues { name }
    fields { name type { name kind ofType { name kind ofType { name kind ofType { name } } } } } }
} }"""


def all_queries() -> dict[str, str]:
    """Every query we may send, by a name for messages; what CI validates against the schema."""
    listings = {"clients": CLIENTS, "contacts": CONTACTS, "pianos": PIANOS, "events": EVENTS, "timeline": TIMELINE}
    queries = {f"{name} ({fragment})": listing.query(fragment) for name, listing in listings.items() for fragment in _of(listing)}
    queries |= {f"{lookup.root} by id": lookup.query(2) for lookup in (CLIENT, CONTACT, PIANO, EVENT)}
    queries |= {f"contacts of a client ({fragment})": text for fragment, text in CONTACTS_OF_CLIENT.items()}
    return queries | {"users": USERS, "service items": SERVICE_ITEMS, "tags": TAGS}


def _of(listing: Listing) -> list[str]:
    return [listing.full, *([listing.lean] if listing.lean else [])]
