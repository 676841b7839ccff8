"""Rows of the suppliers' tables from a supplier's facts: one builder a table, so that every supplier fills the same columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.upsert import Record

PRODUCT, VARIANT = "product", "variant"
"""What a SKU stands for: a product without variants (or the sum of its variants), or one variant."""


def product(product_id: str, *, raw: bytes, at: datetime, **columns: Any) -> Record:
    """A row of ``suppliers.products``."""
    return Record((product_id,), at, columns, raw)


def information(
    product_id: str, language: str, *, raw: bytes, at: datetime, name: str, description: str | None, **more: Any
) -> Record:
    """A row of ``suppliers.product_information``."""
    return Record((product_id, language), at, {"name": name, "description": description, **more}, raw)


def images(product_id: str, urls: list[str], *, raw: bytes, at: datetime, cover: str | None = None) -> Record:
    """A row of ``suppliers.product_images``; the first image is the cover unless one is named."""
    columns = {"cover_url": cover or (urls[0] if urls else None), "image_count": len(urls), "urls": urls}
    return Record((product_id,), at, columns, raw)


def variant(product_id: str, variant_id: str, *, raw: bytes, at: datetime, sku: str, **columns: Any) -> Record:
    """A row of ``suppliers.variants``."""
    return Record((product_id, variant_id), at, {"sku": sku, **columns}, raw)


def stock(
    sku: str,
    *,
    raw: bytes,
    at: datetime,
    kind: str,
    product_id: str | None,
    variant_id: str | None,
    rows: Sequence[Mapping[str, int]],
    scope: str,
) -> Record:
    """A row of ``suppliers.stock``.

    Args:
        sku: What one orders by.
        raw: JSON text of the supplier's object.
        at: Read time.
        kind: `PRODUCT` or `VARIANT`.
        product_id: The product, if the supplier's row names it.
        variant_id: The variant, if it is one.
        rows: ``quantity``, ``min_days``, ``max_days``, ``warehouse`` for each handling time.
        scope: The part of the list it was read from.
    """
    columns = {
        "item_kind": kind,
        "supplier_product_id": product_id,
        "supplier_variant_id": variant_id,
        "quantity": sum(row["quantity"] for row in rows),
        "handling": [dict(row) for row in rows],
        "scope": scope,
    }
    return Record((sku,), at, columns, raw)


def price(
    sku: str,
    *,
    raw: bytes,
    at: datetime,
    kind: str,
    product_id: str | None,
    variant_id: str | None,
    cost: Decimal,
    currency: str,
    scope: str,
    recommended: Decimal | None = None,
    includes_tax: bool = False,
) -> Record:
    """A row of ``suppliers.prices``; ``cost`` is what one unit costs us, in major units of ``currency``."""
    columns = {
        "item_kind": kind,
        "supplier_product_id": product_id,
        "supplier_variant_id": variant_id,
        "cost": cost,
        "currency": currency,
        "recommended_price": recommended,
        "cost_includes_tax": includes_tax,
        "scope": scope,
    }
    return Record((sku,), at, columns, raw)
