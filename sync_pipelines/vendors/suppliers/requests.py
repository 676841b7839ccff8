"""The suppliers' job queue: requests of one kind of sync for one account, worked off in order of urgency.

``suppliers.sync_requests`` is pending → running → completed or failed. A request that uses up its windows stays running and goes on
when they open again; meanwhile others have their turn. Stock beats prices, prices beat orders, orders beat whole products; within a
kind the higher priority, then the older. One failing never stops the others. The caller decides where the work runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import StreamBusy, SyncError
from sync_pipelines.core.totals import Status, SyncTotals
from sync_pipelines.vendors.suppliers import completion
from sync_pipelines.vendors.suppliers.connector import Connector, Kind
from sync_pipelines.vendors.suppliers.settings import SupplierSettings

BUSY_WAIT_S = 30
"""A request whose table is being read by somebody else looks again after this."""

RunStream = Callable[[str], SyncTotals]
"""Brings one table up to date; raises `errors.SyncError`."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A row of ``suppliers.sync_requests`` that is worked on."""

    id: int
    account: str
    kind: str
    done: list[str]
    totals: dict[str, Any] | None


def request_sync(database: Database, account: str, kind: Kind, *, by: str, priority: int = 0, if_idle: bool = False) -> int | None:
    """Adds a request.

    Args:
        database: Where it is kept.
        account: ``bigbuy/main``.
        kind: What to bring up to date.
        by: Who asks: ``cli``, ``schedule``, ….
        priority: Higher first within the kind.
        if_idle: Only if no request of this kind and account is open.

    Returns:
        The request's id; ``None`` if one was open.
    """
    with database.transaction() as connection:
        if if_idle:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"request {kind} {account}"])
            open_one = connection.execute(
                "SELECT 1 FROM suppliers.sync_requests WHERE account = %s AND kind = %s AND status IN ('pending', 'running')",
                [account, str(kind)],
            ).fetchone()
            if open_one:
                return None
        row = connection.execute(
            "INSERT INTO suppliers.sync_requests (account, kind, priority, requested_by) VALUES (%s, %s, %s, %s) RETURNING id",
            [account, str(kind), priority, by],
        ).fetchone()
    return int(row[0]) if row else None


def due_accounts(database: Database) -> dict[str, int]:
    """How many requests each account could work on now."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT account, count(*) FROM suppliers.sync_requests WHERE status IN ('pending', 'running')"
            " AND (not_before IS NULL OR not_before <= suppliers.now()) GROUP BY account ORDER BY account"
        ).fetchall()
    return {account: int(count) for account, count in rows}


def next_due(database: Database, account: str) -> datetime | None:
    """When the account's next waiting request may go on; ``None`` if none is open."""
    with database.connect() as connection:
        row = connection.execute(
            "SELECT min(coalesce(not_before, suppliers.now())) FROM suppliers.sync_requests"
            " WHERE account = %s AND status IN ('pending', 'running')",
            [account],
        ).fetchone()
    return row[0] if row else None


def work_off(
    database: Database, account: str, connector: Connector, settings: SupplierSettings, run: RunStream, *, run_id: str
) -> list[tuple[int, str]]:
    """Works on everything of an account that is due; returns the requests touched with their status afterwards.

    The caller makes sure that only one process works on an account.
    """
    touched: dict[int, str] = {}
    while request := _take(database, account, run_id, exclude=list(touched)):
        touched[request.id] = _work(database, request, connector, settings, run)
    return list(touched.items())


def _work(database: Database, request: SyncRequest, connector: Connector, settings: SupplierSettings, run: RunStream) -> str:
    try:
        kind = Kind(request.kind)
        tables = connector.kinds[kind]
    except (ValueError, KeyError):
        return _end(database, request, settings, error=f"{connector.name} has no sync of the kind {request.kind!r}")
    totals, errors = dict(request.totals or {}), []
    waits: list[datetime | None] = []
    for table in tables:
        if table in request.done:
            continue
        try:
            outcome = run(table)
        except StreamBusy:
            waits.append(None)
        except SyncError as error:
            errors.append(f"{table}: {type(error).__name__}: {error}")
        else:
            _count(totals, outcome)
            if outcome.status is Status.PARTIAL:
                waits.append(outcome.resume_at)
            else:
                _done(database, request, table, totals)
    if waits:
        return _postpone(database, request, waits, totals)
    return _end(database, request, settings, error="\n".join(errors) or None, totals=totals)


def _take(database: Database, account: str, run_id: str, *, exclude: list[int]) -> SyncRequest | None:
    with database.transaction() as connection:
        return (
            connection.cursor(row_factory=class_row(SyncRequest))
            .execute(
                "UPDATE suppliers.sync_requests SET status = 'running', started_at = coalesce(started_at, suppliers.now()),"
                " run_id = %(run)s, not_before = NULL WHERE id = (SELECT id FROM suppliers.sync_requests"
                " WHERE account = %(account)s AND status IN ('pending', 'running') AND NOT id = ANY(%(exclude)s)"
                " AND (not_before IS NULL OR not_before <= suppliers.now())"
                " ORDER BY array_position(%(kinds)s::text[], kind), priority DESC, requested_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
                " RETURNING id, account, kind, done, totals",
                {"account": account, "run": run_id, "exclude": exclude, "kinds": [str(kind) for kind in Kind]},
            )
            .fetchone()
        )


def _done(database: Database, request: SyncRequest, table: str, totals: dict[str, Any]) -> None:
    with database.connect() as connection:
        connection.execute(
            "UPDATE suppliers.sync_requests SET done = array_append(done, %s), totals = %s WHERE id = %s",
            [table, Jsonb(totals), request.id],
        )


def _postpone(database: Database, request: SyncRequest, waits: list[datetime | None], totals: dict[str, Any]) -> str:
    known = [at for at in waits if at is not None]
    with database.connect() as connection:
        connection.execute(
            "UPDATE suppliers.sync_requests SET not_before = least(%s::timestamptz, CASE WHEN %s THEN"
            " suppliers.now() + make_interval(secs => %s) END), totals = %s WHERE id = %s",
            [min(known) if known else None, None in waits, BUSY_WAIT_S, Jsonb(totals), request.id],
        )
    return "running"


def _end(
    database: Database,
    request: SyncRequest,
    settings: SupplierSettings,
    *,
    error: str | None,
    totals: dict[str, Any] | None = None,
) -> str:
    status = "failed" if error else "completed"
    with database.transaction() as connection:
        connection.execute(
            "UPDATE suppliers.sync_requests SET status = %s, ended_at = suppliers.now(), error = %s, totals = coalesce(%s, totals)"
            " WHERE id = %s",
            [status, error, Jsonb(totals) if totals is not None else None, request.id],
        )
        if settings.completion_webhook:
            completion.announce(connection, request.id)
    return status


def _count(totals: dict[str, Any], outcome: SyncTotals) -> None:
    for name, number in outcome.numbers().items():
        if name != "lag_s":
            totals[name] = totals.get(name, 0) + number


def drop_old(connection: Connection[Any], account: str, settings: SupplierSettings) -> int:
    """Drops finished requests (with their deliveries) and history past their retention; returns how many rows."""
    values = {"account": account, "requests": settings.requests_kept_days, "history": settings.history_kept_days}
    return sum(connection.execute(statement, values).rowcount for statement in _OLD)


_OLD: tuple[LiteralString, ...] = (
    """
    DELETE FROM suppliers.webhook_deliveries d USING suppliers.sync_requests r WHERE r.id = d.request_id
    AND r.account = %(account)s AND r.ended_at < suppliers.now() - make_interval(days => %(requests)s)
    """,
    """
    DELETE FROM suppliers.sync_requests
    WHERE account = %(account)s AND ended_at < suppliers.now() - make_interval(days => %(requests)s)
    """,
    """
    DELETE FROM suppliers.stock_history
    WHERE account = %(account)s AND changed_at < suppliers.now() - make_interval(days => %(history)s)
    """,
    """
    DELETE FROM suppliers.price_history
    WHERE account = %(account)s AND changed_at < suppliers.now() - make_interval(days => %(history)s)
    """,
    """
    DELETE FROM suppliers.order_requests
    WHERE account = %(account)s AND closed_at < suppliers.now() - make_interval(days => %(history)s)
    """,
)
