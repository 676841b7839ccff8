"""The declaration: what each list means, and which kind of sync brings which table up to date."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import msgspec

from sync_pipelines.core.http import HeaderKey, HttpClient
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.upsert import Record
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers import facts
from sync_pipelines.vendors.suppliers.connector import Connector, Feed, Kind, Origin
from sync_pipelines.vendors.suppliers.http_json import models
from sync_pipelines.vendors.suppliers.http_json.client import HttpJsonClient


def items(body: bytes) -> Sequence[bytes]:
    """The products of a page."""
    return [encode_json(item) for item in decode_json(body)["items"]]


def lines(body: bytes) -> Sequence[bytes]:
    """The lines of a CSV file as JSON objects."""
    return [msgspec.json.encode(line) for line in csv.DictReader(io.StringIO(body.decode("utf-8-sig")), delimiter=";")]


def product(raw: bytes, origin: Origin) -> Record:
    """A product, with its name in the one language the supplier has."""
    row = models.Product.model_validate_json(raw)
    record = facts.product(row.sku, raw=raw, at=origin.received_at, sku=row.sku, ean=row.ean, scope=origin.scope, status="active")
    record.extra = {
        "product_information": [
            facts.information(
                row.sku, origin.settings.language, raw=raw, at=origin.received_at, name=row.name, description=row.text
            )
        ]
    }
    return record


def stock(raw: bytes, origin: Origin) -> Record:
    """A line of ``stock.csv``."""
    row = models.StockLine.model_validate_json(raw)
    rows = [{"quantity": row.quantity, "min_days": 0, "max_days": row.days, "warehouse": 0}]
    return facts.stock(row.sku, raw=raw, at=origin.received_at, kind=facts.PRODUCT, product_id=row.sku, variant_id=None, rows=rows,
                       scope=origin.scope)  # fmt: skip


def price(raw: bytes, origin: Origin) -> Record:
    """A line of ``prices.csv``."""
    row = models.PriceLine.model_validate_json(raw)
    return facts.price(row.sku, raw=raw, at=origin.received_at, kind=facts.PRODUCT, product_id=row.sku, variant_id=None,
                       cost=row.price, currency=origin.settings.currency, scope=origin.scope)  # fmt: skip


def connect(context: AccountContext) -> HttpJsonClient:
    """Opens the client of an account."""
    auth = HeaderKey("X-Api-Key", context.credentials["api_key"])
    return HttpJsonClient(HttpClient(account=context.id, base_url=context.base_url, auth=auth), try_feed="products.json")


CONNECTOR = Connector(
    name="http_json",
    open=connect,
    feeds=(
        Feed("products.json", "products", items, product, is_divided=False),
        Feed("stock.csv", "stock", lines, stock, is_divided=False),
        Feed("prices.csv", "prices", lines, price, is_divided=False),
    ),
    kinds={Kind.INVENTORY_UPDATE: ("stock",), Kind.PRICE_UPDATE: ("prices",), Kind.SUPPLIER_API: ("products",)},
)
