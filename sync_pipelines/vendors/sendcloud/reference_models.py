"""What we read of SendCloud's reference data: carriers, methods, options, contracts, senders, integrations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, Field

from sync_pipelines.vendors.sendcloud.fields import Absent, Instant, Listing, Name, Number, Payload, Price, Text, Weight
from sync_pipelines.vendors.sendcloud.models import Carrier


class ParcelStatus(Payload):
    """One status of the V2 (``id``) or V3 (``code``) list."""

    id: int | None = None
    code: Text = None
    message: Text = None


class MethodCountry(Payload):
    """A country a V2 shipping method serves; ``price`` there is real, the method's own is always 0."""

    iso_2: Text = None
    price: Number = None
    lead_time_hours: int | None = None


class ShippingMethod(Payload):
    """A V2 shipping method. Its id is good for about an hour (facts §6.1)."""

    id: int
    name: str
    carrier: Text = None
    min_weight: Number = None
    max_weight: Number = None
    service_point_input: Text = None
    price: Number = None
    countries: Annotated[list[MethodCountry], Listing] = Field(default_factory=list)


class WeightRange(Payload):
    """Bounds of a V3 shipping option."""

    min: Annotated[Weight | None, Absent] = None
    max: Annotated[Weight | None, Absent] = None


class NamedCode(Payload):
    """A code with its name."""

    code: Text = None
    name: Text = None


class OptionContract(Payload):
    """The contract of a shipping option."""

    id: int | None = None


class OptionRequirements(Payload):
    """What a shipping option needs to be told."""

    is_service_point_required: bool | None = None


class QuotePrice(Payload):
    """A quoted price."""

    total: Annotated[Price | None, Absent] = None


class Quote(Payload):
    """A price for a weight."""

    lead_time: int | None = None
    price: Annotated[QuotePrice | None, Absent] = None


class ShippingOption(Payload):
    """A V3 shipping option; ``code`` is what announcements name."""

    code: Name
    name: Text = None
    carrier: Annotated[Carrier | None, Absent] = None
    product: Annotated[NamedCode | None, Absent] = None
    contract: Annotated[OptionContract | None, Absent] = None
    weight: Annotated[WeightRange | None, Absent] = None
    requirements: Annotated[OptionRequirements | None, Absent] = None
    functionalities: Annotated[dict[str, Any] | None, Absent] = None
    charging_type: Text = None
    quotes: Annotated[list[Quote], Listing] = Field(default_factory=list)


class Contract(Payload):
    """A carrier contract; examples carry a carrier object, the schema ``carrier_code`` and ``name`` (facts §6.3)."""

    id: int
    carrier: Annotated[Carrier | None, Absent] = None
    carrier_code: Text = None
    client_id: Text = None
    country: Text = None
    name: Text = None
    state: Text = None
    type: Text = None
    is_default_per_carrier: bool | None = None

    @property
    def carrier_id(self) -> str | None:
        """The carrier's code, from either form."""
        return self.carrier_code or (self.carrier.code if self.carrier else None)


class SenderAddress(Payload):
    """A sender address, in V3's or V2's names."""

    id: int
    name: Text = Field(default=None, validation_alias=AliasChoices("name", "contact_name"))
    company_name: Text = None
    address_line_1: Text = Field(default=None, validation_alias=AliasChoices("address_line_1", "street"))
    house_number: Text = None
    address_line_2: Text = None
    postal_code: Text = None
    city: Text = None
    country_code: Text = Field(default=None, validation_alias=AliasChoices("country_code", "country"))
    email: Text = None
    phone_number: Text = Field(default=None, validation_alias=AliasChoices("phone_number", "telephone"))


class Integration(Payload):
    """A shop connected to the account, in V3's or V2's names."""

    id: int
    shop_name: Text = None
    shop_url: Text = None
    type: Text = Field(default=None, validation_alias=AliasChoices("type", "system"))
    failing_since: Instant = Field(default=None, validation_alias=AliasChoices("started_failing_at", "failing_since"))
    last_fetched_at: Instant = Field(default=None, validation_alias=AliasChoices("last_fetched_at", "last_fetch"))
    updated_at: Instant = Field(default=None, validation_alias=AliasChoices("updated_at", "last_updated_at"))
    webhook_active: bool | None = None
    webhook_url: Text = None
    service_point_enabled: bool | None = None
