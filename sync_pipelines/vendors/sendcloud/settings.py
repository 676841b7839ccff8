"""What can be set for a SendCloud account."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sync_pipelines.core.instants import UtcInstant
from sync_pipelines.core.personal import PERSONAL_DATA_DAYS
from sync_pipelines.core.references import Reference
from sync_pipelines.vendors.sendcloud import document_store

DEFAULT_BASE_URL = "https://panel.sendcloud.sc/api"
"""``/v2`` and ``/v3`` are appended."""

CREDENTIALS = ("public_key", "secret_key")

ProductField = Literal["name", "ean", "hs_code", "origin_country", "weight", "price"]


class LabelRule(BaseModel):
    """Chooses a shipping option; the first rule whose conditions all hold wins. A condition left out always holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    option: str = Field(min_length=1, description="Shipping option code, such as colissimo:home")
    contract_id: int | None = Field(default=None, description="Carrier contract; default: the account's")
    countries: list[str] = Field(default=[], description="ISO 3166-1 alpha-2 codes of the destination")
    min_kg: Decimal | None = Field(default=None, description="Parcel weight from this on")
    max_kg: Decimal | None = Field(default=None, description="Parcel weight below this")
    services: list[str] = Field(default=[], description="Words of the request's service or the order's delivery method, any case")


class LabelSettings(BaseModel):
    """How labels are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: list[LabelRule] = Field(default=[], description="Shipping option where the request names none")
    vendor_rules: bool = Field(default=False, description="Let the account's own shipping rules choose where no rule of ours does")
    background: bool = Field(default=False, description="Announce in the background and look again later, instead of waiting")
    sender_address_id: int | None = Field(default=None, description="Sender address; default: the vendor's list's first")
    default_weight_kg: Decimal | None = Field(default=None, gt=0, description="For orders whose weight is unknown")
    media_type: Literal["application/pdf", "application/zpl", "image/png"] = Field(
        default="application/pdf", description="Format of the documents; application/zpl for label printers"
    )
    dpi: Literal[72, 203, 300, 600] | None = Field(default=None, description="Resolution; default: the vendor's")
    directory: Annotated[str, AfterValidator(document_store.checked)] | None = Field(
        default=None,
        description="Keep documents here instead of in the database: a directory, or a URL such as s3://bucket/labels (gs://, az://)",
    )
    at_once: int = Field(default=4, ge=1, le=10, description="Calls under way at the same time")


class ProductSettings(BaseModel):
    """How products are derived from orders, and how ``wms.products`` reaches open orders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: list[ProductField] = Field(
        default=["name", "ean", "hs_code", "origin_country", "weight", "price"], description="Fields that are written"
    )
    overwrite: bool = Field(default=False, description="Also replace what somebody changed at the vendor after us")
    open_statuses: list[str] = Field(
        default=["to_prepare", "waiting"], description="Warehouse statuses of orders that may still be written"
    )
    refresh_minutes: int = Field(
        default=60, ge=0, multiple_of=5, description="Derive sendcloud.products so often; 0: only when the job is launched"
    )
    push_minutes: int = Field(
        default=15, ge=0, multiple_of=5, description="Write wms.products so often; 0: only when the job is launched"
    )


class Settings(BaseModel):
    """Settings of one account; the limits are the vendor's for all keys of the account together (apis/sendcloud/facts.md §2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_keys: list[Reference] = Field(default=[], max_length=2, description="Keys that sign webhooks; two while rotating")
    start: UtcInstant | None = Field(default=None, description="Where the first sync begins; default: 30 days ago")
    wms_status: dict[str, str] = Field(default={}, description="Vendor status to warehouse status, over the built-in table")
    reads_per_minute: int = Field(default=1000, ge=1, description="GET requests")
    writes_per_minute: int = Field(default=100, ge=1, description="POST, PUT, PATCH and DELETE requests")
    writes_per_second: int = Field(default=15, ge=1, description="Burst of write requests")
    oauth: bool = Field(default=False, description="Use OAuth client credentials instead of Basic authentication")
    personal_data_days: int | None = Field(
        default=PERSONAL_DATA_DAYS,
        ge=1,
        description="Persons, addresses and label documents are erased so many days after their last change; null: never",
    )
    labels: LabelSettings = Field(default=LabelSettings(), description="How labels are made")
    products: ProductSettings = Field(default=ProductSettings(), description="How products are derived and written")
