"""What can be set for a SendCloud account."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sync_pipelines.core.instants import UtcInstant

DEFAULT_BASE_URL = "https://panel.sendcloud.sc/api"
"""``/v2`` and ``/v3`` are appended."""

CREDENTIALS = ("public_key", "secret_key")


class Settings(BaseModel):
    """Settings of one account; the limits are the vendor's for all keys of the account together (apis/sendcloud/facts.md §2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_keys: list[str] = Field(default=[], max_length=2, description="Keys that sign webhooks; two while rotating")
    start: UtcInstant | None = Field(default=None, description="Where the first sync begins; default: 30 days ago")
    wms_status: dict[str, str] = Field(default={}, description="Vendor status to warehouse status, over the built-in table")
    reads_per_minute: int = Field(default=1000, ge=1, description="GET requests")
    writes_per_minute: int = Field(default=100, ge=1, description="POST, PUT, PATCH and DELETE requests")
    writes_per_second: int = Field(default=15, ge=1, description="Burst of write requests")
    oauth: bool = Field(default=False, description="Use OAuth client credentials instead of Basic authentication")
