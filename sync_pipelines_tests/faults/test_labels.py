"""Labels through lost answers, outages, conflicts and sudden deaths: one shipment per order, every document kept.

20 orders and two kills in ``make test``; 500 orders and 20 kills in ``make soak``.
"""

from __future__ import annotations

import io
import os
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pypdf import PdfReader

from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Request, sync_stream
from sync_pipelines.vendors.sendcloud import documents
from sync_pipelines.vendors.sendcloud.streams import orders
from sync_pipelines_tests.faults.dying import Elsewhere
from sync_pipelines_tests.faults.label_worker import ACCOUNT, SETTINGS, connect, make_labels
from sync_pipelines_tests.sandboxes import RunningSandbox

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
ORDERS, KILLS, LIFE = (500, 20, (100, 2500)) if IS_SOAK else (20, 2, (40, 400))
"""How many orders and kills, and how many moments a process lives at least and at most before it is killed."""

UNKNOWN_YET = {"status": 200, "body": '{"data": []}'}
"""The list does not show a new shipment at once, so it is announced again and the vendor answers 409."""

POST, FIND = "POST .*/shipments", "GET .*external_reference_id"
TROUBLE: list[dict[str, Any]] = [
    {"kind": "lost_answer", "path": POST, "probability": 0.15, "seed": 1},
    {"kind": "reset", "path": POST, "probability": 0.05, "seed": 2},
    {"kind": "status", "status": 502, "path": POST, "probability": 0.1, "seed": 3},
    {"kind": "truncate", "path": POST, "probability": 0.05, "seed": 5},
    {"kind": "delay", "seconds": 0.02, "path": POST, "probability": 0.3, "seed": 6},
    {"kind": "html", "path": FIND, "probability": 0.1, "seed": 4},
    {"kind": "status", **UNKNOWN_YET, "path": FIND, "probability": 0.5, "seed": 7},
]


def ask_for_labels(database: Database, running: RunningSandbox) -> int:
    """Syncs orders and asks for a label of each, a tenth of them from a carrier that fails; returns how many."""
    with connect(database, f"{running.base_url}/api") as client:
        request = Request(start=datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
        sync_stream(orders, database=database, account=ACCOUNT, client=client, run_id="run", settings=SETTINGS, request=request)
    with database.connect() as connection:
        asked = connection.execute(
            "INSERT INTO sendcloud.label_requests (account, order_id, integration_id) SELECT account, order_id, integration_id"
            " FROM sendcloud.orders WHERE ship_to_country IS NOT NULL ORDER BY order_id LIMIT %s",
            [ORDERS],
        ).rowcount
        connection.execute(
            "UPDATE sendcloud.label_requests SET shipping_option = 'ups:standard' WHERE id IN"
            " (SELECT id FROM sendcloud.label_requests ORDER BY id LIMIT %s)",
            [ORDERS // 10],
        )
    return asked


def is_finished(database: Database) -> bool:
    """Whether nothing is left to do; lets everything that is left be due at once."""
    with database.connect() as connection:
        connection.execute("UPDATE sendcloud.label_requests SET next_attempt_at = now()")
        left = connection.execute(
            "SELECT count(*) FROM sendcloud.label_requests WHERE state NOT IN ('done', 'failed') OR missing_documents <> '{}'"
        ).fetchone()
    return left == (0,)


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_every_order_gets_exactly_one_shipment_whatever_happens_in_between(
    database: Database, database_url: str, sandbox: Callable[..., RunningSandbox]
) -> None:
    running = sandbox("sendcloud")
    running.control.post("world", orders=ORDERS + ORDERS // 5, shipped_percent=0, history_days=20)
    no_quota = {"reads_per_minute": 10**6, "writes_per_minute": 10**6, "writes_per_second": 10**6}
    running.control.post("settings", **no_quota, failing_carriers=["ups"])
    asked = ask_for_labels(database, running)
    running.control.clear_log()
    running.control.faults(*({"times": None, **fault} for fault in TROUBLE))
    chance = random.Random(11)
    kills = rounds = 0
    while not is_finished(database):
        moment = chance.randint(*LIFE) if kills < KILLS else None
        worker = Elsewhere(make_labels, database_url, f"{running.base_url}/api", moment=moment)
        worker.process.join()
        kills += worker.was_killed
        rounds += 1
        assert rounds < 10 * KILLS, "it never ends"
    seen = Counter(entry["fault"] or str(entry["status"]) for entry in running.control.log() if entry["method"] == "POST")
    print(f"{asked} labels, {kills} kills, {rounds} rounds, answers to announcements: {dict(seen)}")
    assert kills >= KILLS - 1
    assert not IS_SOAK or {"409", "lost_answer", "reset", "status", "truncate"} <= set(seen)

    shipments = running.control.truth(streams="shipments")["shipments"].values()
    mine = [one for one in shipments if (one.get("external_reference_id") or "").startswith("sp-")]
    assert len(mine) == asked == len({one["external_reference_id"] for one in mine})
    with database.connect() as connection:
        found = connection.execute(
            "SELECT id, state, external_reference_id, order_number, error FROM sendcloud.label_requests ORDER BY id"
        ).fetchall()
        done = [row[0] for row in found if row[1] == "done"]
        labels = documents.read(connection, ACCOUNT, done)
    assert {row[2] for row in found} == {one["external_reference_id"] for one in mine}
    assert Counter(one["order_number"] for one in mine) == Counter(row[3] for row in found)
    assert len(labels) == len(done)
    assert len(PdfReader(io.BytesIO(documents.merge(labels))).pages) >= len(done)
    refused = [error for _, state, _, _, error in found if state == "failed"]
    assert len(refused) + len(done) == asked
    assert len(refused) >= ORDERS // 10
    assert all("Service error" in error for error in refused)
