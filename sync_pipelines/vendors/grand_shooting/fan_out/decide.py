"""What is to be done about one reference of one link: pure decisions from the mirror's row and what was last written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from sync_pipelines.core.jsons import Json, decode_json
from sync_pipelines.vendors.grand_shooting.mapping import Replication, body_and_hash

GONE = b""
"""`Decision.seen` of a reference the mirror does not have alive."""


class Action(StrEnum):
    """What a secondary needs."""

    WRITE = "write"
    DELETE = "delete"
    NOTHING = "nothing"


class Mirrored(Struct, frozen=True, gc=False):
    """A row of the mirror."""

    ref: str
    raw: str
    version: datetime
    content_hash: bytes
    is_deleted: bool


class Replica(Struct, frozen=True, gc=False):
    """What was last written to the secondary."""

    ref: str
    target_ref: str | None
    secondary_reference_id: int | None
    state: str
    applied_hash: bytes | None
    applied: Json = None


class Decision(Struct, frozen=True, gc=False):
    """What to do about one reference.

    Attributes:
        ref: The main account's ref.
        action: What the secondary needs.
        seen: Digest of what this was decided from; `GONE` if there is nothing to hold.
        version: Version of the mirror's row.
        body: JSON text of what the secondary should hold.
        content: The same as values.
        digest: `mapped_hash` of it.
        target_ref: The secondary's ref.
        old_id: An id of the secondary to delete: all of it, or what a changed ``ref`` leaves behind. A deletion without it goes by
            ``target_ref``: nobody saw whether the reference was created.
        is_known: Whether the secondary is known to hold an earlier state, so that a write creates nothing.
    """

    ref: str
    action: Action
    seen: bytes
    version: datetime | None = None
    body: bytes = b""
    content: Mapping[str, Any] | None = None
    digest: bytes | None = None
    target_ref: str | None = None
    old_id: int | None = None
    is_known: bool = False


def decide(
    replication: Replication,
    configuration: bytes,
    mirrored: Mirrored | None,
    replica: Replica | None,
    ref: str,
    *,
    force: bool = False,
) -> Decision:
    """What to do about one reference.

    Args:
        replication: The compiled link.
        configuration: Digest of filter and mapping, part of what was seen.
        mirrored: The mirror's row, if any.
        replica: What was last written, if anything.
        ref: The main account's ref.
        force: Write even what was last written already.

    Raises:
        MappingError: The reference cannot be transformed.
    """
    old_id = replica.secondary_reference_id if replica is not None else None
    was_tried = replica is not None and replica.state in {"writing", "failed"} and replica.target_ref is not None
    may_exist = old_id is not None or was_tried
    unwanted = Action.DELETE if may_exist else Action.NOTHING
    left = replica.target_ref if replica is not None else None
    if mirrored is None or mirrored.is_deleted:
        return Decision(ref, unwanted, GONE, mirrored.version if mirrored else None, old_id=old_id, target_ref=left)
    seen = mirrored.content_hash + configuration
    reference = decode_json(mirrored.raw)
    if not replication.passes(reference):
        return Decision(ref, unwanted, seen, mirrored.version, old_id=old_id, target_ref=left)
    content = replication.apply(reference)
    body, digest = body_and_hash(content)
    target_ref = content["ref"]
    is_known = replica is not None and replica.state == "applied" and replica.applied_hash == digest
    action = Action.NOTHING if is_known and not force else Action.WRITE
    left_behind = old_id if replica is not None and replica.target_ref not in (None, target_ref) else None
    return Decision(ref, action, seen, mirrored.version, body, content, digest, target_ref, left_behind, old_id is not None)


def holds(found: Any, written: Any) -> bool:
    """Whether what is there still contains all that was written; numbers compare by value, further keys do not matter."""
    if isinstance(written, Mapping):
        return isinstance(found, Mapping) and all(name in found and holds(found[name], value) for name, value in written.items())
    if isinstance(written, list):
        return isinstance(found, list) and len(found) == len(written) and all(map(holds, found, written))
    return bool(found == written) and isinstance(found, bool) is isinstance(written, bool)
