"""Unreliable parcel webhooks through the real service: shuffled, repeated, forged and lost ones end in the vendor's truth.

300 events in ``make test``; 10,000 in ``make soak``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from sync_pipelines.core import intake
from sync_pipelines.core.db import Database
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.sync import Request
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines.vendors.sendcloud.streams import parcels
from sync_pipelines.vendors.sendcloud.vocabulary import v2_code
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.service.process import running
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop
from sync_pipelines_tests.waiting import eventually

IS_SOAK = bool(os.environ.get("SYNC_PIPELINES_SOAK"))
EVENTS, ORDERS = (10_000, 2_000) if IS_SOAK else (300, 120)
PER_SECOND = 300
PROMISED_S = 2
FORGED = "66666"
NO_LABEL = {"NO_LABEL", "V2_1337"}


def rows(shop: Shop, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with shop.database.connect() as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def true_parcels(shop: Shop) -> dict[int, tuple[str, str]]:
    """Status and tracking number of every parcel that has a label."""
    truth = shop.sandbox.control.truth(streams="parcels")["parcels"]
    found = {int(key): (v2_code(parcel["status"]["id"]), parcel["tracking_number"]) for key, parcel in truth.items()}
    return {key: shown for key, shown in found.items() if shown[0] not in NO_LABEL}


def seconds_until_stored(shop: Shop) -> list[float]:
    """For each kept event, from its reception, which is a moment before its answer, to the end of its storing transaction."""
    done = "SELECT key, payload ->> 'timestamp', finished_at FROM sync.tasks_done WHERE outcome = 'done'"
    stored = {(key, int(at)): finished for key, at, finished in rows(shop, done)}
    waits = []
    for delivery in intake.read(shop.database, account=ACCOUNT):
        event = decode_json(delivery.body)
        if "parcel" in event:
            waits.append((stored[f"parcel/{event['parcel']['id']}", event["timestamp"]] - delivery.received_at).total_seconds())
    return sorted(waits)


@pytest.mark.timeout(3600 if IS_SOAK else 300)
def test_unreliable_webhooks_end_in_the_truth_and_forged_ones_leave_no_trace(
    database: Database, database_url: str, sandbox: Callable[..., RunningSandbox]
) -> None:
    shop = Shop(database, sandbox("sendcloud"))
    shop.sandbox.control.post("world", orders=ORDERS, history_days=20)
    shop.sandbox.control.post("settings", reads_per_minute=10**6)
    shop.settings = Settings(reads_per_minute=10**6)
    start = Request(start=datetime.now(UTC) - timedelta(days=30))
    shop.sync(request=start)
    shop.sync(parcels, start)
    unreliable = {"duplicates": 0.3, "forged": 0.01, "dropped": 0.05, "shuffle": True, "others": True, "seed": 3}
    with running("sync_pipelines_tests.vendors.sendcloud.parcel_service", database_url) as service:
        began, url = monotonic(), f"{service.url}/webhooks/{ACCOUNT}"
        report = shop.sandbox.control.post(
            "webhooks/send", url=url, events=EVENTS, sign_with="signature", per_second=PER_SECOND, **unreliable
        )
        answered = monotonic()
        eventually(lambda: rows(shop, "SELECT count(*) FROM sync.tasks") == [(0,)])
        drained = monotonic()
    assert report["statuses"] == {"200": report["sent"] - report["forged"], "401": report["forged"]}
    assert min(report["forged"], report["dropped"], report["duplicated"]) > 0

    kept = [delivery.body for delivery in intake.read(database, account=ACCOUNT)]
    assert len(kept) == report["sent"] - report["forged"] - report["duplicated"]
    assert not any(FORGED.encode() in body for body in kept)
    for table, column in (("parcels", "status_code"), ("tracking_events", "status_code"), ("orders", "parcel_status")):
        assert rows(shop, f"SELECT count(*) FROM sendcloud.{table} WHERE {column} = %s", f"V2_{FORGED}") == [(0,)]
    assert rows(shop, "SELECT count(*) FROM sync.dead_letters") == [(0,)]

    truth = true_parcels(shop)
    ours = "SELECT parcel_id, status_code, tracking_number FROM sendcloud.parcels"
    before = {key: (status, number) for key, status, number in rows(shop, ours)}
    lost = sum(before.get(key) != shown for key, shown in truth.items())
    polled = shop.sync(parcels, start)
    after = {key: (status, number) for key, status, number in rows(shop, ours)}
    assert {key: after.get(key) for key in truth} == truth
    behind = (
        "SELECT count(*) FROM sendcloud.parcels p JOIN sendcloud.orders o USING (account, order_id, integration_id)"
        " WHERE p.is_return IS NOT TRUE AND p.version > o.parcel_version"
    )
    assert rows(shop, behind) == [(0,)]
    waits = seconds_until_stored(shop)
    assert waits[len(waits) * 95 // 100] <= PROMISED_S
    print(
        f"{report['sent']} deliveries of {EVENTS} events answered in {answered - began:.1f} s, the queue empty"
        f" {drained - answered:.2f} s later; received to stored: median {waits[len(waits) // 2]:.2f} s,"
        f" 95 % {waits[len(waits) * 95 // 100]:.2f} s, most {waits[-1]:.2f} s, within {PROMISED_S} s"
        f" {sum(wait <= PROMISED_S for wait in waits) / len(waits):.2%};"
        f" {report['forged']} forged, {report['dropped']} dropped; {lost} of {len(truth)} parcels behind before the poll,"
        f" which took {polled.api_calls} calls"
    )
