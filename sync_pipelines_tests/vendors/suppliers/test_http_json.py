"""The worked example of a connector does what the large ones do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.vendors.suppliers import http_json
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.suppliers.desk import Desk


@pytest.fixture
def example(database: Database, sandbox: Callable[..., RunningSandbox]) -> Desk:
    return Desk("http_json", database, sandbox("http_json"))


def test_products_stock_and_prices_arrive(example: Desk) -> None:
    example.sync("products", "stock", "prices")
    truth = example.sandbox.control.truth()
    assert example.column("SELECT supplier_product_id, name FROM suppliers.products") == truth["products"]
    assert example.stock() == truth["stock"]
    assert {sku: str(cost) for sku, cost in example.column("SELECT supplier_sku, cost FROM suppliers.prices").items()} == truth[
        "prices"
    ]


def test_an_sku_that_leaves_the_file_ages_and_is_buried(example: Desk) -> None:
    example.sync("products", "stock")
    example.sandbox.control.post("withdraw", skus=["H0003"])
    example.sync("stock")
    assert "H0003" in example.stock()
    example.sync("stock")
    assert example.stock() == example.sandbox.control.truth(stream="stock")


def test_it_is_no_longer_than_150_lines() -> None:
    folder = Path(http_json.__file__).parent
    assert sum(len(path.read_text().splitlines()) for path in folder.glob("*.py")) <= 150
