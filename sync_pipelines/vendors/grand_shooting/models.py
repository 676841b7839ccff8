"""Grand Shooting's payloads as far as we read them by name (facts.md §4.1, §5); everything else stays in ``raw``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field


def _text(value: Any) -> Any:
    """Free text; a number where text is declared is taken as its digits."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _instant(value: Any) -> Any:
    """The vendor states no zone; a naive time or a day is UTC (facts.md §9)."""
    if not isinstance(value, str):
        return value
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


FreeText = Annotated[str | None, BeforeValidator(_text)]
Instant = Annotated[datetime | None, BeforeValidator(_instant)]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Reference(_Payload):
    """One reference. The cookbook calls the dates ``create_date`` and ``update_date``; both spellings are read."""

    reference_id: int = Field(ge=1)
    ref: str = Field(min_length=1)
    ean: FreeText = None
    univers: FreeText = None
    gamme: FreeText = None
    family: FreeText = None
    sku: FreeText = None
    brand: FreeText = None
    smalltext: FreeText = None
    category_id: int | None = None
    product_ref: FreeText = None
    product_smalltext: FreeText = None
    gender: FreeText = None
    color: FreeText = None
    hexa_color: FreeText = None
    size: FreeText = None
    collection: FreeText = None
    online: FreeText = None
    date_cre: Instant = Field(default=None, validation_alias=AliasChoices("date_cre", "create_date"))
    date_mod: Instant = Field(default=None, validation_alias=AliasChoices("date_mod", "update_date"))

    @property
    def has_change_time(self) -> bool:
        """Whether ``date_mod`` says more than a day."""
        return self.date_mod is not None and (
            self.date_mod - self.date_mod.replace(hour=0, minute=0, second=0, microsecond=0)
        ) > timedelta(0)


class WebhookBody(_Payload):
    """What a webhook says: these ids may have changed. ``data`` is ignored, the objects are read anew (facts.md §5.3)."""

    account_id: int
    topic: str
    type: Literal["reference", "picture"]
    ids: list[int | str] = Field(max_length=1_000)


class Subscription(_Payload):
    """One registered webhook."""

    webhook_id: int
    address: str
    topic: str
