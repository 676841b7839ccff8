"""What can be set for a Gazelle account, and where it answers by default."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

DEFAULT_BASE_URL = "https://gazelleapp.io"
TOKEN_PATH = "/developer/oauth/token"  # noqa: S105 - a path
AUTHORIZE_PATH = "/developer/oauth/authorize"

OAUTH_CREDENTIALS = ("client_id", "client_secret", "refresh_token")
KEY_CREDENTIALS = ("api_key",)
CREDENTIALS = (OAUTH_CREDENTIALS, KEY_CREDENTIALS)
"""The sets of credentials an account may have: OAuth, or a personal API key."""


class Settings(BaseModel):
    """Settings of one account; the vendor publishes no limits, so the defaults are careful (apis/gazelle/facts.md §9)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: str = Field(
        default="UTC", description="Zone of the business: daily runs start at 02:00 there, event days are cut there"
    )
    start: AwareDatetime | None = Field(
        default=None, description="Where the first sync of the timeline begins; default: with its oldest entry"
    )
    requests_per_second: float = Field(default=2.0, gt=0, description="Pace for the whole account")
    page_size: int = Field(default=100, ge=1, le=1000, description="Full records per request")
    lean_page_size: int = Field(default=250, ge=1, le=1000, description="Ids with change times per request")
    nested_page_size: int = Field(default=10, ge=1, le=100, description="Contacts per client, e-mails per contact, … per request")
    event_days_back: int = Field(default=60, ge=0, description="Daily window of events: days before today")
    event_days_ahead: int = Field(default=400, ge=0, description="Daily window of events: days after today")
    event_types: list[Literal["APPOINTMENT", "PERSONAL", "MEMO", "SYNCED"]] | None = Field(
        default=None, description="Kinds of events that are kept; all by default"
    )
    refresh_token_life: timedelta = Field(
        default=timedelta(days=30), description="Assumed life of an unused refresh token, for the warning before it ends"
    )
    deleted_clients_days: int | None = Field(
        default=None,
        ge=1,
        description="Content of clients and contacts is erased so many days after they were found deleted; default: kept",
    )
    without_fields: list[str] = Field(
        default_factory=list, description="Fields not to ask for, as Fragment.field (ClientFields.personalNotes)"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not an IANA time zone; write it like America/Montreal") from error
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The business's zone."""
        return ZoneInfo(self.timezone)

    def today(self, now: datetime) -> datetime:
        """Midnight of the current day in the business's zone."""
        return now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
