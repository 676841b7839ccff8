"""What we read of SendCloud's V3 orders, shipments and events; everything else stays in the raw record. V2: `v2_models`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from sync_pipelines.vendors.sendcloud.fields import (
    Absent,
    EpochMs,
    Instant,
    Listing,
    Moment,
    Name,
    OptionalEpochMs,
    Payload,
    Price,
    Text,
    Weight,
)
from sync_pipelines.vendors.sendcloud.v2_models import V2Parcel


class CodedStatus(Payload):
    """A V3 status: an open vocabulary."""

    code: Name
    message: Text = None


class Reference(Payload):
    """An object of which only the id matters."""

    id: int


class Address(Payload):
    """A V3 postal address."""

    name: Text = None
    company_name: Text = None
    address_line_1: Text = None
    house_number: Text = None
    address_line_2: Text = None
    postal_code: Text = None
    city: Text = None
    po_box: Text = None
    state_province_code: Text = None
    country_code: Text = None
    email: Text = None
    phone_number: Text = None


class ShippingOptionChoice(Payload):
    """The properties of ``ship_with``."""

    shipping_option_code: Text = None
    contract_id: int | None = None


class ShipWith(Payload):
    """How something is, or is to be, shipped."""

    type: Text = None
    properties: Annotated[ShippingOptionChoice | None, Absent] = None

    @property
    def option(self) -> str | None:
        """The shipping option's code."""
        return self.properties.shipping_option_code if self.properties else None


class Measurement(Payload):
    """Of a whole order or of one piece of an item."""

    weight: Annotated[Weight | None, Absent] = None

    @property
    def kilograms(self) -> Decimal | None:
        """The weight in kilograms, if known."""
        return self.weight.kilograms if self.weight else None


# -- V3 orders ------------------------------------------------------------------------------------------------------------------


class OrderItem(Payload):
    """One line of an order. ``total_price`` is required by the vendor, everything else but name and quantity may be missing."""

    item_id: Text = None
    product_id: Text = None
    variant_id: Text = None
    image_url: Text = None
    name: str
    description: Text = None
    quantity: int
    sku: Text = None
    ean: Text = None
    hs_code: Text = None
    country_of_origin: Text = None
    unit_price: Annotated[Price | None, Absent] = None
    total_price: Annotated[Price | None, Absent] = None
    measurement: Annotated[Measurement | None, Absent] = None
    mid_code: Text = None
    material_content: Text = None
    intended_use: Text = None


class OrderDetails(Payload):
    """The shop's side of an order; its times are the shop's."""

    integration: Reference
    status: CodedStatus
    order_created_at: Moment
    order_updated_at: Instant = None
    order_items: list[OrderItem]
    notes: Text = None
    tags: Annotated[list[str], Listing] = Field(default_factory=list)


class PaymentDetails(Payload):
    """What the customer pays."""

    total_price: Price
    subtotal_price: Annotated[Price | None, Absent] = None
    estimated_shipping_price: Annotated[Price | None, Absent] = None
    estimated_tax_price: Annotated[Price | None, Absent] = None
    status: Annotated[CodedStatus | None, Absent] = None


class ShippingDetails(Payload):
    """What the shop's checkout said about shipping."""

    delivery_indicator: Text = None
    is_local_pickup: bool | None = None
    measurement: Annotated[Measurement | None, Absent] = None
    ship_with: Annotated[ShipWith | None, Absent] = None


class Order(Payload):
    """A V3 order. ``id`` is SendCloud's, ``order_id`` the shop's; ``modified_at`` moves with every change, the shop's or not."""

    id: Name
    order_id: Name
    order_number: Name
    created_at: Moment
    modified_at: Moment
    order_details: OrderDetails
    payment_details: PaymentDetails
    shipping_address: Annotated[Address | None, Absent] = None
    shipping_details: Annotated[ShippingDetails | None, Absent] = None
    customs_details: Annotated[dict[str, Any] | None, Absent] = None


class AcceptedOrder(Payload):
    """What a batch upsert or a patch answers: accepted, not yet stored. ``id`` is a number here."""

    id: Name
    order_id: Name
    order_number: Name


# -- V3 shipments ---------------------------------------------------------------------------------------------------------------


class Carrier(Payload):
    """A V3 carrier."""

    code: Text = None
    name: Text = None


class Document(Payload):
    """A document of a parcel. ``document_type`` replaced ``type``; either may be missing."""

    type: Text = None
    document_type: Text = None
    size: Text = None
    link: Text = None

    @property
    def kind(self) -> str | None:
        """``label``, ``customs-declaration``, ``air-waybill``, …."""
        return self.document_type or self.type


class ShipmentParcelItem(Payload):
    """One line of a V3 parcel."""

    item_id: Text = None
    product_id: Text = None
    sku: Text = None
    description: Text = None
    quantity: int
    price: Annotated[Price | None, Absent] = None
    weight: Annotated[Weight | None, Absent] = None
    hs_code: Text = None
    origin_country: Text = None


class ShipmentParcel(Payload):
    """A parcel below a V3 shipment. ``label_file`` is base64 and comes from a synchronous announcement of a single parcel only."""

    id: int
    status: CodedStatus
    tracking_number: Text = None
    tracking_url: Text = None
    created_at: Instant = None
    updated_at: Instant = None
    announced_at: Instant = None
    weight: Annotated[Weight | None, Absent] = None
    documents: Annotated[list[Document], Listing] = Field(default_factory=list)
    parcel_items: Annotated[list[ShipmentParcelItem], Listing] = Field(default_factory=list)
    label_file: Text = None


class ShipmentFault(Payload):
    """Why an announcement failed, in the vendor's words; it comes with status 201 (facts §5.1)."""

    status: Text = None
    code: Text = None
    detail: Text = None


class Shipment(Payload):
    """A V3 shipment."""

    id: Name
    order_number: Text = None
    reference: Text = None
    external_reference_id: Text = None
    carrier: Annotated[Carrier | None, Absent] = None
    ship_with: Annotated[ShipWith | None, Absent] = None
    total_order_price: Annotated[Price | None, Absent] = None
    to_address: Annotated[Address | None, Absent] = None
    parcels: Annotated[list[ShipmentParcel], Listing] = Field(default_factory=list)
    errors: Annotated[list[ShipmentFault], Listing] = Field(default_factory=list)


class OrderLabel(Payload):
    """One accepted order of a ship-an-order call. ``parcel_id`` is the deprecated form of ``parcels_ids``."""

    shipment_id: Name
    order_id: Text = None
    order_number: Text = None
    parcels_ids: Annotated[list[int], Listing] = Field(default_factory=list)
    parcel_id: int | None = None

    @property
    def parcels(self) -> list[int]:
        """The parcels' ids."""
        return self.parcels_ids or ([] if self.parcel_id is None else [self.parcel_id])


# -- tracking and webhooks ------------------------------------------------------------------------------------------------------


class TrackingEvent(Payload):
    """One V3 tracking event."""

    event_at: Moment
    event_type: Text = None
    status_code: Text = None
    status_description: Text = None
    status_type: Text = None
    sub_status_code: Text = None


class TrackingDetails(Payload):
    """What V3 tracking says about the parcel as a whole."""

    expected_delivery_date: date | None = None
    integration_id: int | None = None
    is_return: bool | None = None


class Tracking(Payload):
    """``GET /v3/parcels/tracking/{number}``; it has no ``data`` envelope."""

    source_id: Text = None
    announced_at: Instant = None
    created_at: Instant = None
    updated_at: Instant = None
    details: Annotated[TrackingDetails | None, Absent] = None
    events: Annotated[list[TrackingEvent], Listing] = Field(default_factory=list)


class ParcelStatusChanged(Payload):
    """The classic webhook ``parcel_status_changed``; ``timestamp`` orders events, deliveries come in any order."""

    action: str
    timestamp: EpochMs
    carrier_status_change_timestamp: OptionalEpochMs = None
    parcel: V2Parcel


class SubscribedParcel(Payload):
    """The parcel of a V3 subscription event."""

    parcel_id: Name
    tracking_number: Text = None
    carrier_code: Text = None
    announced_at: Instant = None


class SubscribedEvent(Payload):
    """What happened to it."""

    event_type: Text = None
    timestamp: Moment
    phase: Text = None
    exception: Text = None
    status_type: Text = None
    sub_status: Text = None
    description: Text = None
    end_of_tracking: bool | None = None


class SubscribedData(Payload):
    """Body of a V3 subscription event."""

    parcel: SubscribedParcel
    event: SubscribedEvent


class ParcelEventCreated(Payload):
    """The V3 event subscription ``parcels.event.created``."""

    event_type: str
    data: SubscribedData


class AuthMetadata(Payload):
    """Whose key this is."""

    user_id: int
    integration_id: int | None = None
