"""The look-alike of Amazon: what a client must cope with, and that its answers are those the official models allow."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync_pipelines.sandbox.amazon.answers import milliseconds, seconds
from sync_pipelines.sandbox.amazon.app import create_app
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines_tests.contract import swagger

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
FRENCH, GERMAN = "A13V1IB3VIYZZH", "A1PA6795UKMFR9"
SEARCH = "/orders/2026-01-01/orders"
EVERYTHING = "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT"


class Amazon:
    """One application that talks to the look-alike and checks every answer against the models."""

    def __init__(self, size: str = "demo") -> None:
        self.http = TestClient(create_app(seed=7, size=size, clock=Clock(NOW)), base_url="http://amazon.test")
        self.token = self.login()

    def login(self, seller: str = "alpha") -> str:
        answer = self.lwa(refresh_token=f"Atzr|sandbox-{seller}")
        return str(answer.json()["access_token"])

    def lwa(self, **form: str) -> Any:
        body = {
            "grant_type": "refresh_token",
            "client_id": "amzn1.application-oa2-client.sandbox",
            "client_secret": "sandbox-secret",
        }
        return self.http.post("/auth/o2/token", data=body | form)

    def get(self, path: str, token: str | None = None, **params: Any) -> Any:
        answer = self.http.get(path, params=params, headers={"x-amz-access-token": token or self.token})
        if answer.status_code != 400 or answer.json()["errors"][0]["message"] is not None:
            assert swagger.operation("GET", path).answer_faults(answer.status_code, answer.json()) == []
        return answer

    def search(self, **params: Any) -> Any:
        return self.get(SEARCH, **({"lastUpdatedAfter": ago(days=20)} | params))

    def control(self, route: str, **body: Any) -> Any:
        return self.http.post(f"/_control/{route}", json=body).json()


def ago(**span: float) -> str:
    return datetime.fromtimestamp(NOW - timedelta(**span).total_seconds(), UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


def test_both_versions_and_the_report_show_the_same_orders(amazon: Amazon) -> None:
    new = amazon.search(includedData=EVERYTHING).json()["orders"]
    old = amazon.get("/orders/v0/orders", MarketplaceIds=f"{FRENCH},{GERMAN}", LastUpdatedAfter=ago(days=20)).json()["payload"]
    truth = amazon.http.get("/_control/truth?tenant=alpha").json()
    assert len(new) == 80
    assert [order["orderId"] for order in new] == [order["AmazonOrderId"] for order in old["Orders"]]
    assert {order["orderId"] for order in new} == set(truth["orders"])
    rows = _report(amazon)
    assert {row["amazon-order-id"] for row in rows} == set(truth["orders"])
    assert len(rows) == len(truth["order_items"])


def test_both_versions_name_the_same_second() -> None:
    almost = NOW + 0.99967
    assert seconds(almost)[:19] == milliseconds(almost)[:19]


def test_results_come_oldest_change_first_and_the_bound_is_echoed(amazon: Amazon) -> None:
    body = amazon.search().json()
    changed = [order["lastUpdatedTime"] for order in body["orders"]]
    assert changed == sorted(changed)
    assert body["lastUpdatedBefore"] == "2026-11-20T11:58:00.000Z"


def test_the_last_two_minutes_cannot_be_asked_for(amazon: Amazon) -> None:
    assert amazon.search(lastUpdatedBefore=ago(seconds=119)).status_code == 400
    assert amazon.search(lastUpdatedBefore=ago(seconds=121)).status_code == 200


def test_the_two_families_of_dates_exclude_each_other(amazon: Amazon) -> None:
    assert amazon.search(createdAfter=ago(days=1)).status_code == 400
    assert amazon.get(SEARCH).status_code == 400


def test_a_paging_token_belongs_to_its_query_and_lives_a_day(amazon: Amazon) -> None:
    first = amazon.search(maxResultsPerPage=30).json()
    token = first["pagination"]["nextToken"]
    second = amazon.search(maxResultsPerPage=100, paginationToken=token).json()
    assert "pagination" not in second
    assert len({order["orderId"] for order in first["orders"] + second["orders"]}) == 80
    assert amazon.search(paginationToken=token, marketplaceIds=FRENCH).status_code == 400
    amazon.control("clock", advance=24 * 3600 + 1)
    amazon.token = amazon.login()
    assert amazon.search(paginationToken=token).status_code == 400


def test_a_v0_page_needs_its_marketplaces_and_refuses_without_a_message(amazon: Amazon) -> None:
    page = amazon.get("/orders/v0/orders", MarketplaceIds=FRENCH, LastUpdatedAfter=ago(days=20), MaxResultsPerPage=5).json()
    token = page["payload"]["NextToken"]
    refused = amazon.get("/orders/v0/orders", NextToken=token)
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (400, None)
    assert amazon.get("/orders/v0/orders", MarketplaceIds=FRENCH, NextToken=token).status_code == 200


def test_the_plan_is_exact_and_a_refusal_carries_no_rate(amazon: Amazon) -> None:
    answers = [amazon.search(maxResultsPerPage=1) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert "x-amzn-RateLimit-Limit" not in answers[-1].headers
    assert {answer.headers.get("x-amzn-RateLimit-Limit") for answer in answers[:20]} <= {"0.0056", None}
    amazon.control("clock", advance=178.6)
    assert [amazon.search(maxResultsPerPage=1).status_code for _ in range(2)] == [200, 429]


def test_sellers_have_buckets_of_their_own(amazon: Amazon) -> None:
    for _ in range(21):
        amazon.search(maxResultsPerPage=1)
    assert amazon.search(maxResultsPerPage=1, token=amazon.login("beta")).status_code == 200


def test_pending_orders_have_no_prices(amazon: Amazon) -> None:
    orders = amazon.search(includedData=EVERYTHING).json()["orders"]
    pending = next(order for order in orders if order["fulfillment"]["fulfillmentStatus"] == "PENDING")
    items = amazon.get(f"/orders/v0/orders/{pending['orderId']}/orderItems").json()["payload"]["OrderItems"]
    assert "proceeds" not in pending
    assert all("ItemPrice" not in item for item in items)


def test_datasets_come_only_when_asked_for_and_persons_only_with_the_role(amazon: Amazon) -> None:
    bare = amazon.search(maxResultsPerPage=1).json()["orders"][0]
    assert not {"buyer", "recipient", "proceeds", "fulfillment"} & set(bare)
    assert "buyer" in amazon.search(includedData="BUYER").json()["orders"][0]
    without_role = amazon.search(includedData="BUYER,RECIPIENT", token=amazon.login("gamma")).json()["orders"][0]
    assert not {"buyer", "recipient"} & set(without_role)


def test_v0_shows_persons_only_to_a_restricted_token(amazon: Amazon) -> None:
    path = "/orders/v0/orders"
    resources = [{"method": "GET", "path": path, "dataElements": ["buyerInfo", "shippingAddress"]}]
    request = {"json": {"restrictedResources": resources}, "headers": {"x-amz-access-token": amazon.token}}
    answer = amazon.http.post("/tokens/2021-03-01/restrictedDataToken", **request)
    assert swagger.operation("POST", "/tokens/2021-03-01/restrictedDataToken").answer_faults(200, answer.json()) == []
    query = {"MarketplaceIds": FRENCH, "LastUpdatedAfter": ago(days=20), "OrderStatuses": "Shipped"}
    plain = amazon.get(path, **query).json()["payload"]["Orders"][0]
    full = amazon.get(path, token=answer.json()["restrictedDataToken"], **query).json()["payload"]["Orders"][0]
    assert "Name" not in plain["ShippingAddress"]
    assert "BuyerName" not in plain["BuyerInfo"]
    assert full["ShippingAddress"]["Name"] == full["BuyerInfo"]["BuyerName"]
    assert amazon.get("/orders/v0/orders/1/orderItems", token=answer.json()["restrictedDataToken"]).status_code == 403


def test_late_arrivals_show_up_later_with_an_old_change_time(amazon: Amazon) -> None:
    late = amazon.control("late", tenant="alpha", count=3, changed_ago=7200, visible_in=600, seed=1)["orders"]
    before = {order["orderId"] for order in amazon.search().json()["orders"]}
    amazon.control("clock", advance=601)
    after = {order["orderId"] for order in amazon.search().json()["orders"]}
    assert not before & set(late)
    assert set(late) <= after


def test_tokens_expire_and_can_be_revoked(amazon: Amazon) -> None:
    amazon.control("expire")
    assert amazon.search().status_code == 403
    amazon.token = amazon.login()
    assert amazon.search().status_code == 200
    amazon.control("tenant", tenant="alpha", is_revoked=True)
    assert amazon.search().status_code == 403
    refused = amazon.lwa(refresh_token="Atzr|sandbox-alpha")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert amazon.lwa(client_secret="wrong").status_code == 401


def test_mutations_move_orders_to_the_present(amazon: Amazon) -> None:
    done = amazon.control("mutate", operations=30, seed=1, tenant="alpha")
    assert sum(done.values()) == 30
    amazon.control("clock", advance=180)
    changed = amazon.search(lastUpdatedAfter=ago(seconds=0)).json()["orders"]
    assert changed


def test_the_same_seed_makes_the_same_world() -> None:
    assert Amazon().http.get("/_control/truth?tenant=beta").json() == Amazon().http.get("/_control/truth?tenant=beta").json()


def test_order_lines_come_in_pages(amazon: Amazon) -> None:
    amazon.control("settings", item_page_size=2)
    truth = amazon.http.get("/_control/truth?tenant=alpha").json()["orders"]
    order = next(order for order in truth.values() if len(order["orderItems"]) == 5)
    path, found, params = f"/orders/v0/orders/{order['orderId']}/orderItems", [], {}
    for _ in range(3):
        payload = amazon.get(path, **params).json()["payload"]
        found += [item["OrderItemId"] for item in payload["OrderItems"]]
        params = {"NextToken": payload.get("NextToken")}
    assert found == [item["orderItemId"] for item in order["orderItems"]]
    assert params == {"NextToken": None}


def test_participations_follow_the_model(amazon: Amazon) -> None:
    shops = amazon.get("/sellers/v1/marketplaceParticipations").json()["payload"]
    assert [shop["marketplace"]["id"] for shop in shops] == [FRENCH, GERMAN]


def _report(amazon: Amazon) -> list[dict[str, str]]:
    body = {
        "reportType": "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
        "marketplaceIds": [FRENCH, GERMAN],
        "dataStartTime": ago(days=20),
        "dataEndTime": ago(days=0),
    }
    headers = {"x-amz-access-token": amazon.token}
    created = amazon.http.post("/reports/2021-06-30/reports", json=body, headers=headers)
    assert swagger.operation("POST", "/reports/2021-06-30/reports").answer_faults(202, created.json()) == []
    path = f"/reports/2021-06-30/reports/{created.json()['reportId']}"
    states = [amazon.get(path).json() for _ in range(3)]
    assert [state["processingStatus"] for state in states] == ["IN_QUEUE", "IN_PROGRESS", "DONE"]
    document = amazon.get(f"/reports/2021-06-30/documents/{states[-1]['reportDocumentId']}").json()
    content = amazon.http.get(document["url"]).content
    if document.get("compressionAlgorithm") == "GZIP":
        content = gzip.decompress(content)
    return list(csv.DictReader(io.StringIO(content.decode("iso-8859-1")), delimiter="\t"))
