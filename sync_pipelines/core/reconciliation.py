"""How far our tables equal what the vendor lists: what a comparison found, and the record of all comparisons.

`reconciling` makes the comparison; this module says what its result is and keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Column, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata
from sync_pipelines.core.totals import Status

reconciliations_table = Table(
    "reconciliations",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    instant("checked_at", primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("scope", Text, nullable=False, comment="What was compared: a UTC day, a key range, or everything"),
    Column("equal", BigInteger, nullable=False, comment="Records found equal"),
    Column("repaired", BigInteger, nullable=False, comment="Records missing or different here, read again and stored"),
    Column(
        "different",
        BigInteger,
        nullable=False,
        comment="Records still different, or here and unknown to the vendor: for a person to look at",
    ),
    Column("samples", JSONB, nullable=False, comment="Keys by kind: missing, altered, invented"),
    Column("newer", BigInteger, nullable=False, server_default=text("0"), comment="Records changed since our last reading; stored"),
    Column("parts", JSONB, nullable=False, server_default=text("'[]'"), comment="Counts by UTC day, for windowed streams"),
    schema=SYNC_SCHEMA,
    comment="How far our tables were found equal to what the vendor lists",
)

SAMPLES = 20
"""Keys kept of each kind of difference."""


class Verdict(StrEnum):
    """What the comparison of one record found."""

    EQUAL = "equal"
    """Our row and its children say what the vendor says."""
    NEWER = "newer"
    """The vendor's record has changed since our last reading: not a difference, the next sync would have stored it."""
    MISSING = "missing"
    """The vendor has it, we had not."""
    ALTERED = "altered"
    """Our row or its children did not say what the vendor says, although they had been read."""
    BURIED = "buried"
    """The vendor has it, our row is a tombstone of the same or a later time, which the guarded upsert never overwrites."""
    AHEAD = "ahead"
    """Our row claims a version that lies in the future, so that no change of the vendor's would ever reach it."""
    INVENTED = "invented"
    """We have it, the vendor does not know it."""
    LEAVING = "leaving"
    """The vendor no longer lists it, and the full scans have noticed: they will bury it when it is confirmed."""
    BROKEN = "broken"
    """The vendor's record cannot be read: a dead letter, not a difference."""


REPAIRABLE = frozenset({Verdict.MISSING, Verdict.ALTERED})
"""Differences that storing the vendor's record mends."""

REPORTED = frozenset({Verdict.BURIED, Verdict.AHEAD, Verdict.INVENTED})
"""Differences that only a person can judge; nothing is deleted because of them."""


@dataclass(slots=True)
class Reconciliation:
    """One comparison of a stream and account with the vendor's list.

    Attributes:
        scope: What was compared, for people: ``2026-03-01 to 2026-03-07`` or ``everything``.
        equal: Records found equal.
        newer: Records that had changed since our last reading.
        repaired: Records missing or different here, stored from the vendor's list.
        different: Records that still differ, or are unknown to the vendor.
        parts: Of each UTC day (windowed) or of everything: ``part, theirs, ours, repaired, different``.
        samples: Keys by kind of difference.
        stopped_because: Why a partial comparison ended early; the next one goes on there.
    """

    stream: str
    account: str
    run_id: str
    scope: str
    status: Status = Status.COMPLETE
    is_dry_run: bool = False
    equal: int = 0
    newer: int = 0
    repaired: int = 0
    different: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, list[str]] = field(default_factory=dict)
    api_calls: int = 0
    throttled: int = 0
    waited_s: float = 0.0
    duration_s: float = 0.0
    stopped_because: str | None = None
    resume_at: datetime | None = None

    @property
    def compared(self) -> int:
        """Records judged so far."""
        return self.equal + self.newer + self.repaired + self.different

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"status": str(self.status), "compared": self.compared}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A finished comparison as it was recorded; the fields are those of the table."""

    account: str
    stream: str
    checked_at: datetime
    run_id: str
    scope: str
    equal: int
    repaired: int
    different: int
    samples: dict[str, list[str]]
    newer: int
    parts: list[dict[str, Any]]


def record(connection: Connection[Any], found: Reconciliation) -> None:
    """Keeps a finished comparison."""
    connection.execute(
        "INSERT INTO sync.reconciliations"
        " (account, stream, checked_at, run_id, scope, equal, repaired, different, samples, newer, parts)"
        " VALUES (%s, %s, clock_timestamp(), %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            found.account,
            found.stream,
            found.run_id,
            found.scope,
            found.equal,
            found.repaired,
            found.different,
            Jsonb(found.samples),
            found.newer,
            Jsonb(found.parts),
        ],
    )


def latest(connection: Connection[Any], stream: str, accounts: Sequence[str] | None = None) -> list[Recorded]:
    """The last recorded comparison of each account of a stream, by account."""
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        return cursor.execute(
            "SELECT DISTINCT ON (account) account, stream, checked_at, run_id, scope, equal, repaired, different, samples, newer,"
            " parts FROM sync.reconciliations WHERE stream = %(stream)s"
            " AND (%(accounts)s::text[] IS NULL OR account = ANY(%(accounts)s)) ORDER BY account, checked_at DESC",
            {"stream": stream, "accounts": list(accounts) if accounts is not None else None},
        ).fetchall()
