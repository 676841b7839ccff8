"""SendCloud's look-alike and our client, both against the official documents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.http import HttpClient
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.vendors.sendcloud.client import MEDIA_TYPES, SendCloudClient, basic_auth, classify
from sync_pipelines_tests.contract.openapi import Allowed, CheckingTransport, Contract
from sync_pipelines_tests.sandboxes import RunningSandbox, run_sandbox

SPECS = Path(__file__).parent / "specs" / "sendcloud"
DOCUMENTS = sorted(SPECS.glob("*.yml"))

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The look-alike's clock stands: the same world every day."""

PARCELS = r"GET /v2/parcels(/\{id\})?"
PARCEL = r"/(parcels/\d+|parcel)"
ORDERS = r"GET /v3/orders(/\{id\})?"
ERRORS = "the schema has a bare list, every example an object with `errors` (document, examples)"

ALLOWED = (
    Allowed(PARCELS, "recordings have a number or null", side="200", where=f"{PARCEL}/to_service_point", message="null"),
    Allowed(PARCELS, "recordings have text or null (facts §4.2)", side="200", where=f"{PARCEL}/to_state", message="null"),
    Allowed(
        PARCELS, "null in recordings (facts §4.2)", side="200", where=f"{PARCEL}/shipping_method_checkout_name", message="null"
    ),
    Allowed(PARCELS, "null or missing when none (facts §4.2)", side="200", where=f"{PARCEL}/tracking_url", message="null"),
    Allowed(
        PARCELS, "null until announced in recordings (facts §4.2)", side="200", where=f"{PARCEL}/date_announced", message="null"
    ),
    Allowed(PARCELS, "null when not announced (facts §4.2)", side="200", where=f"{PARCEL}/shipment", message="null"),
    Allowed(PARCELS, "text in recordings (facts §4.2)", side="200", where=rf"{PARCEL}/parcel_items/\d+/value", message="number"),
    Allowed(
        PARCELS, "null in recordings (facts §4.2)", side="200", where=f"{PARCEL}/total_order_value(_currency)?", message="null"
    ),
    Allowed("GET /v2/parcels", "an address, not a number (facts §4.1)", side="200", where="/(next|previous)", message="integer"),
    Allowed("GET /v2/parcels", "an empty list is an answer", side="200", where="/parcels", message="less than 1 item"),
    Allowed(r"(GET|POST) /v2/parcels/\{id\}(/.*)?", "failures carry a body (facts §4.5, §4.7)", side="4..", message="has a body"),
    Allowed(
        r"POST /v2/parcels/\{id\}/cancel", "the answer to a queued cancellation carries its words", side="202", message="has a body"
    ),
    Allowed(r"GET /v2/integrations/\{id\}/shipments", "null on the first and last page, as for parcels", where="/(next|previous)"),
    Allowed(r"GET /v2/integrations/\{id\}/shipments", "its type allows null, its enum forgets it", where=r"/results/\d+/currency"),
    Allowed(ORDERS, "any currency of three letters (facts §3.4a)", where=r"/data.*", message='"CHF"'),
    Allowed(r"GET /v3/integrations/\{id\}", "the example's status is a number (facts §3.6)", side="404", where=r"/errors/0/status"),
    Allowed(r"POST /v3/shipments.*", ERRORS, side="4..", where="", message='not of type "array"'),
    Allowed(r"GET /v3/shipments.*", ERRORS, side="4..", where="", message='not of type "array"'),
    Allowed(r"GET /v3/shipments/\{id\}", "the answer to an unknown id carries an error", side="404", message="has a body"),
    Allowed("GET /v3/shipments", "an empty list is an answer", side="200", where="/data", message="less than 1 item"),
    Allowed("POST /v3/shipments(/announce)?", "a known external_reference_id (facts §5.1)", side="409", message="not documented"),
    Allowed(r"POST /v3/shipments/\{id\}/cancel", "after a failed announcement, as V2", side="410", message="not documented"),
)
"""Where the documents are wrong or silent."""

UNDOCUMENTED = (
    "GET /api/v3/user/auth/metadata",
    "GET /api/v3/contracts",
    "GET /api/v3/addresses/sender-addresses",
    "GET /api/v3/parcels/statuses",
    "POST /api/v3/(compat/)?shipping-options",
    "GET /api/v2/carriers",
    "GET /api/v2/shipping_methods",
    "GET /api/v2/parcels/statuses",
)
"""Known from `facts.md` alone: the documents at hand do not describe them."""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    started = run_sandbox("sendcloud", clock=Clock(NOW.timestamp()))
    started.control.post("settings", writes_per_minute=10_000, writes_per_second=10_000, announce_s=0, order_saving_s=0)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(DOCUMENTS, allowed=ALLOWED, undocumented=UNDOCUMENTED)


@pytest.fixture(scope="module")
def client(running: RunningSandbox, contract: Contract) -> Iterator[SendCloudClient]:
    http = HttpClient(
        account="sendcloud/test",
        base_url=f"{running.base_url}/api",
        auth=basic_auth("sandbox-public", "sandbox-secret"),
        classify=classify,
        transport=CheckingTransport(contract),
        sleep=lambda _: None,
        attempts=1,
    )
    yield SendCloudClient(http)
    http.close()


def refused(call: Any, *arguments: Any, **options: Any) -> None:
    """A call that must fail; its request and its answer are checked all the same."""
    with pytest.raises(SyncError):
        call(*arguments, **options)


def raw(client: SendCloudClient, method: str, path: str, **options: Any) -> None:
    """A call our client never makes."""
    client.http.request(method, path, expect=range(200, 500), answer="any", **options)


def shipment_request(**more: Any) -> dict[str, Any]:
    address = {
        "name": "Ada Example",
        "address_line_1": "Rue de l'Exemple",
        "house_number": "1",
        "postal_code": "75999",
        "city": "Exempleville",
        "country_code": "FR",
    }
    item = {
        "description": "mug",
        "quantity": 1,
        "weight": {"value": 0.4, "unit": "kg"},
        "price": {"value": "9.90", "currency": "EUR"},
        "hs_code": "691200",
        "origin_country": "PT",
        "sku": "SKU-00001",
    }
    return {
        "to_address": address,
        "from_address": {"sender_address_id": 92001},
        "ship_with": {"type": "shipping_option_code", "properties": {"shipping_option_code": "colissimo:home", "contract_id": 518}},
        "parcels": [{"weight": {"value": "0.500", "unit": "kg"}, "parcel_items": [item]}],
        **more,
    }


def pages_of(pages: Iterator[Any], name: str) -> list[Any]:
    return [record for page in pages for record in decode_json(page.body)[name]]


def read_orders(client: SendCloudClient) -> None:
    day = NOW.date()
    pages_of(client.orders(page_size=40, sort="order_updated_at", updated=(day - timedelta(days=30), day)), "data")
    pages_of(client.orders(created=(day - timedelta(days=3), None), integrations=[7001], order_number="SO-10149"), "data")
    pages_of(client.orders(order_id="7001-1000000"), "data")
    client.order("750000000")
    client.order("1")
    refused(next, client.orders(cursor="nonsense"))
    refused(next, client.orders(integrations=[128]))


def write_orders(client: SendCloudClient) -> None:
    order = decode_json(client.order("750000001") or b"")["data"]
    new = {name: value for name, value in order.items() if name not in {"created_at", "modified_at"}}
    client.upsert_orders([new])
    client.upsert_orders([{**{name: value for name, value in new.items() if name != "id"}, "order_id": "7002-new"}])
    refused(client.upsert_orders, [{"order_id": "x"}])
    client.patch_order(
        "750000001",
        {
            "order_details": {
                "notes": "n",
                "order_items": [{"name": order["order_details"]["order_items"][0]["name"], "hs_code": "340600"}],
            }
        },
    )
    refused(client.patch_order, "750000001", {"order_details": {"order_items": [{"name": "nobody"}]}})
    refused(client.patch_order, "1", {"order_number": "x"})
    client.delete_order("750000002")
    client.delete_order("750000002")


def read_parcels(client: SendCloudClient) -> None:
    parcels = pages_of(client.parcels(), "parcels")
    assert len(parcels) > 150
    for parcel in parcels[::10]:
        client.parcel(parcel["id"])
    pages_of(client.parcels(updated_after=NOW - timedelta(days=9), order_number="SO-10100", ids=[1, 2]), "parcels")
    refused(next, client.parcels(cursor="nonsense"))
    client.parcel(1)
    for integration in (7001, 7002):
        pages_of(client.order_blobs(integration, created_from=NOW.date() - timedelta(days=9)), "results")
    refused(next, client.order_blobs(1))
    for parcel in parcels[::7]:
        client.cancel_parcel(parcel["id"])
    fresh = [client.announce(shipment_request()).shipment["parcels"][0]["id"] for _ in range(20)]
    assert {client.cancel_parcel(key).outcome for key in fresh} == {"cancelled", "queued", "refused"}
    client.cancel_parcel(1)
    raw(client, "GET", "v2/parcels/1/return_portal_url")


def ship(client: SendCloudClient) -> None:
    assert not client.announce(shipment_request(order_number="SO-1", external_reference_id="one")).existed
    assert client.announce(shipment_request(order_number="SO-1", external_reference_id="one")).existed
    later = client.announce(shipment_request(external_reference_id="two"), wait=False).shipment
    client.shipment(later["id"])
    client.shipment("nobody")
    client.announce({"to_address": shipment_request()["to_address"]}, rules=True)
    client.announce({"to_address": shipment_request()["to_address"]}, rules=True, wait=False)
    failed = client.announce(shipment_request(to_address={**shipment_request()["to_address"], "country_code": "US"})).shipment
    assert failed["errors"]
    refused(client.announce, {**shipment_request(), "to_address": {"name": "x"}})
    refused(client.announce, {**shipment_request(), "to_address": {"name": "x"}}, wait=False)
    shipments = pages_of(client.shipments(page_size=30), "data")
    for shipment in shipments[::5]:
        client.cancel_shipment(shipment["id"])
    client.cancel_shipment(shipments[0]["id"])
    client.cancel_shipment("nobody")
    pages_of(client.shipments(updated_after=NOW - timedelta(days=9), external_reference_id="one", integration=7001), "data")
    pages_of(client.shipments(parcel_ids=[1], order_number="x", announced_after=NOW), "data")
    refused(next, client.shipments(cursor="nonsense"))
    raw(client, "GET", "v3/shipments?updated_after=yesterday")
    raw(client, "GET", f"v3/shipments/{shipments[0]['id']}/return-portal-url")


def ship_stored_orders(client: SendCloudClient) -> None:
    orders = [
        order
        for order in pages_of(client.orders(integrations=[7001]), "data")
        if order["order_details"]["status"]["code"] == "unfulfilled"
    ]
    chosen = [{"order_id": order["order_id"]} for order in orders[:2]]
    client.ship_orders({"integration_id": 7001, "orders": [*chosen, {"order_id": "nobody"}]})
    client.ship_orders({"integration_id": 7001, "orders": chosen, "sender_address_id": 1})
    client.ship_order({"integration_id": 7001, "order": {"order_id": orders[3]["order_id"]}})
    refused(client.ship_order, {"integration_id": 7001, "order": {"order_id": "nobody"}})
    refused(client.ship_orders, {"integration_id": 7001, "orders": [{"order_id": 5}]})


def read_documents(client: SendCloudClient) -> None:
    labelled = [parcel for parcel in pages_of(client.parcels(), "parcels") if parcel["label"]]
    for media_type in MEDIA_TYPES:
        assert client.document(labelled[0]["id"], media_type=media_type, dpi=203, paper_size="A6") is not None
    assert client.documents([parcel["id"] for parcel in labelled[:20]]) is not None
    client.document(1)
    for parcel in labelled:
        client.document(parcel["id"], "customs-declaration")
    raw(client, "GET", f"v3/parcels/{labelled[0]['id']}/documents/poem")
    key = labelled[0]["id"]
    for path in (
        f"{key}",
        f"normal_printer/{key}?start_from=1",
        f"label_printer/{key}",
        f"label_printer?ids={key}",
        "7",
        "normal_printer/7?start_from=0",
    ):
        raw(client, "GET", f"v2/labels/{path}")
    raw(client, "GET", f"v2/labels/normal_printer?ids={key}&start_from=0")
    raw(client, "GET", f"v2/labels/normal_printer/{key}?start_from=9")
    raw(client, "POST", "v2/labels", json={"label": {"parcels": [key]}})
    raw(client, "POST", "v2/labels", json={"label": {"parcels": [7]}})
    raw(client, "GET", f"v2/parcels/{key}/documents/label")
    raw(client, "GET", "v2/parcels/7/documents/label")
    assert client.tracking(labelled[0]["tracking_number"]) is not None
    client.tracking("nobody")
    raw(client, "GET", f"v2/tracking/{labelled[0]['tracking_number']}")
    raw(client, "GET", "v2/tracking/nobody")


def read_reference_data(client: SendCloudClient) -> None:
    client.auth_metadata()
    client.integrations()
    client.v2_integrations()
    client.carriers()
    list(client.contracts())
    list(client.sender_addresses())
    client.shipping_methods()
    client.shipping_options({"to_country_code": "FR", "calculate_quotes": True})
    client.method_codes([8, 101, 5])
    client.parcel_statuses()
    client.v2_parcel_statuses()
    raw(client, "GET", "v3/integrations/7001")
    raw(client, "GET", "v3/integrations/1")
    raw(client, "PATCH", "v3/integrations/7001", json={"webhook_active": True, "webhook_url": "https://shop.example.com/hook"})
    raw(client, "PATCH", "v3/integrations/7002", json={"webhook_active": True})


TOUR = (read_reference_data, read_orders, write_orders, read_parcels, ship, ship_stored_orders, read_documents)


@pytest.fixture(scope="module")
def toured(client: SendCloudClient, contract: Contract) -> Contract:
    for stop in TOUR:
        stop(client)
    return contract


def test_every_request_and_every_answer_is_as_documented(toured: Contract) -> None:
    assert [str(problem) for problem in toured.problems] == []


def test_every_exception_is_still_needed(toured: Contract) -> None:
    assert toured.unused == []


def test_the_tour_sees_the_failures_too(toured: Contract) -> None:
    seen = {status for _, status in toured.checked}
    assert {"200", "201", "202", "204", "400", "404", "409"} <= seen
