"""Settings of a CSV/JSON supplier."""

from __future__ import annotations

from pydantic import Field

from sync_pipelines.vendors.suppliers.settings import SupplierSettings

CREDENTIALS = ("api_key",)


class Settings(SupplierSettings):
    """What can be set for one account."""

    currency: str = Field(default="EUR", min_length=3, max_length=3, description="Currency of the price file, which names none")
