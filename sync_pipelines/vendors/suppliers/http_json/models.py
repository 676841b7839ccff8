"""The supplier's rows."""

from decimal import Decimal

from pydantic import BaseModel, NonNegativeInt


class Product(BaseModel):
    """An item of ``products.json``."""

    sku: str
    name: str
    ean: str | None = None
    text: str | None = None


class StockLine(BaseModel):
    """A line of ``stock.csv``; ``days`` until it leaves."""

    sku: str
    quantity: NonNegativeInt
    days: NonNegativeInt = 0


class PriceLine(BaseModel):
    """A line of ``prices.csv``, without VAT."""

    sku: str
    price: Decimal
