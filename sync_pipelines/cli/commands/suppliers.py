"""``suppliers``: orders to follow, sync requests, and the plan of scarce calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import configuration
from sync_pipelines.config import Environment
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError

AccountOption = Annotated[str, typer.Option("--account", help="vendor/name of a supplier account, e.g. bigbuy/main")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Supplier orders to follow, sync requests, and the plan of scarce calls.", no_args_is_help=True)
    group.command("follow")(follow)
    group.command("request")(request)
    group.command("requests")(requests)
    group.command("plan")(plan)
    app.add_typer(group, name="suppliers")


def follow(
    account: AccountOption,
    order: Annotated[str | None, typer.Option(help="The supplier's order id")] = None,
    reference: Annotated[str | None, typer.Option(help="Our own reference")] = None,
) -> None:
    """Follows a supplier order: its status and tracking are read until it is delivered or cancelled."""
    if not (order or reference):
        raise typer.BadParameter("give --order, --reference, or both")
    with _database(account) as database, database.connect() as connection:
        connection.execute(
            "INSERT INTO suppliers.order_requests (account, order_id, reference) VALUES (%s, %s, %s)"
            " ON CONFLICT (account, coalesce(order_id, ''), coalesce(reference, '')) DO UPDATE SET closed_at = NULL,"
            " requested_at = clock_timestamp()",
            [account, order, reference],
        )
    output.result({"account": account, "order_id": order, "reference": reference}, f"{account}: following {order or reference}")


def request(
    account: AccountOption,
    kind: Annotated[str, typer.Option(help="supplier_api, inventory_update, price_update or order_sync")],
    priority: Annotated[int, typer.Option(help="Higher first, within the kind")] = 0,
) -> None:
    """Asks for one kind of sync; a running `up` works on it."""
    from sync_pipelines.vendors.suppliers.connector import Kind
    from sync_pipelines.vendors.suppliers.requests import request_sync

    if kind not in set(Kind):
        raise typer.BadParameter(f"{kind} is none of {', '.join(Kind)}")
    with _database(account) as database:
        number = request_sync(database, account, Kind(kind), by="cli", priority=priority)
    output.result({"id": number, "account": account, "kind": kind, "status": "pending"}, f"request {number}: {kind} of {account}")


def requests(
    account: Annotated[str | None, typer.Option(help="Only this account")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first")] = 20,
) -> None:
    """Lists sync requests."""
    with _database(account) as database, database.connect() as connection:
        cursor = connection.execute(
            "SELECT id, account, kind, priority, status, requested_by, requested_at, not_before, started_at, ended_at, done,"
            " totals, error FROM suppliers.sync_requests WHERE %(account)s::text IS NULL OR account = %(account)s"
            " ORDER BY id DESC LIMIT %(limit)s",
            {"account": account, "limit": limit},
        )
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    headings = {name: name.replace("_", " ") for name in ("id", "account", "kind", "status", "requested_at", "not_before", "error")}
    output.rows(found, headings, empty="no requests")


def plan(
    account: AccountOption,
    table: Annotated[str, typer.Option(help="stock, prices, products, …")] = "stock",
) -> None:
    """Shows how the next scan spends its hourly calls, and how old each part gets at worst."""
    from sync_pipelines.vendors.suppliers.connectors import CONNECTORS
    from sync_pipelines.vendors.suppliers.session import describe_plan

    with _database(account) as database:
        found = describe_plan(database, CONNECTORS[account.split("/", 1)[0]], account, table)
    headings = {
        "feed": "list", "scope": "part", "pages": "calls", "in_stock": "in stock", "age_s": "age (s)", "windows": "in windows",
        "worst_age_s": "worst age (s)",
    }  # fmt: skip
    output.rows(found, headings, empty="nothing was read yet")


@contextmanager
def _database(account: str | None) -> Iterator[Database]:
    from sync_pipelines.preparation import prepare
    from sync_pipelines.vendors.suppliers.connectors import CONNECTORS

    environment = Environment.read()
    if account is not None:
        known: list[Any] = configuration(environment).account_ids(tuple(CONNECTORS))
        if account not in known:
            raise ConfigError(f"{account} is no configured supplier account; there are: {', '.join(known) or 'none'}")
    with Database(prepare(environment).database_url, max_connections=2) as database:
        yield database
