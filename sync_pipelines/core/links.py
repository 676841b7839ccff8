"""How a link, one account copied to another, is doing: what every vendor with links answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link.

    Attributes:
        id: The link's id; also its account in the queue and its subject in ``sync.hourly_volumes``.
        main: Account that is copied.
        secondary: Account it is copied to.
        state: Whether it works, and if not, who holds it: its configuration, a person, or its circuit.
        trouble: Why the circuit is open.
        queue: Queue its work waits in.
        next_batch_at: When it is compared next, aware.
        failed: References that could not be written.
        held: References that wait for a person.
    """

    id: str
    main: str
    secondary: str
    state: Literal["active", "inactive", "paused", "open circuit"]
    trouble: str | None
    queue: str
    next_batch_at: datetime | None
    failed: int
    held: int
