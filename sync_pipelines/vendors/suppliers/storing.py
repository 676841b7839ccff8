"""The suppliers' own steps around the guarded upsert: facts that come along with others, who owns a SKU, names and cover images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from sync_pipelines.core.db import without_nested_loops
from sync_pipelines.core.stream import WriteContext
from sync_pipelines.core.upsert import Record, content_hash, upsert
from sync_pipelines.vendors.suppliers import brake, tables

Before = Callable[[Connection[Any], WriteContext, list[Record]], list[Record]]
After = Callable[[Connection[Any], WriteContext, list[Record]], None]


def store_extras(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Stores facts for other tables that came with these records, each through its own table's steps."""
    by_table: dict[str, list[Record]] = {}
    for record in records:
        for table, extras in (record.extra or {}).items():
            by_table.setdefault(table, []).extend(extras)
    for table, extras in by_table.items():
        before = BEFORE.get(table)
        kept = before(connection, context, extras) if before else extras
        upsert(
            connection,
            tables.BY_NAME[table],
            kept,
            account=context.account,
            run_id=context.run_id,
            now=context.now,
            version_is_read_time=True,
        )
        if after := AFTER.get(table):
            after(connection, context, extras)


def owned(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """Names the product of each SKU whose row does not say it, if its variant is known; the next reading does so otherwise."""
    unsaid = [record.key[0] for record in records if not record.row["supplier_product_id"]]
    owners = dict(
        connection.execute(
            "SELECT sku, supplier_product_id FROM suppliers.variants WHERE account = %s AND sku = ANY(%b)",
            [context.account, unsaid],
        ).fetchall()
    )
    for record in records:
        owner = owners.get(record.key[0])
        if owner is not None:
            record.row["supplier_product_id"] = owner
            record.content_hash = content_hash((record.content_hash or record.raw) + owner.encode())
    return records


def before_stock(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """Owners, and the brake for what goes to 0."""
    return brake.hold_zeros(connection, context, owned(connection, context, records))


def before_prices(connection: Connection[Any], context: WriteContext, records: list[Record]) -> list[Record]:
    """Owners, and the brake for costs that jump."""
    return brake.hold_moves(connection, context, owned(connection, context, records))


def after_products(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Everything that came with the products; their names and images if those came first."""
    store_extras(connection, context, records)
    keys = [record.key[0] for record in records]
    _name(connection, context, keys)
    _picture(connection, context, keys)


def after_information(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Products show their name in the account's language."""
    _name(connection, context, [record.key[0] for record in records])


def after_images(connection: Connection[Any], context: WriteContext, records: list[Record]) -> None:
    """Products show their cover image."""
    _picture(connection, context, [record.key[0] for record in records])


def _name(connection: Connection[Any], context: WriteContext, keys: list[str]) -> None:
    names = connection.execute(
        "SELECT supplier_product_id, name FROM suppliers.product_information"
        " WHERE account = %s AND supplier_product_id = ANY(%b) AND language = %s",
        [context.account, keys, context.settings.language],
    ).fetchall()
    _show(connection, context.account, "name", dict(names))


def _picture(connection: Connection[Any], context: WriteContext, keys: list[str]) -> None:
    covers = connection.execute(
        "SELECT supplier_product_id, cover_url FROM suppliers.product_images WHERE account = %s AND supplier_product_id = ANY(%b)",
        [context.account, keys],
    ).fetchall()
    _show(connection, context.account, "image_url", dict(covers))


def _show(connection: Connection[Any], account: str, column: str, wanted: dict[str, str | None]) -> None:
    """Sets a column of the products that show something else, found along their primary key."""
    if not wanted:
        return
    update = SQL(
        "UPDATE suppliers.products p SET {column} = w.value FROM unnest(%(keys)s::text[], %(values)s::text[]) AS w (key, value)"
        " WHERE p.account = %(account)s AND p.supplier_product_id = ANY(%(keys)s) AND p.supplier_product_id = w.key"
        " AND p.{column} IS DISTINCT FROM w.value"
    ).format(column=Identifier(column))
    with without_nested_loops(connection):
        connection.execute(update, {"account": account, "keys": list(wanted), "values": list(wanted.values())})


BEFORE: dict[str, Before] = {"stock": before_stock, "prices": before_prices}
"""Steps before a batch is stored, by table."""

AFTER: dict[str, After] = {
    "products": after_products,
    "variants": store_extras,
    "product_information": after_information,
    "product_images": after_images,
    "orders": store_extras,
}
"""Steps after a batch is stored, by table."""
