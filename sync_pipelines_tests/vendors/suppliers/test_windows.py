"""Scarce windows in simulated time: as fast as the published limits allow, as fresh as stated, never a call too many."""

from __future__ import annotations

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.sandbox.bigbuy import app as bigbuy_app
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.vendors.suppliers import session
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR
from sync_pipelines.vendors.suppliers.bigbuy.settings import Settings
from sync_pipelines.vendors.suppliers.connector import Kind
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.simulation import ACCOUNT, START, Simulation, floor_s

PAGE_SIZE = 12
"""Makes the demo catalogue take as many windows as the real one."""


@pytest.fixture
def supplier() -> RunningSandbox:
    app = bigbuy_app.create_app(clock=Clock(START))
    running = RunningSandbox("bigbuy", app)
    running.world = app.state.world  # type: ignore[attr-defined]
    return running


@pytest.fixture
def simulation(database: Database, supplier: RunningSandbox) -> Simulation:
    def move(seconds: float) -> None:
        supplier.control.clock(advance=seconds)

    return Simulation(database, supplier.base_url, move, Settings(language="en", page_size=PAGE_SIZE))


def test_a_full_sync_takes_no_longer_than_the_windows_force_it_to(simulation: Simulation, supplier: RunningSandbox) -> None:
    simulation.request_everything()
    simulation.work_off()
    log = supplier.control.log()
    took, floor = log[-1]["at"] - log[0]["at"], floor_s(supplier.world, PAGE_SIZE)  # type: ignore[attr-defined]
    assert floor >= 2 * 3600
    assert took <= 1.1 * floor
    assert supplier.control.get("windows")["sandbox-key"] == {}
    with simulation.database.connect() as connection:
        stock = dict(connection.execute("SELECT supplier_sku, quantity FROM suppliers.stock").fetchall())
        open_requests = connection.execute("SELECT count(*) FROM suppliers.sync_requests WHERE status <> 'completed'").fetchone()
    assert stock == supplier.control.truth(stream="stock")
    assert open_requests == (0,)


def test_stock_never_gets_older_than_the_plan_states(simulation: Simulation, supplier: RunningSandbox) -> None:
    refresh = (Kind.INVENTORY_UPDATE,)
    simulation.work_off(until=START + 3 * 3600, request_again=refresh)
    plan = session.describe_plan(simulation.database, CONNECTOR, ACCOUNT, "stock")
    stated = max(row["worst_age_s"] for row in plan)
    worst = 0.0
    for hour in range(4, 8):
        simulation.work_off(until=START + hour * 3600, request_again=refresh)
        worst = max(worst, simulation.worst_age_s("stock"))
    assert worst <= stated * 1.05
    assert supplier.control.get("windows")["sandbox-key"] == {}
