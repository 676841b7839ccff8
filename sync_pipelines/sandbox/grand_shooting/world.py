"""The look-alike's accounts and their references: one catalogue per account, unique by ``ref`` and by EAN, dated by the clock."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.quota import SlidingWindow

Reference = dict[str, Any]

STRING_FIELDS = frozenset(
    {
        *("ref", "ean", "univers", "gamme", "family", "sku", "brand", "smalltext", "product_ref", "product_smalltext", "gender"),
        *("gender_smalltext", "color", "hexa_color", "size", "collection", "comment", "online", "shotlist"),
    }
)
NUMBER_FIELDS = frozenset({"category_id", "shotlist_id"})
LIST_FIELDS = frozenset({"eans", "tags", "eans_extended"})
WRITABLE = STRING_FIELDS | NUMBER_FIELDS | LIST_FIELDS | {"extra"}
READ_ONLY = frozenset({"reference_id", "date_cre", "date_mod"})
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(STRING_FIELDS, str),
    **dict.fromkeys(NUMBER_FIELDS, (int, float)),
    **dict.fromkeys(LIST_FIELDS, list),
    "extra": dict,
}

BRANDS = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir")
COLORS = (("black", "#000000"), ("white", "#ffffff"), ("navy", "#000080"), ("red", "#ff0000"), ("olive", "#808000"))
SIZES = ("XS", "S", "M", "L", "XL", "38", "40", "42")
GENDERS = ("Woman", "Man", "Unisex", "Kids")
FAMILIES = ("Dresses", "Shirts", "Shoes", "Coats", "Bags")
MATERIALS = ("cotton", "linen", "wool", "silk", "polyester")
COLLECTIONS = ("FW24", "SS25", "FW25", "SS26")


class Refused(Exception):
    """A request the vendor turns down: ``status`` and the words of its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Account:
    """One account's catalogue, quota and token.

    ``changed`` is called after every write with ``(topic, reference_id, reference or None)``; the webhook sender listens there.
    """

    def __init__(self, name: str, account_id: int, clock: Clock, *, max_rps: int = 4) -> None:
        self.name, self.account_id, self.clock = name, account_id, clock
        self.token = f"sandbox-{name}-token"
        self.quota = SlidingWindow(clock, limit=max_rps, seconds=1.0)
        self.unlimited = self.down = self.revoked = False
        self.by_id: dict[int, Reference] = {}
        self.by_ref: dict[str, Reference] = {}
        self.ean_holder: dict[str, str] = {}
        self.ids: list[int] = []
        self.changed: Callable[[str, int, Reference | None], None] = lambda *_: None
        self._next_id = account_id * 1_000_000 + 1

    def now(self) -> str:
        """The clock as the vendor prints instants."""
        return datetime.fromtimestamp(self.clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def upsert(self, bodies: list[Reference]) -> list[Reference]:
        """Creates or updates by ``ref``: all or nothing; attributes left out keep their value. The bodies are kept, not copied.

        Raises:
            Refused: 400 for a bad body, 409 for an EAN another reference holds.
        """
        check_bodies(bodies)
        self._check_eans(bodies)
        now = self.now()
        return [self._write(body, now) for body in bodies]

    def delete(self, reference_id: int) -> None:
        """Deletes one reference.

        Raises:
            Refused: 404 if there is none.
        """
        reference = self.by_id.pop(reference_id, None)
        if reference is None:
            raise Refused(404, "Reference not found")
        del self.by_ref[reference["ref"]]
        if reference.get("ean"):
            self.ean_holder.pop(reference["ean"], None)
        self.ids.pop(bisect_left(self.ids, reference_id))
        self.changed("references/delete", reference_id, None)

    def set_extra(self, reference_id: int, extra: dict[str, Any]) -> Reference:
        """Merges top-level keys into ``extra``."""
        if reference_id not in self.by_id:
            raise Refused(404, "Reference not found")
        merged = {**self.by_id[reference_id].get("extra", {}), **extra}
        return self._write({"ref": self.by_id[reference_id]["ref"], "extra": merged}, self.now())

    def truth(self) -> dict[str, Reference]:
        """Every reference by ``ref``, as the API shows it."""
        return self.by_ref

    def _check_eans(self, bodies: list[Reference]) -> None:
        claimed: dict[str, str] = {}
        released = {self.by_ref[b["ref"]].get("ean") for b in bodies if b["ref"] in self.by_ref and "ean" in b}
        for body in bodies:
            ean = body.get("ean")
            if not ean:
                continue
            holder = claimed.get(ean) or (None if ean in released else self.ean_holder.get(ean))
            if ean in released and self.ean_holder.get(ean) == body["ref"]:
                holder = claimed.get(ean)
            if holder is not None and holder != body["ref"]:
                raise Refused(409, f"ean {ean} is already used by reference {holder}")
            claimed[ean] = body["ref"]

    def _write(self, body: Reference, now: str) -> Reference:
        known = self.by_ref.get(body["ref"])
        if known is None:
            reference: Reference = {"reference_id": self._next_id, **body, "date_cre": now, "date_mod": now}
            self._next_id += 1
            self.by_ref[body["ref"]] = self.by_id[reference["reference_id"]] = reference
            insort(self.ids, reference["reference_id"])
        else:
            reference = known
            if "ean" in body and self.ean_holder.get(reference.get("ean", "")) == body["ref"]:
                del self.ean_holder[reference["ean"]]
            reference.update(body)
            reference["date_mod"] = now
        if reference.get("ean"):
            self.ean_holder[reference["ean"]] = reference["ref"]
        self.changed("references/create" if known is None else "references/update", reference["reference_id"], reference)
        return reference


def check_bodies(bodies: list[Reference]) -> None:
    """Refuses what the vendor's validation refuses: no ``ref``, undeclared or empty attributes, wrong types, one ``ref`` twice."""
    seen: set[str] = set()
    for body in bodies:
        if not isinstance(body, dict) or not isinstance(body.get("ref"), str) or not body["ref"]:
            raise Refused(400, '"ref" is required')
        if body["ref"] in seen:
            raise Refused(400, f"ref {body['ref']} appears twice")
        seen.add(body["ref"])
        for name, value in body.items():
            wanted = _KINDS.get(name)
            if type(value) is wanted and value != "":
                continue
            if wanted is None:
                raise Refused(400, f'"{name}" is not allowed')
            if value is None or value == "":
                raise Refused(400, f'"{name}" is not allowed to be empty')
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise Refused(400, f'"{name}" has the wrong type')


def invent(rng: random.Random, number: int) -> Reference:
    """A plausible product; same generator state, same product."""
    color, hexa = rng.choice(COLORS)
    family = rng.choice(FAMILIES)
    first, second = rng.sample(MATERIALS, 2)
    share = rng.randrange(50, 100, 5)
    return {
        "ref": f"GS-{number:06d}",
        "ean": f"2{number:012d}",
        "univers": "Fashion",
        "family": family,
        "sku": f"SKU{number:07d}",
        "brand": rng.choice(BRANDS),
        "smalltext": f"{family[:-1]} {color} {number}",
        "product_ref": f"P-{number // 4:05d}",
        "product_smalltext": f"{family[:-1]} {number // 4}",
        "gender": rng.choice(GENDERS),
        "color": color,
        "hexa_color": hexa,
        "size": rng.choice(SIZES),
        "collection": rng.choice(COLLECTIONS),
        "tags": sorted(rng.sample(("new", "sale", "basic", "online", "outlet"), rng.randrange(1, 4))),
        "online": f"{rng.randrange(1, 29):02d}/{rng.randrange(1, 13):02d}/2026",
        "extra": {"composition": [f"{share}% {first}", f"{100 - share}% {second}"], "weight_g": rng.randrange(80, 2000)},
    }


def populate(account: Account, *, references: int, seed: int) -> None:
    """Fills an empty account with ``references`` products, silently: no webhook is sent for them."""
    rng = random.Random(seed)
    listener, account.changed = account.changed, lambda *_: None
    for number in range(1, references + 1):
        account.upsert([invent(rng, number)])
    account.changed = listener


def mutate(account: Account, *, operations: int, seed: int, creates: float = 0.2, deletes: float = 0.1) -> dict[str, int]:
    """Random realistic changes: creations, updates of some fields, deletions, now and then a re-creation of a deleted ``ref``."""
    rng = random.Random(seed)
    done = {"created": 0, "updated": 0, "deleted": 0}
    refs = sorted(account.by_ref)
    gone: list[int] = []
    for step in range(operations):
        draw = rng.random()
        if draw < creates or not refs:
            number = gone.pop() if gone and rng.random() < 0.3 else 100_000 + (seed % 1000) * 100_000 + step
            body = invent(rng, number)
            if body["ref"] not in account.by_ref:
                refs.append(body["ref"])
            account.upsert([body])
            done["created"] += 1
        elif draw < creates + deletes:
            ref = refs.pop(rng.randrange(len(refs)))
            gone.append(int(ref.rsplit("-", 1)[1])) if ref.startswith("GS-") else None
            account.delete(account.by_ref[ref]["reference_id"])
            done["deleted"] += 1
        else:
            account.upsert([{"ref": rng.choice(refs), **dict(_change(rng))}])
            done["updated"] += 1
    return done


def _change(rng: random.Random) -> Iterator[tuple[str, Any]]:
    fresh = invent(rng, rng.randrange(1, 1000))
    for name in rng.sample(("brand", "color", "size", "collection", "tags", "smalltext", "extra", "gender"), rng.randrange(1, 4)):
        yield name, fresh[name]
