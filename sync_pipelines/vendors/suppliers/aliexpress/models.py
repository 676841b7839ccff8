"""AliExpress' payloads (``apis/aliexpress/facts.md`` 6). Numbers and booleans may come as text; lists come in several shapes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sync_pipelines.vendors.suppliers.aliexpress.envelopes import items

Text = Annotated[str, BeforeValidator(str)]
Money = Annotated[Decimal, BeforeValidator(lambda value: Decimal(str(value)))]
Flag = Annotated[bool, BeforeValidator(lambda value: str(value).lower() == "true")]


def listed(value: Any) -> list[Any]:
    """See `envelopes.items`."""
    return items(value)


class Payload(BaseModel):
    """Lenient about what is added, strict about what we rely on."""

    model_config = ConfigDict(extra="ignore")


class BaseInfo(Payload):
    """``ae_item_base_info_dto``. Its currency is the seller's, not the one asked for."""

    product_id: Text
    subject: str
    category_id: Text | None = None
    status: str | None = Field(default=None, alias="product_status_type")
    rating: Decimal | None = Field(default=None, alias="avg_evaluation_rating")
    rating_count: int | None = Field(default=None, alias="evaluation_count")
    sold: str | None = Field(default=None, alias="sales_count")
    detail: str | None = None


class Property(Payload):
    """One property that tells SKUs apart."""

    name: str = Field(alias="sku_property_name")
    value: str = Field(alias="sku_property_value")


class Sku(Payload):
    """One element of ``ae_item_sku_info_dtos``; ``currency_code`` is the currency of its prices."""

    sku_id: Text
    sku_attr: str | None = None
    sale_price: Money = Field(alias="offer_sale_price")
    list_price: Money | None = Field(default=None, alias="sku_price")
    currency: str = Field(alias="currency_code")
    stock: int = Field(alias="sku_available_stock")
    includes_tax: Flag = Field(default=False, alias="price_include_tax")
    ean: str | None = Field(default=None, alias="ean_code")
    properties: Annotated[list[Property], BeforeValidator(listed)] = Field(default=[], alias="ae_sku_property_dtos")


class Multimedia(Payload):
    """``ae_multimedia_info_dto``."""

    image_urls: str = ""


class Package(Payload):
    """``package_info_dto``."""

    gross_weight: Decimal | None = None


class Product(Payload):
    """The ``result`` of ``aliexpress.ds.product.get``."""

    base: BaseInfo = Field(alias="ae_item_base_info_dto")
    skus: Annotated[list[Any], BeforeValidator(listed)] = Field(default=[], alias="ae_item_sku_info_dtos")
    media: Multimedia = Field(default=Multimedia(), alias="ae_multimedia_info_dto")
    package: Package = Field(default=Package(), alias="package_info_dto")


class Amount(Payload):
    """Money as an object of two texts."""

    amount: Money
    currency: str = Field(alias="currency_code")


class OrderLine(Payload):
    """An element of ``child_order_list``; a cancelled line says so only here."""

    product_id: Text
    sku_id: Text | None = None
    count: int = Field(default=1, alias="product_count")
    price: Amount | None = Field(default=None, alias="product_price")
    end_reason: str | None = None


class Shipment(Payload):
    """An element of ``logistics_info_list``; the number may be provisional."""

    number: Text = Field(alias="logistics_no")
    service: str | None = Field(default=None, alias="logistics_service")


class Order(Payload):
    """The ``result`` of ``aliexpress.trade.ds.order.get``."""

    status: str = Field(alias="order_status")
    logistics_status: str | None = None
    created: str | None = Field(default=None, alias="gmt_create")
    total: Amount | None = Field(default=None, alias="user_order_amount")
    lines: Annotated[list[OrderLine], BeforeValidator(listed)] = Field(default=[], alias="child_order_list")
    shipments: Annotated[list[Shipment], BeforeValidator(listed)] = Field(default=[], alias="logistics_info_list")


class Node(Payload):
    """One event of a parcel; epoch milliseconds."""

    at: int = Field(alias="time_stamp")
    name: str | None = Field(default=None, alias="tracking_name")
    detail: str | None = Field(default=None, alias="tracking_detail_desc")


class Parcel(Payload):
    """An element of ``tracking_detail_line_list``; newest node first."""

    number: Text = Field(alias="mail_no")
    carrier: str | None = Field(default=None, alias="carrier_name")
    nodes: Annotated[list[Node], BeforeValidator(listed)] = Field(default=[], alias="detail_node_list")


class TrackingData(Payload):
    """``data`` of a tracking answer."""

    parcels: Annotated[list[Parcel], BeforeValidator(listed)] = Field(default=[], alias="tracking_detail_line_list")
