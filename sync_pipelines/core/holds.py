"""Implausible changes that the brake holds until a person says yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Hold:
    """An implausible change that waits for a person."""

    id: int
    account: str
    subject: str
    kind: str
    detail: Any
    opened_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None
    closed_at: datetime | None


def holds(connection: Connection[Any], *, ids: Sequence[int] | None = None) -> list[Hold]:
    """Open holds, newest first, or those with the given ids."""
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(
            "SELECT id, account, subject, kind, detail, opened_at, confirmed_at, confirmed_by, closed_at FROM sync.holds"
            " WHERE CASE WHEN %(ids)s::bigint[] IS NULL THEN closed_at IS NULL ELSE id = ANY(%(ids)s) END ORDER BY id DESC",
            {"ids": list(ids) if ids is not None else None},
        ).fetchall()


def confirm_hold(connection: Connection[Any], hold_id: int, *, by: str) -> bool:
    """Lets the next run carry out what is held; False if there is no such open hold."""
    return bool(
        connection.execute(
            "UPDATE sync.holds SET confirmed_at = clock_timestamp(), confirmed_by = %s WHERE id = %s AND closed_at IS NULL",
            [by, hold_id],
        ).rowcount
    )
