"""Settings of an AliExpress dropshipping account."""

from __future__ import annotations

from pydantic import Field

from sync_pipelines.vendors.suppliers.settings import SupplierSettings

DEFAULT_BASE_URL = "https://api-sg.aliexpress.com"
CREDENTIALS = ("app_key", "app_secret", "access_token", "refresh_token")


class Settings(SupplierSettings):
    """What can be set for one account; prices depend on the account and on the country shipped to."""

    ship_to: str = Field(
        default="FR", min_length=2, max_length=2, description="ISO 3166 country that prices and stock are asked for"
    )
    currency: str = Field(
        default="EUR", min_length=3, max_length=3, description="Currency asked for; an answer in another is kept as it is"
    )
    products: list[int] = Field(default=[], description="Product ids that are followed")
    feeds: list[str] = Field(default=[], description="Feeds whose products are followed too")
    simplify: bool = Field(default=False, description="Ask for the simplified envelope")
    calls_per_second: float = Field(default=2.0, gt=0, description="Own pace; the platform publishes totals over all apps only")
