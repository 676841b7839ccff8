"""Labels: one shipment per order, the document kept, refusals in the vendor's words."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pypdf import PdfReader

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.sync import Request
from sync_pipelines.vendors.sendcloud import documents, label_requests
from sync_pipelines.vendors.sendcloud.actions import Labels, LabelTotals
from sync_pipelines.vendors.sendcloud.label_rules import Wish, choose
from sync_pipelines.vendors.sendcloud.settings import LabelSettings, Settings
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

RULES = {"rules": [{"option": "sendcloud:letter"}], "default_weight_kg": "1"}


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    running = sandbox("sendcloud")
    running.control.post("settings", writes_per_minute=100_000, writes_per_second=100_000, announce_s=0)
    running.control.post("world", orders=16, shipped_percent=0, history_days=5)
    shop = Shop(database, running)
    set_labels(shop, **RULES)
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=10)))
    return shop


def set_labels(shop: Shop, **labels: Any) -> None:
    shop.settings = Settings.model_validate({"writes_per_minute": 100_000, "writes_per_second": 100_000, "labels": labels})


def work(shop: Shop, what: str = "create") -> LabelTotals:
    with shop.client() as client:
        labels = Labels(shop.database, ACCOUNT, client, shop.settings, run_id="run-labels")
        totals: LabelTotals = getattr(labels, what)()
        return totals


def request(shop: Shop, count: int = 3, **columns: Any) -> list[int]:
    names = ["account", "order_id", "integration_id", *columns]
    with shop.database.transaction() as connection:
        orders = connection.execute(
            "SELECT order_id, integration_id FROM sendcloud.orders WHERE ship_to_country IS NOT NULL ORDER BY order_id LIMIT %s",
            [count],
        ).fetchall()
        query = f"INSERT INTO sendcloud.label_requests ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))}) RETURNING id"
        return [connection.execute(query, [ACCOUNT, *order, *columns.values()]).fetchone()[0] for order in orders]  # type: ignore[arg-type,index]


def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    with shop.database.connect() as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def due_now(shop: Shop) -> None:
    with shop.database.connect() as connection:
        connection.execute("UPDATE sendcloud.label_requests SET next_attempt_at = now()")


def made(shop: Shop) -> list[dict[str, Any]]:
    shipments = shop.sandbox.control.truth(streams="shipments")["shipments"].values()
    return [one for one in shipments if (one.get("external_reference_id") or "").startswith("sp-")]


def test_a_request_becomes_a_label_with_its_document_and_the_order_follows(shop: Shop) -> None:
    ids = request(shop)
    assert work(shop) == LabelTotals(done=3, documents=3)
    assert {row[0] for row in rows(shop, "SELECT state FROM sendcloud.label_requests")} == {"done"}
    assert len(made(shop)) == 3
    followed = "SELECT count(*) FROM sendcloud.label_requests r JOIN sendcloud.orders o USING (account, order_id, integration_id)"
    assert rows(shop, followed + " WHERE o.tracking_number = r.tracking_number") == [(3,)]
    with shop.database.connect() as connection:
        kept = documents.read(connection, ACCOUNT, ids)
    merged = documents.merge(kept)
    assert merged.startswith(b"%PDF")
    assert sum(len(PdfReader(io.BytesIO(one.content)).pages) for one in kept) == 3
    assert work(shop) == LabelTotals()


def test_background_announcements_are_looked_after_until_they_are_done(shop: Shop) -> None:
    set_labels(shop, **RULES, background=True)
    shop.sandbox.control.post("settings", announce_s=30)
    request(shop)
    assert work(shop) == LabelTotals(announcing=3)
    shop.sandbox.control.clock(advance=60)
    due_now(shop)
    assert work(shop) == LabelTotals(done=3, documents=3)


def test_a_lost_answer_is_resolved_by_asking_for_our_reference(shop: Shop) -> None:
    request(shop)
    shop.sandbox.control.faults({"kind": "lost_answer", "path": "POST .*/shipments/announce", "times": 3})
    assert work(shop).existing > 0
    due_now(shop)
    work(shop)
    assert rows(shop, "SELECT DISTINCT state FROM sendcloud.label_requests") == [("done",)]
    assert len(made(shop)) == 3


def test_a_claim_left_by_a_dead_process_is_finished_without_a_second_shipment(shop: Shop) -> None:
    request(shop)
    work(shop)
    with shop.database.connect() as connection:
        connection.execute("UPDATE sendcloud.label_requests SET state = 'sending', shipment_id = NULL, parcel_ids = NULL")
        connection.execute("DELETE FROM sendcloud.label_documents")
    due_now(shop)
    totals = work(shop)
    assert (totals.done, totals.existing) == (3, 3)
    assert len(made(shop)) == 3
    due_now(shop)
    work(shop)
    assert rows(shop, "SELECT count(*) FROM sendcloud.label_documents") == [(3,)]


def test_a_conflict_answers_with_the_existing_shipment(shop: Shop) -> None:
    request(shop, 1)
    work(shop)
    with shop.database.connect() as connection:
        connection.execute("UPDATE sendcloud.label_requests SET state = 'waiting', sent_at = NULL, shipment_id = NULL")
    due_now(shop)
    totals = work(shop)
    assert (totals.done, totals.existing) == (1, 1)
    assert len(made(shop)) == 1


def test_a_created_shipment_with_errors_is_a_failure_in_the_vendor_s_words(shop: Shop) -> None:
    shop.sandbox.control.post("settings", failing_carriers=["sendcloud"])
    ids = request(shop, 1)
    assert work(shop).failed == 1
    state, error = rows(shop, "SELECT state, error FROM sendcloud.label_requests")[0]
    assert state == "failed"
    assert "connecting to the carrier" in error
    shop.sandbox.control.post("settings", failing_carriers=[])
    with shop.database.transaction() as connection:
        assert label_requests.try_again(connection, ACCOUNT, ids) == 1
    assert work(shop).done == 1


def test_a_refused_request_carries_the_vendor_s_words(shop: Shop) -> None:
    request(shop, 1, shipping_option="no:such")
    assert work(shop).failed == 1
    assert "no:such does not exist" in rows(shop, "SELECT error FROM sendcloud.label_requests")[0][0]


def test_an_order_gets_one_label_unless_a_further_one_is_asked_for(shop: Shop) -> None:
    request(shop, 1)
    request(shop, 1)
    totals = work(shop)
    assert (totals.done, totals.failed) == (1, 1)
    request(shop, 1, is_additional=True)
    work(shop)
    assert len(made(shop)) == 2


def test_documents_can_be_kept_as_files(shop: Shop, tmp_path: Any) -> None:
    set_labels(shop, **RULES, directory=str(tmp_path))
    ids = request(shop, 2)
    work(shop)
    assert len(list(tmp_path.rglob("*-label.pdf"))) == 2
    assert rows(shop, "SELECT count(content), count(path) FROM sendcloud.label_documents") == [(0, 2)]
    with shop.database.connect() as connection:
        assert len(documents.read(connection, ACCOUNT, ids)) == 2
        next(tmp_path.rglob("*-label.pdf")).write_bytes(b"other")
        with pytest.raises(DataError, match="not what was kept"):
            documents.read(connection, ACCOUNT, ids)


def test_labels_are_taken_back_queued_or_refused_as_the_carrier_decides(shop: Shop) -> None:
    ids = request(shop, 12)
    work(shop)
    with shop.database.transaction() as connection:
        assert label_requests.ask_to_cancel(connection, ACCOUNT, ids) == 12
    first = work(shop, "cancel")
    assert first.cancelled + first.cancelling + first.refused == 12
    assert first.cancelled > 0
    due_now(shop)
    shop.sandbox.control.clock(advance=60)
    assert work(shop, "cancel").cancelling == 0
    states = {state for (state,) in rows(shop, "SELECT state FROM sendcloud.label_requests")}
    assert states <= {"cancelled", "done"}
    assert rows(shop, "SELECT count(*) FROM sendcloud.label_requests WHERE state = 'done' AND cancel_outcome <> 'refused'") == [
        (0,)
    ]


def test_the_first_rule_that_fits_chooses_the_option() -> None:
    settings = LabelSettings.model_validate(
        {
            "rules": [
                {"option": "a", "countries": ["fr"], "max_kg": "2"},
                {"option": "b", "countries": ["FR"], "services": ["Express"]},
                {"option": "c", "min_kg": "2"},
            ]
        }
    )

    def chosen(country: str, kilograms: str, service: str | None = None, **wish: Any) -> str | None:
        return choose(Wish("ref", **wish), settings, country=country, weight_kg=Decimal(kilograms), service=service).option

    assert chosen("FR", "1") == "a"
    assert chosen("FR", "2", "express") == "b"
    assert chosen("DE", "2") == "c"
    assert chosen("DE", "1", shipping_option="x") == "x"
    with pytest.raises(DataError, match="no rule"):
        chosen("DE", "1")
