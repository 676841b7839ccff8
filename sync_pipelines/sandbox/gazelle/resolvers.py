"""How the look-alike answers each field: root queries with filters and sorting, Relay connections with offset cursors, links.

Cursors are offsets, as the vendor's library makes them by default, so records created or deleted while someone pages shift the
pages.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from graphql import GraphQLError, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

from sync_pipelines.sandbox.gazelle.world import Node, World

T = TypeVar("T")

ZONE = ZoneInfo("America/Montreal")
"""The business's zone; event dates are cut in it."""


@dataclass
class Context:
    """What resolvers see of the server.

    Attributes:
        world: The data.
        max_page_size: Larger pages are cut to it silently.
        null_nodes: Whether every connection also shows a null element, as its type allows.
        cache: Sorted lists by arguments, and indexes; forgotten when the world changes.
    """

    world: World
    max_page_size: int = 1000
    null_nodes: bool = False
    cache: dict[Any, tuple[int, Any]] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What ``make`` returns, kept until the world changes."""
        known = self.cache.get(key)
        if known is None or known[0] != self.world.changes:
            if len(self.cache) > 64:
                self.cache.clear()
            known = self.cache[key] = (self.world.changes, make())
        found: T = known[1]
        return found


class Connection:
    """One page of a list."""

    def __init__(self, items: Sequence[Any], arguments: dict[str, Any], context: Context) -> None:
        start = 1 + _offset(arguments["after"]) if arguments.get("after") else 0
        stop = min(_offset(arguments["before"]), len(items)) if arguments.get("before") else len(items)
        if (last := arguments.get("last")) is not None:
            start = max(start, stop - last)
        size = min(context.max_page_size, arguments["first"] if arguments.get("first") is not None else context.max_page_size)
        self._start, page = start, list(items[start : min(stop, start + size)])
        self.nodes: list[Any] = [*page, None] if context.null_nodes else page
        self._count = len(page)
        self.totalCount = len(items)
        self.pageInfo = {
            "hasNextPage": start + len(page) < len(items),
            "hasPreviousPage": start > 0,
            "startCursor": _cursor(start) if page else None,
            "endCursor": _cursor(start + len(page) - 1) if page else None,
        }

    @property
    def edges(self) -> list[dict[str, Any] | None]:
        """The nodes with their cursors."""
        edges: list[dict[str, Any] | None] = [
            {"cursor": _cursor(self._start + place), "node": node} for place, node in enumerate(self.nodes[: self._count])
        ]
        return [*edges, None] if len(self.nodes) > self._count else edges


def _cursor(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode()


def _offset(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True))
    except ValueError:
        raise GraphQLError("invalid cursor") from None


def _world(info: GraphQLResolveInfo) -> World:
    context: Context = info.context
    return context.world


def _page(info: GraphQLResolveInfo, items: Sequence[Any], arguments: dict[str, Any]) -> Connection:
    return Connection(items, arguments, info.context)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _frozen(item)) for key, item in value.items()))
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


# Root lists

_CLIENT_SORTS: dict[str, Callable[[Node], Any]] = {
    "CREATED_AT": lambda node: (node["createdAt"], node["id"]),
    "STATUS": lambda node: (node["status"], node["id"]),
    "CLIENT_NAME": lambda node: (node["companyName"] or "", node["id"]),
}
_PIANO_SORTS: dict[str, Callable[[Node], Any]] = {
    "CREATED_AT": lambda node: (node["createdAt"], node["id"]),
    "NEXT_SERVICE": lambda node: (node["calculatedNextService"] or "9999", node["id"]),
    "MAKE": lambda node: (node["make"] or "", node["id"]),
}
_EVENT_SORTS: dict[str, Callable[[Node], Any]] = {"START": lambda node: (node["start"], node["id"])}


def _sorted(nodes: list[Node], keys: dict[str, Callable[[Node], Any]], wish: list[str] | None) -> list[Node]:
    """Sorts as asked; without ``sortBy`` in an order nobody should rely on."""
    for name in reversed(wish or []):
        column, _, direction = name.rpartition("_")
        key = keys.get(column)
        if key is None:
            raise GraphQLError(f"the look-alike does not sort by {name}")
        nodes = sorted(nodes, key=key, reverse=direction == "DESC")
    return nodes if wish else sorted(nodes, key=lambda node: str(node["id"])[::-1])


def _listed(info: GraphQLResolveInfo, arguments: dict[str, Any], make: Callable[[], list[Node]]) -> Connection:
    context: Context = info.context
    pagination = {"after", "before", "first", "last"}
    key = (info.field_name, _frozen({name: value for name, value in arguments.items() if name not in pagination}))
    return Connection(context.once(key, make), arguments, context)


def _all_clients(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    wish = arguments.get("filters") or {}

    def keep(node: Node) -> bool:
        if "status" in wish and node["status"] not in wish["status"]:
            return False
        if "search" in wish and wish["search"].lower() not in f"{node['id']} {node['companyName']}".lower():
            return False
        created = node["createdAt"][:10]
        return bool(wish.get("createdGet", "") <= created <= wish.get("createdLet", "9999"))

    return _listed(
        info,
        arguments,
        lambda: _sorted([n for n in _world(info).clients.values() if keep(n)], _CLIENT_SORTS, arguments.get("sortBy")),
    )


def _all_pianos(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    wish = arguments.get("filters") or {}

    def keep(node: Node) -> bool:
        if "clientId" in wish and node["_client"] != wish["clientId"]:
            return False
        if "status" in wish and node["status"] not in wish["status"]:
            return False
        created = node["createdAt"][:10]
        return bool(wish.get("createdGet", "") <= created <= wish.get("createdLet", "9999"))

    return _listed(
        info,
        arguments,
        lambda: _sorted([n for n in _world(info).pianos.values() if keep(n)], _PIANO_SORTS, arguments.get("sortBy")),
    )


def event_date(node: Node) -> date:
    """The day an event falls on in the business's zone."""
    return datetime.fromisoformat(node["start"]).astimezone(ZONE).date()


def _events(info: GraphQLResolveInfo, arguments: dict[str, Any]) -> list[Node]:
    wish = arguments.get("filters") or {}
    first = max(wish.get("dateGet") or "", wish.get("startOn") or "") or "0001-01-01"
    last = min(wish.get("dateLet") or "9999-12-31", wish.get("endOn") or "9999-12-31")
    # Dates are compared as instants in UTC with a day's slack first, because cutting every event's day is slow.
    low = (date.fromisoformat(first) - timedelta(days=1)).isoformat() if first > "0001-01-02" else ""
    high = (date.fromisoformat(last) + timedelta(days=2)).isoformat() if last < "9999" else "9999"

    def keep(node: Node) -> bool:
        if not low <= node["start"] <= high or not first <= event_date(node).isoformat() <= last:
            return False
        if "type" in wish and node["type"] not in wish["type"]:
            return False
        if "status" in wish and node["status"] not in wish["status"]:
            return False
        if "clientId" in wish and node["_client"] not in wish["clientId"]:
            return False
        return "pianoId" not in wish or any(link["_piano"] in wish["pianoId"] for link in node["_pianos"])

    return _sorted([node for node in _world(info).events.values() if keep(node)], _EVENT_SORTS, arguments.get("sortBy"))


def _all_timeline(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    since, types = arguments.get("occurredAtGet") or "", arguments.get("types")
    client, piano, search = arguments.get("clientId"), arguments.get("pianoId"), (arguments.get("search") or "").lower()

    def keep(node: Node) -> bool:
        return (
            node["occurredAt"] >= since
            and (not types or node["type"] in types)
            and (client is None or node["_client"] == client)
            and (piano is None or node["_piano"] == piano)
            and (not search or search in f"{node['summary']} {node['comment']}".lower())
        )

    def newest_first() -> list[Node]:
        kept = [node for node in _world(info).timeline.values() if keep(node)]
        return sorted(kept, key=lambda node: (node["occurredAt"], node["id"]), reverse=True)

    return _listed(info, arguments, newest_first)


def _tags(collection: str) -> Callable[..., list[str]]:
    def resolve(_: Any, info: GraphQLResolveInfo) -> list[str]:
        return sorted({tag for node in getattr(_world(info), collection).values() for tag in node["tags"]})

    return resolve


def _one(collection: str, *names: str) -> Callable[..., Node | None]:
    def resolve(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Node | None:
        identifier = next((arguments[name] for name in names if arguments.get(name)), None)
        node: Node | None = getattr(_world(info), collection).get(identifier)
        return node

    return resolve


# Links between objects


def _link(collection: str, key: str) -> Callable[..., Node | None]:
    def resolve(node: Node, info: GraphQLResolveInfo) -> Node | None:
        found: Node | None = getattr(_world(info), collection).get(node[key])
        return found

    return resolve


def _owned(key: str) -> Callable[..., Connection]:
    def resolve(node: Node, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
        return _page(info, node[key], arguments)

    return resolve


def _contacts_of(node: Node, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    contacts = (_world(info).contacts[identifier] for identifier in node["_contacts"])
    shown = [contact for contact in contacts if arguments.get("includeArchived") or not contact["archived"]]
    return _page(info, shown, arguments)


def _pianos_of(node: Node, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return _page(info, [piano for piano in _world(info).pianos.values() if piano["_client"] == node["id"]], arguments)


def _first_contact(flag: str) -> Callable[..., Node | None]:
    def resolve(node: Node, info: GraphQLResolveInfo) -> Node | None:
        contacts = (_world(info).contacts[identifier] for identifier in node["_contacts"])
        return next((contact for contact in contacts if contact[flag]), None)

    return resolve


def _first_owned(key: str) -> Callable[..., Node | None]:
    def resolve(node: Node, _: GraphQLResolveInfo) -> Node | None:
        return next(iter(node[key]), None)

    return resolve


def _phone_number(node: Node, _: GraphQLResolveInfo, format: str | None = None) -> str:  # noqa: A002 - the vendor's argument
    number: str = node["_e164"]
    if format == "E164":
        return number
    national = f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return national if format != "INTERNATIONAL" else f"+1 {number[2:5]}-{number[5:8]}-{number[8:]}"


def _next_tuning(node: Node, info: GraphQLResolveInfo) -> Node | None:
    context: Context = info.context

    def by_piano() -> dict[str, Node]:
        today = context.world.today.isoformat()
        events = [event for event in context.world.events.values() if event["status"] == "ACTIVE" and event["start"] >= today]
        latest_first = sorted(events, key=lambda event: str(event["start"]), reverse=True)
        return {link["_piano"]: event for event in latest_first for link in event["_pianos"] if link["isTuning"]}

    return context.once("next tuning", by_piano).get(node["id"])


_RESOLVERS: dict[str, dict[str, Callable[..., Any]]] = {
    "PrivateQuery": {
        "allClients": _all_clients,
        "allPianos": _all_pianos,
        "allEventsBatched": lambda _, info, **a: _listed(info, a, lambda: _events(info, a)),
        "allEvents": lambda _, info, **a: _events(info, a),
        "allTimelineEntries": _all_timeline,
        "allUsers": lambda _, info: list(_world(info).users.values()),
        "user": lambda _, info: next(iter(_world(info).users.values())),
        "allMasterServiceItems": lambda _, info: list(_world(info).service_items.values()),
        "allMasterServiceGroups": lambda _, info: list(_world(info).service_groups.values()),
        "allClientTags": _tags("clients"),
        "allPianoTags": _tags("pianos"),
        "allInvoiceTags": lambda *_: [],
        "allEstimateTags": lambda *_: [],
        "company": lambda *_: {"id": "com_0000000000000000", "name": "Sandbox Pianos", "countryCode": "CA"},
        "client": _one("clients", "id", "clientId"),
        "contact": _one("contacts", "id"),
        "piano": _one("pianos", "id", "pianoId"),
        "event": _one("events", "eventId"),
    },
    "PrivateClient": {
        "allContacts": _contacts_of,
        "allPianos": _pianos_of,
        "defaultContact": _first_contact("isDefault"),
        "defaultBillingContact": _first_contact("isBillingDefault"),
        "preferredTechnician": _link("users", "preferredTechnicianId"),
    },
    "PrivateContact": {
        "client": _link("clients", "_client"),
        "allEmails": _owned("_emails"),
        "allPhones": _owned("_phones"),
        "allLocations": _owned("_locations"),
        "defaultEmail": _first_owned("_emails"),
        "defaultPhone": _first_owned("_phones"),
        "defaultLocation": _first_owned("_locations"),
    },
    "PrivateContactPhone": {"phoneNumber": _phone_number},
    "PrivatePiano": {
        "client": _link("clients", "_client"),
        "nextTuningScheduled": _next_tuning,
        "allPianoMeasurements": lambda *_: [],
    },
    "PrivateEvent": {
        "client": _link("clients", "_client"),
        "user": _link("users", "_user"),
        "createdBy": _link("users", "_created_by"),
        "allEventPianos": _owned("_pianos"),
        "allServiceItems": _owned("_services"),
    },
    "PrivateEventPiano": {"piano": _link("pianos", "_piano"), "event": _link("events", "_event")},
    "PrivateEventServiceItem": {"masterServiceItem": _link("service_items", "_service"), "piano": _link("pianos", "_piano")},
    "PrivateTimelineEntry": {
        "client": _link("clients", "_client"),
        "piano": _link("pianos", "_piano"),
        "user": _link("users", "_user"),
    },
    "PrivateMasterServiceItem": {"masterServiceGroup": _link("service_groups", "_group")},
}


def attach(schema: GraphQLSchema) -> None:
    """Gives the schema's fields their resolvers; the rest read their name from the object, absent ones are null."""
    for type_name, fields in _RESOLVERS.items():
        kind = schema.get_type(type_name)
        if isinstance(kind, GraphQLObjectType):
            for name, resolve in fields.items():
                if name in kind.fields:
                    kind.fields[name].resolve = resolve
