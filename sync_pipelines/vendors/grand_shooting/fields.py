"""The fields of a reference, their types, and paths into it (``extra.composition[0]``); restated from facts.md §4.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT, NUMBER, LIST, OBJECT, ANY = "text", "number", "list", "object", "any"

WRITABLE: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *(
                "ref",
                "ean",
                "univers",
                "gamme",
                "family",
                "sku",
                "brand",
                "smalltext",
                "product_ref",
                "product_smalltext",
                "gender",
            ),
            *("gender_smalltext", "color", "hexa_color", "size", "collection", "comment", "online", "shotlist"),
        ),
        TEXT,
    ),
    **dict.fromkeys(("category_id", "shotlist_id"), NUMBER),
    **dict.fromkeys(("eans", "eans_extended", "tags"), LIST),
    "extra": OBJECT,
}
"""What can be sent; the vendor may refuse anything else (facts.md §3)."""

READ_ONLY: Mapping[str, str] = {
    "reference_id": NUMBER,
    **dict.fromkeys(("date_cre", "date_mod", "create_date", "update_date"), TEXT),
}
"""What the server sets; readable in filters and expressions, never copied."""

READABLE: Mapping[str, str] = {**WRITABLE, **READ_ONLY}

_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\[\d{1,4}\])*(?:\.[A-Za-z_0-9][\w-]*(?:\[\d{1,4}\])*)*", re.ASCII)
_STEP = re.compile(r"[\w-]+", re.ASCII)
MAX_DEPTH = 10


@dataclass(frozen=True)
class Path:
    """A parsed path: the field it starts at and the keys and positions below it."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> Path:
        """Parses ``extra.composition[0]``.

        Raises:
            ValueError: Not a path, or deeper than ten steps.

        >>> Path.parse("extra.composition[0]").steps
        ('extra', 'composition', 0)
        """
        if not _PATH.fullmatch(text):
            raise ValueError(f"{text!r} is not a path such as brand or extra.composition[0]")
        steps = tuple(
            int(step) if piece.startswith("[") else step
            for piece in re.findall(r"\[\d+\]|[\w-]+", text, re.ASCII)
            for step in _STEP.findall(piece)
        )
        if len(steps) > MAX_DEPTH:
            raise ValueError(f"{text!r} is deeper than {MAX_DEPTH} steps")
        return cls(text, steps)

    @property
    def field(self) -> str:
        """The reference's field the path starts at."""
        return str(self.steps[0])

    @property
    def type(self) -> str:
        """The type at the path's end as far as it is known; unknown fields give ``any``."""
        return READABLE.get(self.field, ANY) if len(self.steps) == 1 else ANY

    def read(self, reference: Mapping[str, Any]) -> Any:
        """The value there, or ``None``."""
        value: Any = reference
        for step in self.steps:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and step < len(value) else None
            else:
                value = value.get(step) if isinstance(value, Mapping) else None
            if value is None:
                return None
        return value

    def write(self, reference: dict[str, Any], value: Any) -> None:
        """Stores a value; objects on the way are made. Only for paths without positions."""
        for step in self.steps[:-1]:
            below = reference.get(str(step))
            reference[str(step)] = below = dict(below) if isinstance(below, dict) else {}
            reference = below
        reference[str(self.steps[-1])] = value


def type_of(value: Any) -> str:
    """The type of a JSON value in the words of this module; booleans are ``any``."""
    if isinstance(value, str):
        return TEXT
    if isinstance(value, bool) or value is None:
        return ANY
    if isinstance(value, list):
        return LIST
    return OBJECT if isinstance(value, Mapping) else NUMBER
