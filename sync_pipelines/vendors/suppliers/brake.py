"""The brake: implausible changes of stock and prices are held for a person, everything else goes through.

SKUs that go from in stock to 0 wait until their run is judged: up to the configured share of the SKUs in stock they are applied at
once, beyond it they are held. A cost that moves further than believable is held by itself. A held SKU keeps its row, but its stock
is only known as of the last plausible reading, so it ages into ``unknown`` like any other. ``sync.holds`` tells a person, whose
confirmation the next run of that account carries out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from psycopg import Connection

from sync_pipelines.core.db import clock, without_nested_loops
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.stream import WriteContext
from sync_pipelines.core.upsert import Record, content_hash, upsert
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers import tables
from sync_pipelines.vendors.suppliers.settings import Brake

log = logging.getLogger("sync_pipelines.suppliers")

STOCK, PRICES = "stock", "prices"
_TABLES = {STOCK: tables.stock, PRICES: tables.prices}


def hold_zeros(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """Sets SKUs that go to 0 aside for `judge`; returns the rest."""
    skus = [record.key[0] for record in records]
    known: dict[str, int] = dict(
        connection.execute(
            "SELECT supplier_sku, quantity FROM suppliers.stock WHERE account = %s AND supplier_sku = ANY(%b)"
            " AND deleted_at IS NULL AND quantity > 0",
            [context.account, skus],
        ).fetchall()
    )
    zeroed = [record for record in records if record.row["quantity"] == 0 and record.key[0] in known]
    if known:
        connection.execute(
            "INSERT INTO suppliers.brakes AS b (account, stream, in_stock) VALUES (%s, %s, %s)"
            " ON CONFLICT (account, stream) DO UPDATE SET in_stock = b.in_stock + excluded.in_stock",
            [context.account, STOCK, len(known)],
        )
    passed = [record for record in records if not (record.row["quantity"] == 0 and record.key[0] in known)]
    _release(connection, context.account, STOCK, [record.key[0] for record in passed])
    _set_aside(connection, context.account, STOCK, ((record, "goes from in stock to 0") for record in zeroed), is_pending=True)
    return passed


def hold_moves(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """Holds costs that move further than `settings.Brake.price_move`; returns the rest."""
    limits: Brake = context.settings.brake
    known: dict[str, tuple[Decimal, str]] = {
        sku: (cost, currency)
        for sku, cost, currency in connection.execute(
            "SELECT supplier_sku, cost, currency FROM suppliers.prices WHERE account = %s AND supplier_sku = ANY(%b)"
            " AND deleted_at IS NULL AND cost > 0",
            [context.account, [record.key[0] for record in records]],
        ).fetchall()
    }
    held = [(record, text) for record in records if (text := _implausible(record, known.get(record.key[0]), limits.price_move))]
    aside = {record.key[0] for record, _ in held}
    passed = [record for record in records if record.key[0] not in aside]
    _release(connection, context.account, PRICES, [record.key[0] for record in passed])
    _set_aside(connection, context.account, PRICES, held, is_pending=False)
    if held:
        _hold(connection, context.account, PRICES)
    return passed


def judge(context: AccountContext) -> None:
    """At the end of a run: applies what is plausible or confirmed, holds the rest and says so."""
    limits: Brake = context.settings.brake
    with context.database.transaction() as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE is_pending),"
            " (SELECT in_stock FROM suppliers.brakes WHERE account = %(a)s AND stream = %(s)s)"
            " FROM suppliers.doubts WHERE account = %(a)s AND stream = %(s)s AND reason = 'held'",
            {"a": context.id, "s": STOCK},
        ).fetchone()
        zeroed, in_stock = (row[0], row[1] or 0) if row else (0, 0)
        connection.execute("DELETE FROM suppliers.brakes WHERE account = %s AND stream = %s", [context.id, STOCK])
        if zeroed and zeroed > limits.stock_at_least and zeroed > limits.stock_share * max(in_stock, zeroed):
            _hold(connection, context.id, STOCK)
            log.error(
                "%s: brake: %d of %d SKUs in stock went to 0 in one run; they are held until `sync-pipelines holds confirm`",
                context.id, zeroed, in_stock,
            )  # fmt: skip
            connection.execute(
                "UPDATE suppliers.doubts SET is_pending = false WHERE account = %s AND stream = %s AND reason = 'held'",
                [context.id, STOCK],
            )
        else:
            _apply(connection, context, STOCK, pending_only=True)
        for stream in (STOCK, PRICES):
            if _is_confirmed(connection, context.id, stream):
                _apply(connection, context, stream, pending_only=False)
            _close_if_empty(connection, context.id, stream)


def _implausible(record: Record, known: tuple[Decimal, str] | None, limit: float) -> str | None:
    if known is None or known[1] != record.row["currency"]:
        return None
    old, new = known[0], record.row["cost"]
    move = abs(new - old) / old
    return f"cost moves by {move:.0%}, more than {limit:.0%} at once" if move > Decimal(str(limit)) else None


def _set_aside(
    connection: Connection[Any], account: str, stream: str, records: Iterable[tuple[Record, str]], *, is_pending: bool
) -> None:
    held = {record.key[0]: (record, detail) for record, detail in records}
    if not held:
        return
    values = {
        "account": account,
        "stream": stream,
        "pending": is_pending,
        "skus": list(held),
        "rows": [encode_json(record.row).decode() for record, _ in held.values()],
        "raws": [record.raw.decode() for record, _ in held.values()],
        "hashes": [record.content_hash or content_hash(record.raw) for record, _ in held.values()],
        "versions": [record.version for record, _ in held.values()],
        "details": [detail for _, detail in held.values()],
    }
    with without_nested_loops(connection):
        connection.execute(
            "INSERT INTO suppliers.doubts (account, stream, supplier_sku, reason, known_at, held_row, raw, content_hash,"
            " version, detail, is_pending)"
            " SELECT %(account)s, %(stream)s, h.sku, 'held', k.known_at, h.held::jsonb, h.raw::jsonb, h.hash, h.version, h.detail,"
            " %(pending)s FROM unnest(%(skus)s::text[], %(rows)s::text[], %(raws)s::text[], %(hashes)s::bytea[],"
            " %(versions)s::timestamptz[], %(details)s::text[]) AS h (sku, held, raw, hash, version, detail)"
            " LEFT JOIN (SELECT s.supplier_sku AS sku, max(r.as_of) AS known_at FROM suppliers.stock s"
            " JOIN suppliers.reads r USING (account, feed, scope) WHERE s.account = %(account)s AND s.supplier_sku = ANY(%(skus)s)"
            " GROUP BY s.supplier_sku) AS k USING (sku)"
            " ON CONFLICT (account, stream, supplier_sku) DO UPDATE SET reason = 'held', held_row = excluded.held_row,"
            " raw = excluded.raw, content_hash = excluded.content_hash, version = excluded.version, detail = excluded.detail,"
            " is_pending = excluded.is_pending",
            values,
        )


def _release(connection: Connection[Any], account: str, stream: str, skus: list[str]) -> None:
    """What is stored again is no longer in doubt."""
    connection.execute(
        "DELETE FROM suppliers.doubts WHERE account = %s AND stream = %s AND supplier_sku = ANY(%b)", [account, stream, skus]
    )


def _apply(connection: Connection[Any], context: AccountContext, stream: str, *, pending_only: bool) -> None:
    held = connection.execute(
        "SELECT supplier_sku, version, held_row::text, raw::text, content_hash FROM suppliers.doubts"
        " WHERE account = %s AND stream = %s AND reason = 'held' AND (is_pending OR %s)",
        [context.id, stream, not pending_only],
    ).fetchall()
    if not held:
        return
    records = [
        Record((sku,), version, decode_json(row), raw.encode(), content_hash=digest) for sku, version, row, raw, digest in held
    ]
    now = clock(connection)
    upsert(connection, _TABLES[stream], records, account=context.id, run_id="brake", now=now, version_is_read_time=True)
    _release(connection, context.id, stream, [record.key[0] for record in records])


def _is_confirmed(connection: Connection[Any], account: str, stream: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM sync.holds WHERE account = %s AND subject = %s AND kind = %s AND closed_at IS NULL"
        " AND confirmed_at IS NOT NULL",
        [account, f"suppliers/{stream}", stream],
    ).fetchone()
    return row is not None


def _hold(connection: Connection[Any], account: str, stream: str) -> None:
    values = {"account": account, "stream": stream, "subject": f"suppliers/{stream}"}
    connection.execute(
        "INSERT INTO sync.holds (account, subject, kind, detail, opened_at)"
        " SELECT %(account)s, %(subject)s, %(stream)s, '{}', clock_timestamp() WHERE NOT EXISTS (SELECT FROM sync.holds"
        " WHERE account = %(account)s AND subject = %(subject)s AND kind = %(stream)s AND closed_at IS NULL)",
        values,
    )
    connection.execute(
        "UPDATE sync.holds SET detail = (SELECT jsonb_build_object('skus', count(*), 'sample', (array_agg(supplier_sku))[1:10])"
        " FROM suppliers.doubts WHERE account = %(account)s AND stream = %(stream)s AND reason = 'held')"
        " WHERE account = %(account)s AND subject = %(subject)s AND kind = %(stream)s AND closed_at IS NULL",
        values,
    )


def _close_if_empty(connection: Connection[Any], account: str, stream: str) -> None:
    connection.execute(
        "UPDATE sync.holds SET closed_at = clock_timestamp() WHERE account = %(account)s AND subject = %(subject)s"
        " AND kind = %(stream)s AND closed_at IS NULL AND NOT EXISTS (SELECT FROM suppliers.doubts"
        " WHERE account = %(account)s AND stream = %(stream)s AND reason = 'held')",
        {"account": account, "stream": stream, "subject": f"suppliers/{stream}"},
    )
