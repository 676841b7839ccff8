"""What a bench answers, and how a table of it looks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    Attributes:
        bench: The bench that measured it.
        what: What was measured.
        value: The number.
        unit: ``rows/s``, ``share``, ``MB``, ``s``, ``×``, ``bytes``.
        at_least: The value it should reach.
        at_most: The value it should stay below.
    """

    bench: str
    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_good(self) -> bool | None:
        """Whether the target is met; ``None`` without one."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (self.at_most is None or self.value <= self.at_most)

    def as_json(self) -> dict[str, Any]:
        """All fields, and whether the target is met."""
        return {**asdict(self), "is_good": self.is_good}


def show(measures: Iterable[Measure]) -> None:
    """Prints a table."""
    table = Table("bench", "what", "value", "unit", "target", "")
    for one in measures:
        verdict = {True: "ok", False: "missed", None: ""}[one.is_good]
        table.add_row(one.bench, one.what, _number(one.value), one.unit, _target(one), verdict)
    Console().print(table)


def processor_seconds(pid: int) -> float:
    """Seconds of processor time of a process of this machine and of its ended children; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def _target(one: Measure) -> str:
    bounds = [("≥", one.at_least), ("≤", one.at_most)]
    return " ".join(f"{sign} {bound:,g}" for sign, bound in bounds if bound is not None)
