"""What a perfect client would have stored: every object that exists, by stream and id, in the vendor's field names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sync_pipelines.sandbox.gazelle.world import Node, World


def truth(world: World, stream: str | None = None) -> dict[str, Any]:
    """All streams, or one; ``deleted`` names the ids that existed once.

    Links appear as ``clientId``, ``pianoId``, …; a link to something deleted is null, as the vendor shows it.
    """
    makers: dict[str, Callable[[], dict[str, Node]]] = {
        "clients": lambda: {key: _client(world, node) for key, node in world.clients.items()},
        "contacts": lambda: {key: _contact(node) for key, node in world.contacts.items()},
        "pianos": lambda: {key: _plain(node) | {"clientId": node["_client"]} for key, node in world.pianos.items()},
        "appointments": lambda: {key: _event(world, node) for key, node in world.events.items()},
        "timeline_entries": lambda: {key: _entry(world, node) for key, node in world.timeline.items()},
        "users": lambda: {key: _plain(node) for key, node in world.users.items()},
        "service_items": lambda: {
            key: _plain(node) | {"masterServiceGroupId": node["_group"]} for key, node in world.service_items.items()
        },
        "tags": lambda: {
            f"{kind}/{tag}": {"kind": kind, "tag": tag}
            for kind, nodes in (("CLIENT", world.clients), ("PIANO", world.pianos))
            for node in nodes.values()
            for tag in node["tags"]
        },
    }
    if stream is not None:
        return {stream: makers[stream]()}
    gone = {
        "appointments" if name == "events" else "timeline_entries" if name == "timeline" else name: ids
        for name, ids in world.deleted.items()
    }
    return {name: make() for name, make in makers.items()} | {"deleted": {name: sorted(ids) for name, ids in gone.items()}}


def _plain(node: Node) -> Node:
    return {key: value for key, value in node.items() if not key.startswith("_")}


def _client(world: World, node: Node) -> Node:
    contacts = [world.contacts[identifier] for identifier in node["_contacts"]]
    default = next((contact["id"] for contact in contacts if contact["isDefault"]), None)
    return _plain(node) | {"defaultContactId": default, "contactIds": list(node["_contacts"])}


def _contact(node: Node) -> Node:
    return _plain(node) | {
        "clientId": node["_client"],
        "emails": node["_emails"],
        "phones": [_plain(phone) | {"phoneNumber": phone["_e164"]} for phone in node["_phones"]],
        "locations": node["_locations"],
    }


def _event(world: World, node: Node) -> Node:
    return _plain(node) | {
        "clientId": node["_client"],
        "userId": node["_user"],
        "createdById": node["_created_by"],
        "pianos": [{"pianoId": link["_piano"], "isTuning": link["isTuning"]} for link in node["_pianos"]],
        "services": [
            _plain(item) | {"pianoId": item["_piano"], "masterServiceItemId": item["_service"]} for item in node["_services"]
        ],
    }


def _entry(world: World, node: Node) -> Node:
    piano = node["_piano"] if node["_piano"] in world.pianos else None
    return _plain(node) | {"clientId": node["_client"], "pianoId": piano, "userId": node["_user"]}
