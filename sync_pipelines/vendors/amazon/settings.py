"""What can be set for an Amazon account, and Amazon's places. Read by the configuration; knows nothing else of the product."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from sync_pipelines.core.instants import UtcInstant

AUTH_URL = "https://api.amazon.com/auth/o2/token"
CREDENTIALS = ("client_id", "client_secret", "refresh_token")


class Region(StrEnum):
    """Amazon's regions; an authorization is valid in one (facts §2.2)."""

    NA = "NA"
    EU = "EU"
    FE = "FE"


BASE_URLS = {region: f"https://sellingpartnerapi-{region.lower()}.amazon.com" for region in Region}


class OrdersApi(StrEnum):
    """Which version of the Orders API is read. v0 ends on 2027-03-27 (facts §1)."""

    V2026 = "2026-01-01"
    V0 = "v0"


class Plan(BaseModel):
    """A usage plan that Amazon agreed for this seller and application."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = Field(gt=0, description="Requests per second")
    burst: int = Field(ge=1, description="Requests possible at once")


class Settings(BaseModel):
    """Settings of one seller tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region = Field(default=Region.EU, description="Chooses base_url where the account names none")
    marketplaces: tuple[str, ...] = Field(min_length=1, max_length=50, description="Marketplace ids; one call reads all of them")
    orders_api: OrdersApi = Field(default=OrdersApi.V2026, description="Orders API that is read; v0 ends on 2027-03-27")
    start: UtcInstant | None = Field(default=None, description="Where the first sync begins; default: 30 days ago")
    personal_data: bool = Field(default=False, description="Store buyer and address, in columns of their own")
    personal_data_days: int = Field(default=30, ge=0, description="Days after the latest ship date until they are erased")
    min_call_interval_s: float = Field(default=0.5, ge=0, le=60, description="Least time between two calls, over all processes")
    plans: dict[str, Plan] = Field(
        default_factory=dict, description="Usage plans that differ from the published ones, by operation"
    )
    secret_created_on: date | None = Field(default=None, description="When the client secret was made; it ends after 180 days")
    authorized_on: date | None = Field(default=None, description="When the seller last authorized the application; yearly")

    @property
    def default_base_url(self) -> str:
        """The region's host."""
        return BASE_URLS[self.region]
