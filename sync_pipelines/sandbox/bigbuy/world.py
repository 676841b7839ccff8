"""BigBuy's catalogue, computed rather than stored: 100,000 products and 160,000 variations cost a few megabytes.

Every property of a product is a function of the seed and its index; only what tests change is kept. Each list walks a taxonomy in
an order of its own (an affine permutation), and a withdrawn product moves everything after it up one place, as offset paging does.
"""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.sandbox.common.clock import Clock

GROUPS = (
    (19653, "Electronics"), (19656, "Home"), (19661, "Garden"), (19668, "Clothing"), (19756, "Sports"), (19702, "Toys"),
    (19711, "Beauty"), (19720, "Perfume"), (19733, "Kitchen"), (19741, "Pets"), (19749, "Office"), (19763, "Automotive"),
    (19771, "DIY"), (19780, "Lighting"), (19788, "Baby"), (19795, "Books"), (19803, "Music"), (19811, "Health"),
    (19820, "Travel"), (19828, "Watches"), (19836, "Party"), (19844, "Outlet"),
)  # fmt: skip
"""First-level taxonomies: id and English name."""

FIRST_PRODUCT_ID = 500_000
WORDS = ("Lamp", "Chair", "Speaker", "Kettle", "Jacket", "Puzzle", "Mat", "Watch", "Vase", "Drill", "Tent", "Mug", "Rack", "Fan")
COLOURS = ("Black", "White", "Red", "Blue", "Green", "Yellow")
LANGUAGES = ("es", "en", "fr", "de", "it", "pt", "nl", "pl")


def roll(seed: int, name: str, index: int, sides: int) -> int:
    """A die of ``sides`` faces that always falls the same way for this seed, name and index."""
    digest = hashlib.blake2b(f"{seed}:{name}:{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % sides


@dataclass
class Order:
    """A supplier order as BigBuy keeps it; tests place and move it through ``/_control/orders``."""

    id: int
    reference: str
    lines: list[dict[str, Any]]
    status: str = "Pending payment"
    placed_at: str = ""
    total: str = "0.00"
    parcels: list[dict[str, Any]] = field(default_factory=list)


class World:
    """One shop's view of BigBuy.

    Args:
        seed: Same seed, same catalogue.
        products: How many products.
        groups: How many first-level taxonomies, at most 22.
        in_stock: Share of units in stock, in percent.
        clock: The sandbox's time.
    """

    def __init__(self, *, seed: int, products: int, groups: int, in_stock: int, clock: Clock) -> None:
        self.seed, self.count, self.clock, self._in_stock = seed, products, clock, in_stock
        self.groups = GROUPS[:groups]
        self._ranges = self._cut_into_groups()
        self._variations = self._list_variations()
        self.withdrawn: set[int] = set()
        self.stock: dict[tuple[str, int], int] = {}
        self.prices: dict[tuple[str, int], float] = {}
        self.renamed: dict[int, str] = {}
        self.changed_at: dict[int, float] = {}
        self.orders: dict[int, Order] = {}
        self._began = clock.now()

    def _cut_into_groups(self) -> dict[int, range]:
        weights = [1 / (place + 2) for place in range(len(self.groups))]
        total, ends, running = sum(weights), [], 0.0
        for weight in weights:
            running += weight
            ends.append(round(self.count * running / total))
        starts = [0, *ends[:-1]]
        return {group: range(a, b) for (group, _), a, b in zip(self.groups, starts, ends, strict=True)}

    def _list_variations(self) -> dict[int, array[int]]:
        return {
            group: array("Q", [index * 8 + place for index in indexes for place in range(variations_of(index))])
            for group, indexes in self._ranges.items()
        }

    def group_of(self, index: int) -> int:
        """The first-level taxonomy of a product."""
        return next(group for group, indexes in self._ranges.items() if index in indexes)

    def product_indexes(self, group: int, listing: str) -> Iterator[int]:
        """Live products of a group, in the order of this list."""
        indexes = self._ranges.get(group, range(0))
        return (index for index in _shuffled(indexes, self.seed, listing) if index not in self.withdrawn)

    def variation_indexes(self, group: int, listing: str) -> Iterator[int]:
        """Live variations (product index times 8 plus place) of a group, in the order of this list."""
        units = self._variations.get(group, array("Q"))
        return (unit for unit in _shuffled(units, self.seed, listing) if unit // 8 not in self.withdrawn)

    def live_products(self) -> Iterator[int]:
        """Every product that is not withdrawn."""
        return (index for index in range(self.count) if index not in self.withdrawn)

    def quantity(self, kind: str, unit: int) -> int:
        """Units on hand of a ``product`` (by index) or ``variation``; a product with variations has their sum."""
        if kind == "product" and variations_of(unit):
            return sum(self.quantity("variation", unit * 8 + place) for place in range(variations_of(unit)))
        if (kind, unit) in self.stock:
            return self.stock[kind, unit]
        if roll(self.seed, f"{kind} stocked", unit, 100) >= self._in_stock:
            return 0
        pick = roll(self.seed, f"{kind} quantity", unit, 100)
        return 1 + pick % 4 if pick < 75 else 5 + pick

    def wholesale(self, kind: str, unit: int) -> float:
        """Wholesale price without VAT, EUR."""
        return self.prices.get((kind, unit), round(1.5 + roll(self.seed, f"{kind} price", unit, 20_000) / 100, 2))

    def name(self, index: int, language: str) -> str:
        """The product's name in a language."""
        base = f"{WORDS[roll(self.seed, 'word', index, len(WORDS))]} {index}"
        return self.renamed.get(index, base if language == "en" else f"{base} ({language})")

    def updated_at(self, index: int) -> str:
        """Naive vendor time of the last change."""
        at = self.changed_at.get(index, self._began - 86_400 - roll(self.seed, "age", index, 90 * 86_400))
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")

    def mutate(self, operations: int, seed: int) -> dict[str, int]:
        """Random realistic changes: mostly stock, some prices, a few names, the odd withdrawal."""
        chance, done = random.Random(seed), {"stock": 0, "price": 0, "name": 0, "withdrawn": 0}
        for _ in range(operations):
            index = chance.randrange(self.count)
            if index in self.withdrawn:
                continue
            kind, unit = ("product", index)
            if variations_of(index):
                kind, unit = "variation", index * 8 + chance.randrange(variations_of(index))
            what = chance.choices(("stock", "price", "name", "withdrawn"), (70, 20, 8, 2))[0]
            if what == "stock":
                self.stock[kind, unit] = chance.choice((0, 0, 1, 2, 3, 4, 12, 40))
            elif what == "price":
                self.prices[kind, unit] = round(self.wholesale(kind, unit) * chance.uniform(0.9, 1.12), 2)
            elif what == "name":
                self.renamed[index] = f"{WORDS[index % len(WORDS)]} {index} renamed {chance.randrange(1000)}"
            else:
                self.withdrawn.add(index)
            self.changed_at[index] = self.clock.now()
            done[what] += 1
        return done


def variations_of(index: int) -> int:
    """How many variations a product has: 8 in every 5 products, so 160,000 in 100,000."""
    block = (index // 5) % 3
    return {0: 3 + block, 1: 5 - block}.get(index % 5, 0)


def _shuffled(units: range | array[int], seed: int, listing: str) -> Iterator[int]:
    size = len(units)
    if size == 0:
        return
    step = 1 + roll(seed, f"step {listing}", size, size)
    while math.gcd(step, size) != 1:
        step += 1
    start = roll(seed, f"start {listing}", size, size)
    for place in range(size):
        yield units[(start + place * step) % size]
