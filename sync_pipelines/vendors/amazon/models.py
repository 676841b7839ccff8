"""Amazon's order payloads, version v0 and 2026-01-01, as far as they are mapped (facts §4.3 and §5.3).

Amounts are decimal text at Amazon and `Decimal` here. Vocabularies are open: an unknown word is kept. Fields that are not mapped
are ignored here and stay in ``raw``.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel, to_pascal


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Pascal(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, extra="ignore", frozen=True)


# -- version 2026-01-01 -----------------------------------------------------------------------------------------------------


class Money(_Camel):
    """An amount with its ISO 4217 currency."""

    amount: Decimal
    currency_code: str


class DateTimeRange(_Camel):
    """Two instants."""

    earliest_date_time: AwareDatetime | None = None
    latest_date_time: AwareDatetime | None = None


class SalesChannel(_Camel):
    """Where the order was placed."""

    channel_name: str
    marketplace_id: str | None = None
    marketplace_name: str | None = None


class Buyer(_Camel):
    """Personal data."""

    buyer_name: str | None = None
    buyer_email: str | None = None


class CustomerAddress(_Camel):
    """Personal data."""

    name: str | None = None
    address_line1: str | None = Field(default=None, alias="addressLine1")
    address_line2: str | None = Field(default=None, alias="addressLine2")
    address_line3: str | None = Field(default=None, alias="addressLine3")
    city: str | None = None
    state_or_region: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    phone: str | None = None


class Recipient(_Camel):
    """Personal data."""

    delivery_address: CustomerAddress | None = None


class OrderProceeds(_Camel):
    """Totals; only with ``includedData=PROCEEDS``."""

    grand_total: Money | None = None


class OrderFulfillment(_Camel):
    """Status and windows; only with ``includedData=FULFILLMENT``."""

    fulfillment_status: str
    fulfilled_by: str | None = None
    ship_by_window: DateTimeRange | None = None


class DetailedBreakdown(_Camel):
    """Part of a TAX or DISCOUNT subtotal."""

    subtype: str | None = None
    value: Money | None = None


class Breakdown(_Camel):
    """One kind of money of a line."""

    type: str
    subtotal: Money
    detailed_breakdowns: tuple[DetailedBreakdown, ...] = ()


class ItemProceeds(_Camel):
    """Money of a line."""

    breakdowns: tuple[Breakdown, ...] = ()


class ItemProduct(_Camel):
    """What was sold."""

    asin: str | None = None
    title: str | None = None
    seller_sku: str | None = None


class ItemFulfillment(_Camel):
    """Pieces sent and still to send."""

    quantity_fulfilled: int | None = None
    quantity_unfulfilled: int | None = None


class OrderItem(_Camel):
    """A line."""

    order_item_id: str
    quantity_ordered: int
    product: ItemProduct
    proceeds: ItemProceeds | None = None
    fulfillment: ItemFulfillment | None = None


class Order(_Camel):
    """An order with its lines."""

    order_id: str
    created_time: AwareDatetime
    last_updated_time: AwareDatetime
    sales_channel: SalesChannel
    order_items: tuple[OrderItem, ...]
    buyer: Buyer | None = None
    recipient: Recipient | None = None
    proceeds: OrderProceeds | None = None
    fulfillment: OrderFulfillment | None = None


# -- version v0 ---------------------------------------------------------------------------------------------------------------


class MoneyV0(_Pascal):
    """An amount with its ISO 4217 currency; both may be missing."""

    amount: Decimal | None = None
    currency_code: str | None = None


class BuyerInfoV0(_Pascal):
    """Personal data."""

    buyer_name: str | None = None
    buyer_email: str | None = None


class AddressV0(_Pascal):
    """Personal data."""

    name: str | None = None
    address_line1: str | None = Field(default=None, alias="AddressLine1")
    address_line2: str | None = Field(default=None, alias="AddressLine2")
    address_line3: str | None = Field(default=None, alias="AddressLine3")
    city: str | None = None
    state_or_region: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    phone: str | None = None


class OrderItemV0(_Pascal):
    """A line; without any money while the order is pending."""

    order_item_id: str
    asin: str = Field(alias="ASIN")
    seller_sku: str | None = Field(default=None, alias="SellerSKU")
    title: str | None = None
    quantity_ordered: int
    quantity_shipped: int | None = None
    item_price: MoneyV0 | None = None
    item_tax: MoneyV0 | None = None
    shipping_price: MoneyV0 | None = None
    promotion_discount: MoneyV0 | None = None


class OrderV0(_Pascal):
    """An order; ``OrderItems`` is where we put the lines read by ``getOrderItems``."""

    amazon_order_id: str
    purchase_date: datetime
    last_update_date: datetime
    order_status: str
    fulfillment_channel: str | None = None
    sales_channel: str | None = None
    marketplace_id: str | None = None
    order_total: MoneyV0 | None = None
    number_of_items_shipped: int | None = None
    number_of_items_unshipped: int | None = None
    latest_ship_date: datetime | None = None
    buyer_info: BuyerInfoV0 | None = None
    shipping_address: AddressV0 | None = None
    order_items: tuple[OrderItemV0, ...] = ()
