"""Erases personal data whose time has come: from the table, the archive and the dead letters.

``raw`` never holds any, and nothing of Amazon is put into the queue. What may be kept is decided by `privacy.may_keep_persons`, the
same rule by which it was stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import zstandard
from psycopg import Connection, sql
from psycopg.rows import dict_row

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.jsons import Json, decode_json, encode_json
from sync_pipelines.vendors.amazon.mapping import content_hash
from sync_pipelines.vendors.amazon.privacy import may_keep_persons, order_instants, without_persons
from sync_pipelines.vendors.amazon.settings import Settings
from sync_pipelines.vendors.amazon.streams import orders
from sync_pipelines.vendors.amazon.tables import PERSONAL_COLUMNS

BATCH = 1_000


@dataclass
class Erased:
    """How many orders, archived pages and dead letters were cleaned."""

    orders: int = 0
    pages: int = 0
    dead_letters: int = 0


def erase_persons(database: Database, account: str, settings: Settings, *, now: datetime) -> Erased:
    """Erases what `privacy.may_keep_persons` no longer allows; everything, once ``personal_data`` is off.

    Args:
        database: Where it is.
        account: ``vendor/name``.
        settings: The account's.
        now: Aware UTC.
    """

    def permitted(order: Json) -> Json:
        """An order of any source as it may be kept."""
        if not isinstance(order, dict):
            return order
        latest_ship_at, purchased_at = order_instants(order)
        if may_keep_persons(settings, latest_ship_at=latest_ship_at, purchased_at=purchased_at, now=now):
            return order
        return without_persons(order)

    erased = Erased()
    erased.orders = _erase_columns(database, account, settings, now)
    erased.pages = _erase_archive(database, account, permitted)
    erased.dead_letters = _erase_letters(database, account, permitted)
    return erased


def _erase_columns(database: Database, account: str, settings: Settings, now: datetime) -> int:
    """Empties the columns; the hash becomes that of the row as a new read would store it."""
    names = [sql.Identifier(name) for name in PERSONAL_COLUMNS]
    expired = sql.SQL(
        "SELECT * FROM amazon.orders WHERE account = %s AND ({}) AND order_id > %s ORDER BY order_id LIMIT %s"
    ).format(sql.SQL(" OR ").join(sql.SQL("{} IS NOT NULL").format(name) for name in names))
    clean = sql.SQL("UPDATE amazon.orders SET {}, content_hash = %s WHERE account = %s AND order_id = %s").format(
        sql.SQL(", ").join(sql.SQL("{} = NULL").format(name) for name in names)
    )
    count, last = 0, ""
    while True:
        with database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(expired, [account, last, BATCH]).fetchall()
            for row in rows:
                if may_keep_persons(settings, latest_ship_at=row["latest_ship_at"], purchased_at=row["purchased_at"], now=now):
                    continue
                items = cursor.execute(
                    "SELECT * FROM amazon.order_items WHERE account = %s AND order_id = %s", [account, row["order_id"]]
                ).fetchall()
                digest = content_hash(row | dict.fromkeys(PERSONAL_COLUMNS), items)
                cursor.execute(clean, [digest, account, row["order_id"]])
                count += 1
        if not rows:
            return count
        last = rows[-1]["order_id"]


def _erase_archive(database: Database, account: str, permitted: Callable[[Json], Json]) -> int:
    """Rewrites the pages that hold persons; one page in memory at a time."""
    count = 0
    with database.connect() as connection:
        pages = connection.execute(
            "SELECT received_at, id FROM sync.archive WHERE stream = %s AND account = %s", [orders.key, account]
        ).fetchall()
    for received_at, page_id in pages:
        with database.transaction() as connection:
            row = connection.execute(
                "SELECT body FROM sync.archive WHERE received_at = %s AND id = %s FOR UPDATE", [received_at, page_id]
            ).fetchone()
            if row is None:
                continue
            page = decode_json(zstandard.ZstdDecompressor().decompress(row[0]))
            kept = page | {"orders": [permitted(order) for order in page["orders"]]}
            if kept == page:
                continue
            body = encode_json(kept)
            connection.execute(
                "UPDATE sync.archive SET body = %s, size = %s WHERE received_at = %s AND id = %s",
                [zstandard.ZstdCompressor().compress(body), len(body), received_at, page_id],
            )
            count += 1
    return count


def _erase_letters(database: Database, account: str, permitted: Callable[[Json], Json]) -> int:
    """Cleans payloads before and after editing, and answers; what cannot be read as an order is emptied."""
    count = 0
    with database.transaction() as connection:
        letters = connection.execute(
            "SELECT id, payload, original, response FROM sync.dead_letters WHERE account = %s AND subject = %s FOR UPDATE",
            [account, orders.key],
        ).fetchall()
        for letter_id, *parts in letters:
            kept = [None if part is None else _permitted_text(bytes(part), permitted) for part in parts]
            if kept != [None if part is None else bytes(part) for part in parts]:
                _replace_letter(connection, letter_id, kept)
                count += 1
    return count


def _permitted_text(text: bytes, permitted: Callable[[Json], Json]) -> bytes:
    try:
        order = decode_json(text)
    except ContractError:
        return b"{}"
    kept = permitted(order)
    return text if kept == order else encode_json(kept)


def _replace_letter(connection: Connection[Any], letter_id: int, parts: list[bytes | None]) -> None:
    connection.execute("UPDATE sync.dead_letters SET payload = %s, original = %s, response = %s WHERE id = %s", [*parts, letter_id])
