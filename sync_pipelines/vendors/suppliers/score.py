"""The product performance score: how good a product has been to sell lately, 0 to 100, with everything that made it so.

Five parts, each 0 to 1 (or nothing, where there are no data), weighted as in `WEIGHTS`:

``margin``      (net selling price - cost) / net selling price of its best SKU; 0.5 and more is 1.
``stock``       share of its SKUs in stock, divided by 1 + sell-outs per SKU in the last 30 days.
``stability``   1 - coefficient of variation of its costs in the last 30 days / 0.25.
``velocity``    v / (v + 0.5), v being pieces sold a day in the last 30 days (orders of SendCloud and Amazon that were not
                cancelled, by SKU or EAN).
``rating``      (the supplier's rating - 3) / 2.

The score is the weighted mean of the parts that have data; ``quality`` is their share of the weight. The inputs are stored
beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from psycopg import Connection

from sync_pipelines.core.db import Database
from sync_pipelines.core.jsons import encode_json

WEIGHTS = {"margin": 30, "stock": 25, "stability": 15, "velocity": 20, "rating": 10}
DAYS = 30
FULL_MARGIN, TOLERATED_VARIATION, HALF_VELOCITY = 0.5, 0.25, 0.5

INPUTS = ("margin", "skus", "skus_in_stock", "sell_outs", "cost_variation", "sold_per_day", "rating")

SALES = {
    "sendcloud.order_items": "SELECT i.sku, i.ean, i.quantity FROM sendcloud.order_items i JOIN sendcloud.orders o"
    " USING (account, order_id, integration_id) WHERE i.deleted_at IS NULL AND o.deleted_at IS NULL"
    " AND o.order_wms_status IS DISTINCT FROM 'cancelled'"
    " AND coalesce(o.order_created_at, o.version) > suppliers.now() - make_interval(days => %s)",
    "amazon.order_items": "SELECT i.sku, NULL AS ean, i.quantity FROM amazon.order_items i JOIN amazon.orders o"
    " USING (account, order_id) WHERE i.deleted_at IS NULL AND o.deleted_at IS NULL AND o.status IS DISTINCT FROM 'CANCELLED'"
    " AND o.purchased_at > suppliers.now() - make_interval(days => %s)",
}
"""Where pieces sold are found, if that vendor is installed."""


def score(inputs: pd.DataFrame) -> pd.DataFrame:
    """Scores products.

    Args:
        inputs: One row a product, columns `INPUTS`; missing values where there are no data.

    Returns:
        The parts, ``score`` and ``quality``, with the same index.
    """
    numbers = inputs.reindex(columns=list(INPUTS)).astype(float)
    parts = pd.DataFrame(
        {
            "margin": numbers["margin"] / FULL_MARGIN,
            "stock": (numbers["skus_in_stock"] / numbers["skus"]) / (1 + numbers["sell_outs"].fillna(0) / numbers["skus"]),
            "stability": 1 - numbers["cost_variation"] / TOLERATED_VARIATION,
            "velocity": numbers["sold_per_day"] / (numbers["sold_per_day"] + HALF_VELOCITY),
            "rating": (numbers["rating"] - 3) / 2,
        },
        index=inputs.index,
    ).clip(0, 1)
    weights = pd.Series(WEIGHTS, dtype=float)
    available = parts.notna().mul(weights).sum(axis=1)
    parts["score"] = (
        (100 * parts[list(WEIGHTS)].fillna(0).mul(weights).sum(axis=1) / available.replace(0, np.nan)).fillna(0).round(1)
    )
    parts["quality"] = (available / weights.sum()).round(2)
    return parts


def update(database: Database, account: str) -> int:
    """Scores all living products of an account anew; returns how many."""
    with database.transaction() as connection:
        inputs = read_inputs(connection, account)
        scored = score(inputs)
        names = list(WEIGHTS)
        row = connection.execute("SELECT suppliers.now()").fetchone()
        at = row[0] if row else None
        connection.execute("DELETE FROM suppliers.product_scores WHERE account = %s", [account])
        with connection.cursor().copy(
            "COPY suppliers.product_scores (account, supplier_product_id, score, quality, parts, inputs, scored_at) FROM STDIN"
        ) as copy:
            for product, part, known in zip(scored.index, scored.to_dict("records"), inputs.to_dict("records"), strict=True):
                copy.write_row(
                    (
                        account,
                        product,
                        part["score"],
                        part["quality"],
                        encode_json({name: _number(part[name], 3) for name in names}).decode(),
                        encode_json({str(name): _number(value, 4) for name, value in known.items()}).decode(),
                        at,
                    )
                )
    return len(scored)


def read_inputs(connection: Connection[Any], account: str) -> pd.DataFrame:
    """The inputs of `score` for the living products of an account, indexed by product id."""
    offers = _frame(
        connection,
        "SELECT supplier_product_id AS product, supplier_sku AS sku, o.ean, availability = 'in_stock' AS is_in_stock,"
        " (selling_price / CASE WHEN selling_price_has_vat THEN 1 + coalesce(p.vat_rate, 20) / 100 ELSE 1 END)::float8 AS net,"
        " cost::float8 AS cost FROM suppliers.offers o JOIN suppliers.products p USING (account, supplier_product_id)"
        " WHERE o.account = %s AND p.deleted_at IS NULL AND availability <> 'gone'",
        [account],
    )
    products = _frame(
        connection,
        "SELECT supplier_product_id AS product, rating::float8 AS rating FROM suppliers.products"
        " WHERE account = %s AND deleted_at IS NULL",
        [account],
    ).set_index("product")
    if offers.empty:
        return products.reindex(columns=list(INPUTS))
    sell_outs = _frame(
        connection,
        "SELECT supplier_sku AS sku, count(*) FILTER (WHERE quantity = 0 AND before > 0) AS sell_outs FROM ("
        " SELECT supplier_sku, quantity, changed_at, lag(quantity) OVER (PARTITION BY supplier_sku ORDER BY id) AS before"
        " FROM suppliers.stock_history WHERE account = %s) h"
        " WHERE changed_at > suppliers.now() - make_interval(days => %s) GROUP BY 1",
        [account, DAYS],
    )
    variation = _frame(
        connection,
        "SELECT supplier_sku AS sku, (coalesce(stddev_pop(cost), 0) / nullif(avg(cost), 0))::float8 AS variation"
        " FROM suppliers.price_history WHERE account = %s AND changed_at > suppliers.now() - make_interval(days => %s) GROUP BY 1",
        [account, DAYS],
    )
    offers = offers.merge(sell_outs, on="sku", how="left").merge(variation, on="sku", how="left")
    offers["margin"] = (offers["net"] - offers["cost"]) / offers["net"]
    by_product = offers.groupby("product").agg(
        margin=("margin", "max"),
        skus=("sku", "count"),
        skus_in_stock=("is_in_stock", "sum"),
        sell_outs=("sell_outs", "sum"),
        cost_variation=("variation", "max"),
    )
    return products.join(by_product).join(_sold(connection, offers)).reindex(columns=list(INPUTS))


def _sold(connection: Connection[Any], offers: pd.DataFrame) -> pd.Series[float]:
    """Pieces a day by product; nothing at all (not zero) where no vendor's orders are at hand."""
    frames = []
    for table, query in SALES.items():
        exists = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
        if exists and exists[0]:
            frames.append(_frame(connection, query, [DAYS]))
    sales = pd.concat(frames) if frames else pd.DataFrame(columns=["sku", "ean", "quantity"])
    products = pd.Index(offers["product"].unique(), name="product")
    if sales.empty:
        return pd.Series(np.nan, index=products, name="sold_per_day")
    owners = pd.concat(
        [
            offers[["sku", "product"]].rename(columns={"sku": "code"}),
            offers[["ean", "product"]].rename(columns={"ean": "code"}).dropna(),
        ]
    ).drop_duplicates("code")
    codes = sales["sku"].where(sales["sku"].isin(owners["code"]), sales["ean"])
    sold = pd.DataFrame({"code": codes, "quantity": sales["quantity"].astype(float)}).merge(owners, on="code")
    return (sold.groupby("product")["quantity"].sum() / DAYS).reindex(products, fill_value=0.0).rename("sold_per_day")


def _frame(connection: Connection[Any], query: Any, parameters: list[Any]) -> pd.DataFrame:
    cursor = connection.execute(query, parameters)
    names = [column.name for column in cursor.description or ()]
    return pd.DataFrame(cursor.fetchall(), columns=names)


def _number(value: Any, digits: int) -> float | None:
    return None if value is None or pd.isna(value) else round(float(value), digits)
