"""``wms.products`` onto open orders: only fields that differ, and nothing that somebody changed at the vendor after us.

SendCloud has no product of its own to write to. An order is sent as SendCloud last showed it, with those item fields replaced; up
to 100 orders a call, all or none, so a refused call is halved until the refused order stands alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from psycopg.rows import class_row, dict_row

from sync_pipelines.core import dead_letters
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import NewLetter
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import Json, decode_json, encode_json
from sync_pipelines.core.store import Storer
from sync_pipelines.vendors.sendcloud import letters, mapping, streams
from sync_pipelines.vendors.sendcloud.client import ORDERS_BATCH, SendCloudClient
from sync_pipelines.vendors.sendcloud.faults import explain
from sync_pipelines.vendors.sendcloud.fields import KILOGRAMS
from sync_pipelines.vendors.sendcloud.settings import Settings

_READ_ONLY = ("created_at", "modified_at")
LONGEST_PAGE = 200

REFUSED = "the vendor refuses the order with our product data; the response has its words"


@dataclass(slots=True)
class PushTotals:
    """What a round did.

    Attributes:
        orders: Open orders that contain a SKU of the master data.
        changed: Orders that were written.
        fields: Fields in them.
        kept: Fields left alone because somebody changed them after us.
        calls: Write calls made.
        floor: The fewest write calls that many orders need.
        reads: Calls to see orders anew that only we changed since they were read.
        refused: Order number to the vendor's words.
    """

    orders: int = 0
    changed: int = 0
    fields: int = 0
    kept: int = 0
    calls: int = 0
    floor: int = 0
    reads: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def as_metadata(self) -> dict[str, Any]:
        """The numbers by name; refusals as their count."""
        return {**asdict(self), "refused": len(self.refused)}


@dataclass(frozen=True, slots=True)
class Write:
    """One order to be written, with the fields that will then hold our value: (item, field, value)."""

    order_id: str
    integration_id: int
    number: str
    body: Json
    fields: tuple[tuple[str, str, str], ...]

    @property
    def key(self) -> str:
        """Of its dead letter."""
        return f"{self.order_id}/{self.integration_id}"


def push(
    database: Database,
    account: str,
    client: SendCloudClient,
    settings: Settings,
    *,
    run_id: str,
    overwrite: bool | None = None,
    skus: Sequence[str] | None = None,
    orders: Sequence[tuple[str, int]] | None = None,
) -> PushTotals:
    """Writes the master data onto open, unshipped orders.

    Args:
        database: Where orders and master data are.
        account: ``vendor/name``.
        client: Of that account.
        settings: Of that account.
        run_id: The Dagster run.
        overwrite: Also what somebody changed after us; default: by the settings.
        skus: Only these.
        orders: Only these, by order id and integration; by default all that no dead letter holds back: an order that was refused
            is tried by its letter, and here again once it or the master data has changed.
    """
    totals = PushTotals()
    may_overwrite = settings.products.overwrite if overwrite is None else overwrite
    with database.connect() as connection:
        masters = {
            row["sku"]: row
            for row in connection.cursor(row_factory=dict_row).execute(
                "SELECT * FROM wms.products WHERE %s::text[] IS NULL OR sku = ANY(%s)", [skus, skus]
            )
        }

    def open_orders() -> list[_Open]:
        return _open_orders(database, account, masters, settings.products.open_statuses, orders)

    found = open_orders()
    if behind := [order for order in found if order.is_behind]:
        gone = _read_anew(database, client, Storer(streams.orders, account, run_id, settings), behind, totals)
        found = [order for order in open_orders() if str(order.sendcloud_id) not in gone]
    totals.orders = len(found)
    written = _written(database, account)
    writes: list[Write] = []
    for one in found:
        order = decode_json(one.raw.encode())
        ours = written.get((one.order_id, one.integration_id), {})
        changed, kept = changes(order, masters, settings.products.fields, ours, overwrite=may_overwrite)
        totals.kept += kept
        if changed:
            body = {name: value for name, value in order.items() if name not in _READ_ONLY}
            writes.append(Write(one.order_id, one.integration_id, one.order_number, body, changed))
    totals.floor = -(-len(writes) // ORDERS_BATCH)
    for start in range(0, len(writes), ORDERS_BATCH):
        _send(database, account, client, writes[start : start + ORDERS_BATCH], totals, run_id)
    return totals


def changes(
    order: Json,
    masters: dict[str, dict[str, Any]],
    fields: Sequence[str],
    written: dict[tuple[str, str], str],
    *,
    overwrite: bool,
) -> tuple[tuple[tuple[str, str, str], ...], int]:
    """Changes the order's items in place; answers the fields changed and how many were left to somebody else.

    A field that we wrote once and that now holds another value was changed by an operator, or by the shop itself.
    """
    changed: list[tuple[str, str, str]] = []
    kept = 0
    for position, item in enumerate(order["order_details"]["order_items"]):
        master = masters.get(item.get("sku") or "")
        if master is None:
            continue
        name = item.get("item_id") or f"#{position}"
        for one in fields:
            have, want = _FIELDS[one](item, master, write=False)
            if want is None or have == want:
                continue
            last = written.get((name, one))
            if last is not None and have != last and not overwrite:
                kept += 1
                continue
            _FIELDS[one](item, master)
            changed.append((name, one, want))
    return tuple(changed), kept


def _plain(target: str, source: str) -> Callable[..., tuple[str | None, str | None]]:
    def apply(item: Json, master: dict[str, Any], *, write: bool = True) -> tuple[str | None, str | None]:
        have, want = item.get(target) or None, master[source]
        if write and want is not None:
            item[target] = want
        return have, want

    return apply


def _weight(item: Json, master: dict[str, Any], *, write: bool = True) -> tuple[str | None, str | None]:
    """In grams; the item's own unit is kept."""
    weight = (item.get("measurement") or {}).get("weight") or {}
    unit = str(weight.get("unit")) if weight.get("unit") in KILOGRAMS else "g"
    grams = Decimal(str(weight["value"])) * KILOGRAMS[unit] * 1000 if weight.get("value") is not None else None
    want = master["weight_g"]
    if write and want is not None:
        value = (want / 1000 / KILOGRAMS[unit]).normalize()
        item["measurement"] = {**(item.get("measurement") or {}), "weight": {"value": value, "unit": unit}}
    return _number(grams), _number(want)


def _price(item: Json, master: dict[str, Any], *, write: bool = True) -> tuple[str | None, str | None]:
    """The price of one piece; what the customer pays (``total_price``) stays. Another currency is never written over."""
    price = item.get("unit_price") or {}
    want, currency = master["price"], master["currency"]
    if want is None or currency is None or price.get("currency", currency) != currency:
        return None, None
    if write:
        item["unit_price"] = {"value": want, "currency": currency}
    return _number(Decimal(str(price["value"])) if price.get("value") is not None else None), _number(want)


_FIELDS: dict[str, Callable[..., tuple[str | None, str | None]]] = {
    "name": _plain("name", "name"),
    "ean": _plain("ean", "ean"),
    "hs_code": _plain("hs_code", "hs_code"),
    "origin_country": _plain("country_of_origin", "origin_country"),
    "weight": _weight,
    "price": _price,
}


def _number(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


def _send(database: Database, account: str, client: SendCloudClient, writes: list[Write], totals: PushTotals, run_id: str) -> None:
    totals.calls += 1
    try:
        client.upsert_orders([write.body for write in writes])
    except DataError as error:
        if len(writes) == 1:
            _refused(database, account, writes[0], error, totals, run_id)
            return
        middle = len(writes) // 2
        _send(database, account, client, writes[:middle], totals, run_id)
        _send(database, account, client, writes[middle:], totals, run_id)
        return
    with database.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sendcloud.product_writes VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp())"
            " ON CONFLICT (account, order_id, integration_id, item, field) DO UPDATE"
            " SET value = excluded.value, written_at = excluded.written_at",
            [(account, write.order_id, write.integration_id, *one) for write in writes for one in write.fields],
        )
        dead_letters.resolve_newer(connection, account, letters.PRODUCTS, [write.key for write in writes])
    totals.changed += len(writes)
    totals.fields += sum(len(write.fields) for write in writes)


def _refused(database: Database, account: str, write: Write, error: DataError, totals: PushTotals, run_id: str) -> None:
    words = explain(error.body, status=error.status)
    totals.refused[write.number] = words
    letter = NewLetter(
        account=account,
        subject=letters.PRODUCTS,
        key=write.key,
        cause=type(error).__name__,
        error=REFUSED,
        payload=encode_json({"order_id": write.order_id, "integration_id": write.integration_id, "order_number": write.number}),
        request="POST /v3/orders",
        response=words.encode(),
        run_id=run_id,
        retry=letters.RETRY_QUEUE,
    )
    with database.transaction() as connection:
        dead_letters.open_letter(connection, letter)


@dataclass(frozen=True, slots=True)
class _Open:
    """An open order as we stored it; ``is_behind`` if that is older than what we last wrote there."""

    order_id: str
    integration_id: int
    order_number: str
    sendcloud_id: int
    created_at: datetime | None
    raw: str
    is_behind: bool


_OPEN = """
SELECT o.order_id, o.integration_id, o.order_number, o.sendcloud_id, o.order_created_at AS created_at, o.raw::text AS raw,
       EXISTS (SELECT FROM sendcloud.product_writes w WHERE w.account = o.account AND w.order_id = o.order_id
                  AND w.integration_id = o.integration_id AND w.written_at > o.synced_at) AS is_behind
  FROM sendcloud.orders o
 WHERE o.account = %(account)s AND o.deleted_at IS NULL AND o.source = 'v3' AND o.tracking_number IS NULL
   AND o.wms_status = ANY(%(statuses)s)
   AND EXISTS (SELECT FROM sendcloud.order_items i WHERE i.account = o.account AND i.order_id = o.order_id
                  AND i.integration_id = o.integration_id AND i.sku = ANY(%(skus)s))
   AND (o.order_id || '/' || o.integration_id = ANY(%(only)s::text[]) OR %(only)s::text[] IS NULL AND NOT EXISTS (
            SELECT FROM sync.dead_letters d
             WHERE d.account = o.account AND d.subject = %(subject)s AND d.key = o.order_id || '/' || o.integration_id
               AND d.state <> 'resolved' AND d.last_seen_at > greatest(o.synced_at, %(masters_changed)s)))
 ORDER BY o.sendcloud_id
"""


def _open_orders(
    database: Database,
    account: str,
    masters: Mapping[str, dict[str, Any]],
    statuses: Sequence[str],
    only: Sequence[tuple[str, int]] | None,
) -> list[_Open]:
    values = {
        "account": account,
        "statuses": list(statuses),
        "skus": list(masters),
        "only": None if only is None else [f"{order_id}/{integration_id}" for order_id, integration_id in only],
        "subject": letters.PRODUCTS,
        "masters_changed": max((master["updated_at"] for master in masters.values()), default=None),
    }
    with database.connect() as connection:
        return connection.cursor(row_factory=class_row(_Open)).execute(_OPEN, values).fetchall()


class _Head(msgspec.Struct):
    id: str | int | None = None


def _read_anew(
    database: Database, client: SendCloudClient, storer: Storer, behind: Sequence[_Open], totals: PushTotals
) -> set[str]:
    """Stores orders as they are now, since delta runs do not see what only we changed; answers those the vendor no longer has.

    One by one, or, if that needs fewer calls, all orders of the days on which they were created.
    """
    wanted = {str(order.sendcloud_id) for order in behind}
    days = sorted(order.created_at.astimezone(UTC).date() for order in behind if order.created_at)
    is_listed = len(days) == len(behind) > 1 + _orders_between(database, storer.account, days[0], days[-1]) // LONGEST_PAGE
    if is_listed:
        pages = client.orders(created=(days[0], days[-1]), sort="pk", page_size=LONGEST_PAGE)
        bodies = (mapping.split_orders(page.body, mapping.V3) for page in pages)
    else:
        answers = (client.order(key) for key in sorted(wanted))
        bodies = ([bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["data"])] if body else [] for body in answers)
    for raws in bodies:
        totals.reads += 1
        wanted -= {str(msgspec.json.decode(raw, type=_Head).id) for raw in raws}
        with database.transaction() as connection:
            storer.raws(connection, raws, source=mapping.V3, received_at=datetime.now(UTC))
    return wanted


def _orders_between(database: Database, account: str, first: date, last: date) -> int:
    with database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM sendcloud.orders WHERE account = %s AND order_created_at >= %s AND order_created_at < %s",
            [account, datetime.combine(first, time.min, UTC), datetime.combine(last, time.min, UTC) + timedelta(days=1)],
        ).fetchone()
    return int(row[0]) if row else 0


def _written(database: Database, account: str) -> dict[tuple[str, int], dict[tuple[str, str], str]]:
    """What we wrote, by order, then by item and field."""
    found: dict[tuple[str, int], dict[tuple[str, str], str]] = defaultdict(dict)
    with database.connect() as connection:
        for order_id, integration_id, item, one, value in connection.execute(
            "SELECT order_id, integration_id, item, field, value FROM sendcloud.product_writes WHERE account = %s", [account]
        ):
            found[order_id, integration_id][item, one] = value
    return found
