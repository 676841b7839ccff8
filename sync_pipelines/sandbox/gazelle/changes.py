"""What happens in the business between two syncs: edits, deletions, visits, and pianos changing hands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sync_pipelines.sandbox.gazelle.world import Node, World, stamp


class Changes:
    """Carries out named operations on random objects.

    Args:
        world: The world to change.
        now: Tells the vendor's time; an edit sets ``updatedAt`` to it.
    """

    def __init__(self, world: World, now: Callable[[], datetime]) -> None:
        self._world, self._now = world, now
        self.operations: dict[str, Callable[[Random], str]] = {
            "edit_client": self._edit_client,
            "edit_contact": self._edit_contact,
            "edit_phone": self._edit_phone,
            "archive_contact": self._archive_contact,
            "edit_piano": self._edit_piano,
            "create_client": self._create_client,
            "create_event": self._create_event,
            "reschedule_event": self._reschedule_event,
            "cancel_event": self._cancel_event,
            "complete_event": self._complete_event,
            "delete_event": self._delete_event,
            "delete_client": self._delete_client,
            "delete_piano": self._delete_piano,
            "delete_contact": self._delete_contact,
            "move_piano": self._move_piano,
            "add_timeline": self._add_timeline,
            "edit_timeline": self._edit_timeline,
        }

    def run(self, names: list[str], *, seed: int) -> list[dict[str, str]]:
        """Carries out ``names`` in order; tells which object each one touched."""
        rng = Random(f"changes-{seed}")
        return [{"operation": name, "id": self.operations[name](rng)} for name in names]

    def run_random(self, count: int, *, seed: int) -> list[dict[str, str]]:
        """A day's mixture: mostly edits and visits, few deletions."""
        rng = Random(f"mixture-{seed}")
        rare = {"delete_client", "delete_piano", "delete_contact", "move_piano", "create_client"}
        names = list(self.operations)
        return self.run(rng.choices(names, [1 if name in rare else 5 for name in names], k=count), seed=seed)

    def edit(self, collection: str, identifier: str, fields: dict[str, Any], *, touch: bool = True) -> None:
        """Sets fields of one object; ``touch`` moves its ``updatedAt`` if it has one."""
        node: Node = getattr(self._world, collection)[identifier]
        node.update(fields)
        if touch and "updatedAt" in node:
            node["updatedAt"] = self._at()
        self._world.changes += 1

    def _at(self) -> str:
        return stamp(self._now())

    def _pick(self, collection: str, rng: Random, where: Callable[[Node], bool] = lambda _: True) -> Node:
        return rng.choice([node for node in getattr(self._world, collection).values() if where(node)])

    def _edit_client(self, rng: Random) -> str:
        client = self._pick("clients", rng)
        tags = sorted({*client["tags"], f"tag{rng.randrange(9)}"})
        self.edit("clients", client["id"], {"preferenceNotes": f"Call first {rng.random()}", "tags": tags})
        return str(client["id"])

    def _edit_contact(self, rng: Random) -> str:
        """Moves the contact's ``updatedAt`` and leaves the client's alone, as integrators saw it."""
        contact = self._pick("contacts", rng)
        self.edit("contacts", contact["id"], {"role": f"Role {rng.random()}"})
        return str(contact["id"])

    def _edit_phone(self, rng: Random) -> str:
        contact = self._pick("contacts", rng, lambda node: bool(node["_phones"]))
        phone = contact["_phones"][0]
        phone["_e164"], phone["updatedAt"] = f"+1514555{100 + rng.randrange(100):04d}", self._at()
        self.edit("contacts", contact["id"], {})
        return str(contact["id"])

    def _archive_contact(self, rng: Random) -> str:
        contact = self._pick("contacts", rng, lambda node: not node["isDefault"] and not node["archived"])
        self.edit("contacts", contact["id"], {"archived": True})
        return str(contact["id"])

    def _edit_piano(self, rng: Random) -> str:
        piano = self._pick("pianos", rng)
        self.edit("pianos", piano["id"], {"notes": f"Pedal squeaks {rng.random()}"})
        return str(piano["id"])

    def _create_client(self, rng: Random) -> str:
        client = self._world.add_client(self._now())
        self._world.add_piano(client["id"], self._now())
        return str(client["id"])

    def _create_event(self, rng: Random) -> str:
        start = self._world.today + timedelta(days=rng.randrange(1, 200), hours=14)
        return str(self._world.add_event(self._pick("pianos", rng), start, created=self._now(), kind="APPOINTMENT")["id"])

    def _upcoming(self, rng: Random) -> Node:
        """An active appointment within the next year; a new one where there is none."""
        first, last = stamp(self._now()), stamp(self._world.today + timedelta(days=300))

        def is_upcoming(node: Node) -> bool:
            return node["type"] == "APPOINTMENT" and node["status"] == "ACTIVE" and first <= str(node["start"]) < last

        if not any(is_upcoming(node) for node in self._world.events.values()):
            self._create_event(rng)
        return self._pick("events", rng, is_upcoming)

    def _reschedule_event(self, rng: Random) -> str:
        event = self._upcoming(rng)
        start = datetime.fromisoformat(event["start"]) + timedelta(days=rng.randrange(1, 60))
        self.edit("events", event["id"], {"start": stamp(start)})
        return str(event["id"])

    def _cancel_event(self, rng: Random) -> str:
        event = self._upcoming(rng)
        self.edit("events", event["id"], {"status": "CANCELED"})
        return str(event["id"])

    def _complete_event(self, rng: Random) -> str:
        """Closes a visit: the piano's computed service dates follow without its ``updatedAt`` moving."""
        event = self._upcoming(rng)
        self.edit("events", event["id"], {"status": "COMPLETE"})
        for link in event["_pianos"]:
            piano = self._world.pianos[link["_piano"]]
            today = self._now().date()
            interval = piano["serviceIntervalMonths"]
            piano["eventLastService"] = piano["calculatedLastService"] = today.isoformat()
            piano["calculatedNextService"] = interval and (today + timedelta(days=30 * interval)).isoformat()
            self._world.add_timeline(piano, self._now(), "SERVICE_ENTRY_MANUAL")
        return str(event["id"])

    def _delete(self, collection: str, node: Node) -> str:
        self._world.delete(collection, node["id"])
        return str(node["id"])

    def _delete_event(self, rng: Random) -> str:
        return self._delete("events", self._upcoming(rng))

    def _delete_client(self, rng: Random) -> str:
        return self._delete("clients", self._pick("clients", rng))

    def _delete_piano(self, rng: Random) -> str:
        return self._delete("pianos", self._pick("pianos", rng))

    def _delete_contact(self, rng: Random) -> str:
        return self._delete("contacts", self._pick("contacts", rng, lambda node: not node["isDefault"]))

    def _move_piano(self, rng: Random) -> str:
        """Gives a piano to another client: a copy with a new id takes the history along, the original stays behind inactive."""
        world = self._world
        piano = self._pick("pianos", rng, lambda node: node["status"] == "ACTIVE")
        owner = self._pick("clients", rng, lambda node: node["id"] != piano["_client"])
        moved = {**piano, "id": world.new_id("ins"), "_client": owner["id"], "createdAt": self._at(), "updatedAt": self._at()}
        world.pianos[moved["id"]] = moved
        for entry in world.timeline.values():
            if entry["_piano"] == piano["id"]:
                entry["_piano"], entry["_client"] = moved["id"], owner["id"]
        self.edit("pianos", piano["id"], {"status": "INACTIVE"})
        return str(moved["id"])

    def _add_timeline(self, rng: Random) -> str:
        """A new entry, sometimes dated back by up to five days."""
        moment = self._now() - timedelta(days=rng.choice((0, 0, 2, 5)))
        return str(self._world.add_timeline(self._pick("pianos", rng), moment, "USER_COMMENT")["id"])

    def _edit_timeline(self, rng: Random) -> str:
        """A late edit of an entry of the last six days; there is no ``updatedAt`` to move."""
        since = stamp(self._now() - timedelta(days=6))
        if not any(node["occurredAt"] > since for node in self._world.timeline.values()):
            self._add_timeline(rng)
        entry = self._pick("timeline", rng, lambda node: node["occurredAt"] > since)
        self.edit("timeline", entry["id"], {"comment": f"Corrected {rng.random()}"})
        return str(entry["id"])
