"""What we know of a supplier's lists: how fresh each part is, which SKUs are in doubt, which orders are followed.

Every function is one transaction on the database it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from pydantic import ValidationError

from sync_pipelines.core import dead_letters
from sync_pipelines.core.db import Database, without_nested_loops
from sync_pipelines.vendors.suppliers import planner
from sync_pipelines.vendors.suppliers.connector import Connector, Feed, OrderAnswer, Origin
from sync_pipelines.vendors.suppliers.status import CommonStatus

PLAUSIBLE_SHARE = 0.5
"""A list that shrinks below this share of its last length is not believed …"""
PLAUSIBLE_ROWS = 5
"""… unless it had no more rows than this."""

STOCK = "stock"


@dataclass(frozen=True, slots=True)
class Reading:
    """A scope that was read to its end.

    Attributes:
        account: ``vendor/name``.
        table: The table it fills.
        feed: The supplier's list.
        scope: The part of it.
        pages: Calls it took.
        rows: Records it held.
        began: When its first page was asked for: what its rows are true for.
        may_be_empty: An empty answer is the supplier's word, not a suspicion.
    """

    account: str
    table: str
    feed: str
    scope: str
    pages: int
    rows: int
    began: datetime
    may_be_empty: bool


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A row of ``suppliers.order_requests``."""

    id: int
    order_id: str | None
    reference: str | None
    requested_at: datetime
    found_at: datetime | None


def now(database: Database) -> datetime:
    """The database's time, aware UTC."""
    with database.connect() as connection:
        return _now(connection)


def note_readings(database: Database, readings: Sequence[Reading]) -> list[Reading]:
    """Moves the scopes' freshness; what an implausible reading is about ages instead. Returns the implausible ones."""
    with database.transaction() as connection:
        return [reading for reading in readings if not _note_reading(connection, reading)]


def parts(database: Database, account: str, table: str, feed: Feed, scopes: Sequence[str]) -> list[planner.Part]:
    """The planner's view of a list: size, age and stock of each scope."""
    with database.connect() as connection:
        known = {
            scope: (pages, age)
            for scope, pages, age in connection.execute(
                "SELECT scope, pages, extract(epoch FROM suppliers.now() - as_of)::float8 FROM suppliers.reads"
                " WHERE account = %s AND stream = %s AND feed = %s",
                [account, table, feed.name],
            ).fetchall()
        }
        weights = dict(
            connection.execute(
                "SELECT scope, count(*)::float8 FROM suppliers.stock"
                " WHERE account = %s AND quantity > 0 AND deleted_at IS NULL GROUP BY scope",
                [account],
            ).fetchall()
        )
    made = []
    for scope in scopes:
        pages, age = known.get(scope, (1, None))
        made.append(planner.Part(scope, pages, None if age is None else age / feed.window_s, weights.get(scope, 0.0)))
    return made


def known_scopes(database: Database, account: str, table: str, feed: str) -> list[str]:
    """Scopes of a feed that were ever read."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT scope FROM suppliers.reads WHERE account = %s AND stream = %s AND feed = %s ORDER BY scope",
            [account, table, feed],
        ).fetchall()
    return [row[0] for row in found]


def living_products(database: Database, account: str) -> list[str]:
    """Products we hold; a product that left a feed is followed until the supplier says that it is gone."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT supplier_product_id FROM suppliers.products WHERE account = %s AND deleted_at IS NULL"
            " UNION SELECT supplier_product_id FROM suppliers.stock WHERE account = %s AND deleted_at IS NULL"
            " AND supplier_product_id IS NOT NULL ORDER BY 1",
            [account, account],
        ).fetchall()
    return [row[0] for row in found]


def kept_scopes(database: Database, account: str, settings: str, kept: timedelta) -> list[str] | None:
    """Scopes listed not too long ago under the same settings."""
    with database.connect() as connection:
        row = connection.execute(
            "SELECT scopes FROM suppliers.scopes WHERE account = %s AND settings = %s AND listed_at > suppliers.now() - %s",
            [account, settings, kept],
        ).fetchone()
    return list(row[0]) if row else None


def keep_scopes(database: Database, account: str, settings: str, scopes: Sequence[str]) -> None:
    """See `kept_scopes`."""
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO suppliers.scopes (account, scopes, settings, listed_at) VALUES (%s, %s, %s, suppliers.now())"
            " ON CONFLICT (account) DO UPDATE SET scopes = excluded.scopes, settings = excluded.settings,"
            " listed_at = excluded.listed_at",
            [account, list(scopes), settings],
        )


def orders_to_ask(database: Database, account: str, *, after: int) -> list[OrderRequest]:
    """Orders that are followed, in the order of their requests."""
    with database.connect() as connection:
        return (
            connection.cursor(row_factory=class_row(OrderRequest))
            .execute(
                "SELECT id, order_id, reference, requested_at, found_at FROM suppliers.order_requests"
                " WHERE account = %s AND closed_at IS NULL AND id > %s ORDER BY id",
                [account, after],
            )
            .fetchall()
        )


def note_order(
    database: Database, account: str, request: OrderRequest, connector: Connector, answer: OrderAnswer, unknown_for: timedelta
) -> None:
    """Closes a request whose order is finished; gives up on one that the supplier has not known for too long."""
    at = now(database)
    if answer.order is None and request.found_at is None and at - request.requested_at > unknown_for:
        text = f"{account} has not known this order for {unknown_for}; check its id and follow it again"
        give_up_order(database, account, request, "UnknownOrder", text)
        return
    with database.transaction() as connection:
        connection.execute(
            "UPDATE suppliers.order_requests SET asked_at = %(at)s,"
            " found_at = CASE WHEN %(found)s THEN coalesce(found_at, %(at)s) ELSE found_at END,"
            " closed_at = CASE WHEN %(closed)s THEN %(at)s ELSE closed_at END WHERE id = %(id)s",
            {"at": at, "found": answer.order is not None, "closed": _is_finished(connector, answer, at), "id": request.id},
        )


def give_up_order(database: Database, account: str, request: OrderRequest, cause: str, text: str) -> None:
    """Stops following an order and tells a person why, by a dead letter."""
    asked = {"order_id": request.order_id, "reference": request.reference}
    with database.transaction() as connection:
        connection.execute("UPDATE suppliers.order_requests SET closed_at = suppliers.now() WHERE id = %s", [request.id])
        dead_letters.open_letter(
            connection,
            dead_letters.NewLetter(
                account=account,
                subject="suppliers/orders",
                key=request.order_id or request.reference or "",
                cause=cause,
                error=text,
                payload=msgspec.json.encode(asked),
                request="order",
                run_id="",
            ),
        )


def _is_finished(connector: Connector, answer: OrderAnswer, at: datetime) -> bool:
    """Whether nothing more is expected of an order; one that cannot be read has its own dead letter and stays open."""
    if answer.order is None or connector.orders is None:
        return False
    try:
        record = connector.orders.order(answer.order, Origin("order", at, None))
    except ValidationError:
        return False
    return CommonStatus(record.row["common_status"]).is_final


def _note_reading(connection: Connection[Any], reading: Reading) -> bool:
    where = {"account": reading.account, "stream": reading.table, "feed": reading.feed, "scope": reading.scope}
    values = where | {"pages": reading.pages, "rows": reading.rows, "began": reading.began}
    before = connection.execute(
        "SELECT rows FROM suppliers.reads WHERE account = %(account)s AND stream = %(stream)s AND feed = %(feed)s"
        " AND scope = %(scope)s FOR UPDATE",
        where,
    ).fetchone()
    known = before[0] if before else 0
    if not reading.may_be_empty and known > PLAUSIBLE_ROWS and reading.rows < PLAUSIBLE_SHARE * known:
        connection.execute(
            "UPDATE suppliers.reads SET read_at = suppliers.now(), suspect_since = coalesce(suspect_since, suppliers.now())"
            " WHERE account = %(account)s AND stream = %(stream)s AND feed = %(feed)s AND scope = %(scope)s",
            where,
        )
        return False
    if reading.table == STOCK:
        _doubt_missing(connection, where)
    connection.execute(
        "INSERT INTO suppliers.reads AS r (account, stream, feed, scope, pages, rows, as_of, read_at)"
        " VALUES (%(account)s, %(stream)s, %(feed)s, %(scope)s, %(pages)s, %(rows)s, %(began)s, suppliers.now())"
        " ON CONFLICT (account, stream, feed, scope) DO UPDATE SET pages = excluded.pages, rows = excluded.rows,"
        " as_of = greatest(r.as_of, excluded.as_of), read_at = excluded.read_at, suspect_since = NULL",
        values,
    )
    return True


def _doubt_missing(connection: Connection[Any], where: dict[str, str]) -> None:
    """SKUs of a scope that this scan did not see are only known as of the reading before."""
    with without_nested_loops(connection):
        connection.execute(
            "INSERT INTO suppliers.doubts (account, stream, supplier_sku, reason, known_at, is_pending)"
            " SELECT s.account, 'stock', s.supplier_sku, 'missing', r.as_of, false FROM suppliers.stock s"
            " JOIN suppliers.reads r ON r.account = s.account AND r.stream = 'stock' AND r.feed = s.feed AND r.scope = s.scope"
            " WHERE s.account = %(account)s AND s.feed = %(feed)s AND s.scope = %(scope)s AND s.deleted_at IS NULL"
            " AND NOT EXISTS (SELECT FROM sync.scan_keys k WHERE k.account = s.account AND k.stream = 'suppliers/stock'"
            " AND k.key = ARRAY[s.supplier_sku]) ON CONFLICT (account, stream, supplier_sku) DO NOTHING",
            where,
        )


def _now(connection: Connection[Any]) -> datetime:
    row = connection.execute("SELECT suppliers.now()").fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM answers one row
    at: datetime = row[0]
    return at.astimezone(UTC)
