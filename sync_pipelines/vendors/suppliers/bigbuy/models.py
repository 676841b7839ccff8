"""BigBuy's payloads (``apis/bigbuy/facts.md`` 5 and 7). Numbers may come as text; what we do not use stays in ``raw``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Text = Annotated[str, BeforeValidator(str)]
"""An id that comes as a number or as text."""
Flag = Annotated[bool, BeforeValidator(lambda value: str(value).lower() in {"true", "1"})]
"""A boolean that may be the text ``TRUE``."""
Money = Annotated[Decimal, BeforeValidator(lambda value: Decimal(str(value)))]


class Payload(BaseModel):
    """Lenient about what is added, strict about what we rely on."""

    model_config = ConfigDict(extra="ignore")


class Prices(Payload):
    """The prices that several lists carry; EUR."""

    wholesale: Money = Field(alias="wholesalePrice")
    retail: Money | None = Field(default=None, alias="retailPrice")


class Product(Prices):
    """A row of ``products``."""

    id: Text
    sku: str
    ean13: str | None = None
    manufacturer: Text | None = None
    taxonomy: Text | None = None
    tax_rate: Decimal | None = Field(default=None, alias="taxRate")
    weight: Decimal | None = None
    condition: str | None = None
    active: Flag = True
    updated: str | None = Field(default=None, alias="dateUpd")


class Information(Payload):
    """A row of ``productsinformation``."""

    id: Text
    name: str
    description: str | None = None
    url: str | None = None
    language: str = Field(alias="isoCode")


class Image(Payload):
    """One image of a product."""

    url: str
    is_cover: Flag = Field(default=False, alias="isCover")


class Images(Payload):
    """A row of ``productsimages``."""

    id: Text
    images: list[Image] = []


class ProductVariation(Prices):
    """A row of ``productsvariations``."""

    id: Text
    sku: str
    ean13: str | None = None
    product: Text


class VariationAttributes(Payload):
    """A row of ``variations``."""

    id: Text
    attributes: list[dict[str, Any]] = []


class PriceRow(Prices):
    """A row of ``productprices`` or ``productvariationprices``."""

    id: Text
    sku: str


class HandlingRow(Payload):
    """Units that leave within so many days from one warehouse."""

    quantity: int
    min_days: int = Field(default=0, alias="minHandlingDays")
    max_days: int = Field(default=0, alias="maxHandlingDays")
    warehouse: int = 0


class StockRow(Payload):
    """A row of either stock list."""

    id: Text
    sku: str
    stocks: list[HandlingRow] = []


class Taxonomy(Payload):
    """A row of ``taxonomies``; parent ``0`` is the top."""

    id: Text
    name: str
    parent: Text = Field(alias="parentTaxonomy")
    language: str = Field(default="", alias="isoCode")


class Manufacturer(Payload):
    """A row of ``manufacturers``."""

    id: Text
    name: str


class Attribute(Payload):
    """A row of ``attributes`` or, without a group, of ``attributegroups``."""

    id: Text
    name: str
    group: Text | None = Field(default=None, alias="attributeGroup")
    language: str = Field(default="", alias="isoCode")


class OrderLine(Payload):
    """A line of an order."""

    id: Text
    reference: str
    quantity: int
    price: Money | None = Field(default=None, alias="priceTaxExcl")


class Order(Payload):
    """``order/{id}``."""

    id: Text
    reference: str | None = Field(default=None, alias="internalReference")
    status: str
    placed: str | None = Field(default=None, alias="dateAdd")
    total: Money | None = Field(default=None, alias="totalPaidTaxIncl")
    products: list[OrderLine] = []


class Carrier(Payload):
    """A carrier, by id only."""

    id: Text


class Parcel(Payload):
    """One parcel's latest state."""

    number: str = Field(alias="trackingNumber")
    status: str | None = Field(default=None, alias="statusDescription")
    at: str | None = Field(default=None, alias="statusDate")
    carrier: Carrier | None = None


class Tracking(Payload):
    """An element of ``tracking/orders``."""

    id: Text
    trackings: list[Parcel] = []
