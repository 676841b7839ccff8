"""Labels through lost answers, outages, conflicts and sudden deaths: one shipment per order, every document kept."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Request, sync_stream
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines.vendors.sendcloud.vendor import connect
from sync_pipelines_tests.faults.label_worker import ACCOUNT, SETTINGS, context
from sync_pipelines_tests.sandboxes import RunningSandbox

ORDERS = 500 if os.environ.get("SYNC_PIPELINES_SOAK") else 30
KILLS = 20 if os.environ.get("SYNC_PIPELINES_SOAK") else 3
TROUBLE = [
    {"kind": "lost_answer", "path": "POST .*/shipments", "times": None, "probability": 0.15, "seed": 1},
    {"kind": "reset", "path": "POST .*/shipments", "times": None, "probability": 0.05, "seed": 2},
    {"kind": "status", "status": 502, "path": "POST .*/shipments", "times": None, "probability": 0.1, "seed": 3},
    {"kind": "html", "path": "GET .*/shipments", "times": None, "probability": 0.1, "seed": 4},
    {"kind": "truncate", "path": "POST .*/shipments", "times": None, "probability": 0.05, "seed": 5},
    {"kind": "delay", "seconds": 0.05, "path": "POST .*/shipments", "times": None, "probability": 0.3, "seed": 6},
]


def test_every_order_gets_exactly_one_shipment_whatever_happens_in_between(
    database: Database, database_url: str, sandbox: Callable[..., RunningSandbox]
) -> None:
    running = sandbox("sendcloud")
    running.control.post("world", orders=ORDERS + ORDERS // 5, shipped_percent=0, history_days=20)
    running.control.post(
        "settings", reads_per_minute=10**6, writes_per_minute=10**6, writes_per_second=10**6, failing_carriers=["ups"]
    )
    base_url = f"{running.base_url}/api"
    with connect(context(database, base_url)) as client:
        request = Request(start=datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
        sync_stream(orders, database=database, account=ACCOUNT, client=client, run_id="run", settings=SETTINGS, request=request)
    with database.connect() as connection:
        asked = connection.execute(
            "INSERT INTO sendcloud.label_requests (account, order_id, integration_id) SELECT account, order_id, integration_id"
            " FROM sendcloud.orders WHERE ship_to_country IS NOT NULL ORDER BY order_id LIMIT %s RETURNING id",
            [ORDERS],
        ).fetchall()
        connection.execute(
            "UPDATE sendcloud.label_requests SET shipping_option = 'ups:standard' WHERE id IN"
            " (SELECT id FROM sendcloud.label_requests ORDER BY id LIMIT %s)",
            [ORDERS // 10],
        )
    running.control.faults(*TROUBLE)
    chance = random.Random(11)
    kills = 0
    while True:
        worker = subprocess.Popen([sys.executable, "-m", "sync_pipelines_tests.faults.label_worker", database_url, base_url])
        try:
            worker.wait(timeout=1.5 + chance.random() * 2 if kills < KILLS else 300)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
            kills += 1
        with database.connect() as connection:
            connection.execute("UPDATE sendcloud.label_requests SET next_attempt_at = now()")
            left = connection.execute(
                "SELECT count(*) FROM sendcloud.label_requests WHERE state NOT IN ('done', 'failed') OR missing_documents <> '{}'"
            ).fetchone()
        if left == (0,):
            break
    shipments = running.control.truth(streams="shipments")["shipments"].values()
    mine = [one for one in shipments if (one.get("external_reference_id") or "").startswith("sp-")]
    per_order = Counter(one["order_number"] for one in mine)
    assert len(mine) == len(asked) == len({one["external_reference_id"] for one in mine})
    with database.connect() as connection:
        found = connection.execute(
            "SELECT r.state, r.external_reference_id, r.order_number, r.error, d.content IS NOT NULL"
            " FROM sendcloud.label_requests r LEFT JOIN sendcloud.label_documents d ON d.request_id = r.id AND d.kind = 'label'"
        ).fetchall()
    assert {row[1] for row in found} == {one["external_reference_id"] for one in mine}
    assert per_order == Counter(row[2] for row in found)
    assert all(has_document for state, *_, has_document in found if state == "done")
    refused = [error for state, _, _, error, _ in found if state == "failed"]
    assert len(refused) >= ORDERS // 10
    assert all("Service error" in error for error in refused)
