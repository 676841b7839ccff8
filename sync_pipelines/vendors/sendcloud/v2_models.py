"""What we read of SendCloud's V2 parcels and imported orders; everything else stays in the raw record."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from sync_pipelines.vendors.sendcloud.fields import (
    Absent,
    Instant,
    Listing,
    Moment,
    Name,
    Number,
    Payload,
    Text,
    V2Instant,
    V2Moment,
)


class NumberedStatus(Payload):
    """A V2 parcel status."""

    id: int
    message: Text = None


class Country(Payload):
    """A V2 country."""

    iso_2: Text = None


class CarrierCode(Payload):
    """A V2 carrier."""

    code: Text = None


class ShippingMethodName(Payload):
    """The V2 shipping method of a parcel; its id is volatile (facts §6.1)."""

    id: int
    name: Text = None


class LabelLinks(Payload):
    """V2 label addresses; either kind may be missing."""

    normal_printer: Annotated[list[str], Listing] = Field(default_factory=list)
    label_printer: Text = None

    @property
    def url(self) -> str | None:
        """The A6 label, or else the first position on A4."""
        return self.label_printer or (self.normal_printer[0] if self.normal_printer else None)


class V2ParcelItem(Payload):
    """One line of a V2 parcel: value and weight of one piece, as text; no EAN. ``item_id`` comes with the detail call only."""

    item_id: Text = None
    product_id: Text = None
    sku: Text = None
    description: str = ""
    quantity: int
    value: Number = None
    weight: Number = None
    hs_code: Text = None
    origin_country: Text = None


class V2Parcel(Payload):
    """A V2 parcel as lists, details and webhooks show it."""

    id: int
    order_number: Text = None
    status: NumberedStatus
    tracking_number: Text = None
    tracking_url: Text = None
    carrier: Annotated[CarrierCode | None, Absent] = None
    shipment: Annotated[ShippingMethodName | None, Absent] = None
    shipping_method_checkout_name: Text = None
    contract: int | None = None
    date_created: V2Moment
    date_updated: V2Instant = None
    date_announced: V2Instant = None
    weight: Number = None
    total_order_value: Number = None
    total_order_value_currency: Text = None
    reference: Text = None
    external_reference: Text = None
    external_order_id: Text = None
    external_shipment_id: Text = None
    shipment_uuid: Text = None
    parcel_items: Annotated[list[V2ParcelItem], Listing] = Field(default_factory=list)
    label: Annotated[LabelLinks | None, Absent] = None
    country: Annotated[Country | None, Absent] = None
    is_return: bool = False
    collo_nr: int | None = None
    collo_count: int | None = None

    @property
    def label_url(self) -> str | None:
        """Where the label is, if there is one."""
        return self.label.url if self.label else None


class V2OrderBlob(Payload):
    """An imported order as ``GET /v2/integrations/{id}/shipments`` shows it: V2's link from shop order to ``shipment_uuid``."""

    external_order_id: Name
    external_shipment_id: Text = None
    order_number: Name
    integration: int | None = None
    shipment_uuid: Text = None
    order_status: Annotated[dict[str, Any] | None, Absent] = None
    created_at: Moment
    updated_at: Instant = None
    shipment_created_at: Instant = None
    shipment_updated_at: Instant = None
    currency: Text = None
    total_order_value: Number = None
    shipping_method_checkout_name: Text = None
    parcel_items: Annotated[list[V2ParcelItem], Listing] = Field(default_factory=list)
