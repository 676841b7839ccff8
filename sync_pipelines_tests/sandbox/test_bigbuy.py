"""BigBuy's look-alike behaves as the facts say."""

from __future__ import annotations

import httpx
import pytest

from sync_pipelines.sandbox.bigbuy import app as bigbuy
from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines_tests.sandboxes import RunningSandbox

START = 1_800_000_000.9


@pytest.fixture
def supplier() -> RunningSandbox:
    return RunningSandbox("bigbuy", bigbuy.create_app(clock=Clock(START)))


@pytest.fixture
def api(supplier: RunningSandbox) -> httpx.Client:
    return httpx.Client(base_url=f"{supplier.base_url}/rest", headers={"Authorization": "Bearer sandbox-key"})


def rows(api: httpx.Client, name: str, **query: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = api.get(f"/catalog/{name}.json", params={"parentTaxonomy": 19653, **query}).json()
    return found


def test_a_window_opens_with_the_first_call_and_closes_to_the_second(api: httpx.Client, supplier: RunningSandbox) -> None:
    path = "/catalog/products.json?parentTaxonomy=19653&pageSize=1"
    first = api.get(path)
    assert first.headers["x-ratelimit-limit"] == "10"
    assert first.headers["x-ratelimit-remaining"] == "9"
    assert first.headers["x-ratelimit-reset"] == str(int(START) + 3600)
    for _ in range(9):
        assert api.get(path).status_code == 200
    refused = api.get(path)
    assert (refused.status_code, refused.text) == (429, "You exceeded the rate limit")
    assert refused.headers["content-type"].startswith("text/plain")
    assert "retry-after" not in refused.headers
    supplier.control.clock(advance=3600)
    assert api.get(path).headers["x-ratelimit-remaining"] == "9"


def test_lists_need_a_taxonomy_and_a_refused_call_is_not_counted(api: httpx.Client) -> None:
    refused = api.get("/catalog/products.json")
    assert (refused.status_code, refused.json()) == (400, {"code": 400, "message": "Bad request"})
    assert api.get("/catalog/products.json?parentTaxonomy=19653").headers["x-ratelimit-remaining"] == "9"


def test_each_list_has_an_order_of_its_own_and_the_same_products(api: httpx.Client) -> None:
    lists = [[row["id"] for row in rows(api, name)] for name in ("products", "productsinformation", "productsstockbyhandlingdays")]
    assert len({tuple(ids) for ids in lists}) == 3
    assert len({frozenset(ids) for ids in lists}) == 1


def test_a_withdrawn_product_moves_the_others_up(api: httpx.Client, supplier: RunningSandbox) -> None:
    first = rows(api, "products", pageSize=10, page=0)
    following = rows(api, "products", pageSize=10, page=1)
    supplier.control.post("withdraw", ids=[first[0]["id"]])
    assert rows(api, "products", pageSize=10, page=1)[:9] == following[1:]


def test_errors_have_the_shapes_that_were_seen(api: httpx.Client, supplier: RunningSandbox) -> None:
    wrong = httpx.get(f"{supplier.base_url}/rest/user/purse.json", headers={"Authorization": "Bearer other"})
    assert (wrong.status_code, wrong.json()) == (401, {"message": "Invalid Token"})
    assert api.get("/order/reference/none.json").json() == {"code": 404, "message": "No order found with refOrder: none"}
    missing = api.get("/order/99.json")
    assert (missing.status_code, missing.content) == (200, b"")
    assert api.get("/catalog/productsstock.json?parentTaxonomy=19653").status_code == 404
    assert api.get("/user/purse.json").json() == "10000.00"


def test_lists_are_empty_for_as_long_as_asked(api: httpx.Client, supplier: RunningSandbox) -> None:
    supplier.control.post("empty", lists=["products"], seconds=60)
    assert rows(api, "products") == []
    supplier.control.clock(advance=61)
    assert rows(api, "products") != []


def test_many_orders_are_tracked_with_gaps(api: httpx.Client, supplier: RunningSandbox) -> None:
    moving = supplier.control.post("orders", reference="A", lines=[], parcels=[{"number": "T1"}])["id"]
    waiting = supplier.control.post("orders", reference="B", lines=[])["id"]
    body = {"track": {"orders": [{"id": moving}, {"id": waiting}, {"id": 1}]}}
    found = api.post("/tracking/orders.json", json=body).json()
    assert [item and item["id"] for item in found] == [str(moving), None]


def test_the_full_catalogue_has_the_size_that_is_promised() -> None:
    world = bigbuy.create_app(size="full").state.world
    assert len(world.groups) == 22
    assert sum(len(units) for units in world._variations.values()) == 160_000
    assert sum(len(indexes) for indexes in world._ranges.values()) == 100_000
