"""What a link makes of real references, shown before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from sync_pipelines.core.config_store import differences
from sync_pipelines.core.jsons import Json, decode_json
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink
from sync_pipelines.vendors.grand_shooting.fields import READ_ONLY
from sync_pipelines.vendors.grand_shooting.mapping import MappingError


@dataclass(frozen=True, slots=True)
class Preview:
    """One reference before and after.

    Attributes:
        ref: The main account's ref.
        outcome: ``copied``, ``filtered out``, or why it fails.
        before: As the main account has it.
        after: As the secondary would have it; ``None`` if it would not.
    """

    ref: str
    outcome: str
    before: Json
    after: Json

    def differences(self) -> list[str]:
        """What changes, a line each."""
        if self.after is None:
            return []
        before = {name: value for name, value in self.before.items() if name not in READ_ONLY}
        return [f"{change.path}: {change.before!r} → {change.after!r}" for change in differences(before, self.after)]


def preview(connection: Connection[Any], working: WorkingLink, *, limit: int) -> list[Preview]:
    """The first references of the mirror through filter and mapping."""
    rows = connection.execute(
        "select ref, raw::text from grand_shooting.references where account = %s and deleted_at is null order by ref limit %s",
        [working.link.main, limit],
    ).fetchall()
    return [_one(working, ref, decode_json(raw)) for ref, raw in rows]


def _one(working: WorkingLink, ref: str, reference: Json) -> Preview:
    try:
        if not working.replication.passes(reference):
            return Preview(ref, "filtered out", reference, None)
        return Preview(ref, "copied", reference, working.replication.apply(reference))
    except MappingError as error:
        return Preview(ref, f"fails: {error}", reference, None)
