"""Settings of a BigBuy account."""

from __future__ import annotations

from pydantic import Field

from sync_pipelines.vendors.suppliers.settings import SupplierSettings

DEFAULT_BASE_URL = "https://api.bigbuy.eu"
CREDENTIALS = ("api_key",)


class Settings(SupplierSettings):
    """What can be set for one BigBuy key."""

    taxonomies: list[int] = Field(default=[], description="First-level taxonomies to read; none: all")
    page_size: int = Field(default=10_000, ge=1, le=10_000, description="Rows of a list page; calls are scarcer than bytes")
