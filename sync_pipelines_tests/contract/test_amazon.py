"""Our client against Amazon's own words: the official static sandbox pairs, and every request it sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sync_pipelines.core.errors import DataError
from sync_pipelines.core.http import HeaderKey
from sync_pipelines.core.stream import ParseContext
from sync_pipelines.vendors.amazon import mapping, privacy
from sync_pipelines.vendors.amazon.client import AmazonClient, OrderList
from sync_pipelines.vendors.amazon.reader import records
from sync_pipelines.vendors.amazon.settings import Settings
from sync_pipelines_tests.contract import swagger

START, END = datetime(2026, 11, 1, 10, 0, 0, 5000, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
SETTINGS = Settings(marketplaces=("A13V1IB3VIYZZH", "A1PA6795UKMFR9"))
READS = ("getOrders", "getOrder", "getOrderItems", "searchOrders")


def client(answer: Callable[[httpx.Request], httpx.Response], *, personal_data: bool = False) -> AmazonClient:
    """Our client on a network that answers as told, after checking what was asked."""

    def checked(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/documents/"):
            return answer(request)
        operation = swagger.operation(request.method, request.url.raw_path.decode().partition("?")[0])
        body = json.loads(request.content) if request.content else None
        assert operation.request_faults(dict(request.url.params), body) == []
        assert request.method != "GET" or "content-length" not in request.headers
        return answer(request)

    return AmazonClient(
        account="amazon/test",
        base_url="https://amazon.test",
        auth=HeaderKey("x-amz-access-token", "Atza|test"),
        budget=None,
        marketplaces=SETTINGS.marketplaces,
        personal_data=personal_data,
        transport=httpx.MockTransport(checked),
        sleep=lambda _: None,
    )


def static_pairs() -> list[Any]:
    return [
        pytest.param(operation, status, parameters, answer, id=f"{operation.id}-{status}-{number}")
        for operation in swagger.operations()
        if operation.spec["operationId"] in READS
        for number, (status, parameters, answer) in enumerate(operation.static_pairs())
    ]


@pytest.mark.parametrize(("operation", "status", "parameters", "answer"), static_pairs())
def test_official_static_pairs_go_through_our_client(
    operation: swagger.Operation, status: int, parameters: dict[str, Any], answer: Any
) -> None:
    amazon = client(lambda _: httpx.Response(status, json=answer))
    order_id = parameters.get("orderId", "")
    calls: dict[str, Callable[[], Any]] = {
        "ordersV0.getOrders": lambda: amazon.get_orders_v0(START, END),
        "ordersV0.getOrder": lambda: amazon.get_order_v0(order_id),
        "ordersV0.getOrderItems": lambda: amazon.get_order_items_v0(order_id),
        "orders_2026-01-01.searchOrders": lambda: amazon.search_orders(START, END),
        "orders_2026-01-01.getOrder": lambda: amazon.get_order(order_id),
    }
    call = calls[operation.id]
    if status == 400:
        with pytest.raises(DataError):
            call()
        return
    found = call()
    if isinstance(found, OrderList):
        payload = answer.get("payload", answer)
        assert found.orders == payload.get("Orders", payload.get("orders"))
        assert found.next_token == payload.get("NextToken", payload.get("pagination", {}).get("nextToken"))
        source = "v0" if "Orders" in payload else "2026-01-01"
        assert [_order_id(order) for order in found.orders] == [_parsed(order, source) for order in found.orders]
    elif operation.spec["operationId"] == "getOrder":
        assert _parsed(found, "v0" if "payload" in answer else "2026-01-01") == _order_id(found)
    else:
        assert found == answer["payload"]["OrderItems"]


def test_no_static_sample_keeps_a_person_once_redacted() -> None:
    words = ("John Smith", "Sarah Thompson", "Carlos Oliveira", "Maria Silva", "Mehmet Yilmaz", "buyer-email@", "Istiklal")
    answers = [pair.values[3] for pair in static_pairs()]
    assert any(word in json.dumps(answer) for answer in answers for word in words)
    for answer in answers:
        text = json.dumps(privacy.without_persons(answer), ensure_ascii=False)
        assert not [word for word in words if word in text]


def test_every_request_is_one_the_models_allow() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("restrictedDataToken"):
            return httpx.Response(200, json={"restrictedDataToken": "Atz.sprdt|test", "expiresIn": 3600})
        if path.endswith("/reports"):
            return httpx.Response(202, json={"reportId": "1"})
        if "/reports/" in path:
            body = {"url": "https://amazon.test/documents/1", "reportDocumentId": "1", "processingStatus": "DONE"}
            return httpx.Response(200, json=body)
        if path.startswith("/documents/"):
            return httpx.Response(200, text="sku\r\n")
        if path.endswith("orderItems"):
            return httpx.Response(200, json={"payload": {"OrderItems": [], "AmazonOrderId": "1"}})
        if path.startswith("/sellers"):
            return httpx.Response(200, json={"payload": []})
        page = {"orders": [], "pagination": {"nextToken": "a+b/c="}, "order": {}}
        return httpx.Response(200, json={**page, "payload": {"Orders": [], "NextToken": "a+b/c="}})

    for personal_data in (False, True):
        amazon = client(answer, personal_data=personal_data)
        assert amazon.search_orders(START, END).next_token == "a+b/c="
        amazon.search_orders(START, END, "a+b/c=")
        amazon.search_orders(START, None)
        amazon.get_order("1/2")
        amazon.get_orders_v0(START, END)
        amazon.get_orders_v0(START, END, "a+b/c=")
        amazon.get_order_v0("1")
        amazon.get_order_items_v0("1")
        amazon.marketplaces()
        assert amazon.create_report(START, END) == "1"
        amazon.get_report("1")
        assert amazon.read_report_document("1") == "sku\r\n"


def test_a_document_elsewhere_is_not_fetched() -> None:
    amazon = client(lambda _: httpx.Response(200, json={"url": "https://elsewhere.test/report", "reportDocumentId": "1"}))
    with pytest.raises(Exception, match="not Amazon's"):
        amazon.read_report_document("1")


def _order_id(order: dict[str, Any]) -> str:
    return str(order.get("orderId") or order["AmazonOrderId"])


def _parsed(order: dict[str, Any], source: str) -> str:
    """The key our mapping gives an order, by the way of an archived page."""
    context = ParseContext("amazon/test", source, END, SETTINGS)
    (raw,) = records(json.dumps({"orders": [order]}).encode(), source)
    return str(mapping.parse(raw, context).key[0])
