"""The suppliers' tables compared with their lists."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.reconciliation import Reconciliation
from sync_pipelines.vendors.suppliers.streams import STREAMS
from sync_pipelines_tests.damage import Damage, compare
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.desk import Desk


def compared(desk: Desk, table: str) -> Reconciliation:
    """A whole comparison, as many hours as the lists take."""
    while True:
        desk.forget_windows()
        context = desk.context
        with desk.open(context) as session:
            found = compare(desk.database, STREAMS[table], desk.account, session, context.settings)
        if found.status == "complete":
            return found


@pytest.mark.parametrize("supplier", ["bigbuy", "aliexpress"])
def test_planted_differences_are_found_mended_and_reported(
    sandbox: Callable[..., RunningSandbox], database: Database, supplier: str
) -> None:
    desk = Desk(supplier, database, sandbox(supplier))
    if supplier == "aliexpress":
        desk.sandbox.control.post("throttle", probability=0)
    altered = (
        {"prices": ("cost_includes_tax", "NOT coalesce(cost_includes_tax, false)"), "products": ("rating_count", "77")}
        if supplier == "bigbuy"
        else {"products": ("rating", "0.1")}
    )
    desk.sync_fully(*dict.fromkeys(["products", *altered]))
    for table in altered:
        assert (compared(desk, table).different, compared(desk, table).repaired) == (0, 0)
    damage = {table: Damage(database, STREAMS[table], change) for table, change in altered.items()}
    for table, planted in damage.items():
        planted.must_be_found(compared(desk, table))
        assert (compared(desk, table).repaired, compared(desk, table).different) == (0, 1)
