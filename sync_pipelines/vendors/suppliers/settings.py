"""Settings that every supplier account has: freshness, brakes, sellable quantity, selling price, retention, completion webhook."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sync_pipelines.core.personal import PERSONAL_DATA_DAYS
from sync_pipelines.core.references import Reference


class PriceRule(BaseModel):
    """How a selling price is made of a cost; the first rule whose band holds the cost applies.

    The net price is the higher of ``cost * (1 + margin_percent / 100) + fixed`` and ``cost + min_margin``; with ``vat: in`` VAT is
    added; then it is rounded up to the next price ending in ``ending``.
    """

    model_config = ConfigDict(extra="forbid")

    from_cost: Decimal = Field(default=Decimal(0), ge=0, description="Lowest cost of this band, inclusive")
    to_cost: Decimal | None = Field(default=None, description="End of this band, exclusive; none: no end")
    margin_percent: Decimal = Field(default=Decimal(40), ge=0, description="Added to the cost, in percent of it")
    fixed: Decimal = Field(default=Decimal(0), ge=0, description="Added to the cost with its margin")
    min_margin: Decimal = Field(default=Decimal(0), ge=0, description="The least a sale must bring above its cost")
    vat: Literal["in", "out"] = Field(default="in", description="Whether selling prices contain VAT")
    vat_percent: Decimal = Field(default=Decimal(20), ge=0, description="VAT that is added with `vat: in`")
    ending: Decimal | None = Field(default=Decimal("0.99"), ge=0, lt=1, description="Cents of every price; none: plain cents")


class Brake(BaseModel):
    """What is implausible enough to wait for a person."""

    model_config = ConfigDict(extra="forbid")

    stock_share: float = Field(default=0.30, gt=0, le=1, description="Share of in-stock SKUs that may go to 0 in one run")
    stock_at_least: int = Field(default=5, ge=0, description="So many SKUs may always go to 0")
    price_move: float = Field(default=0.50, gt=0, description="Largest relative change of a cost that is believed at once")


class CompletionWebhook(BaseModel):
    """Where the end of a sync request is told."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="https address; addresses inside private networks are refused")
    secret: Reference = Field(description="Key of the HMAC-SHA256 signature")
    allow_private: bool = Field(default=False, description="Also allow http and private networks (tests, one machine)")


class SupplierSettings(BaseModel):
    """Settings of one supplier account."""

    model_config = ConfigDict(extra="forbid")

    language: str = Field(default="en", description="Language of names and descriptions")
    max_age: timedelta = Field(default=timedelta(hours=6), description="Stock not confirmed for so long is unknown")
    safety_stock: int = Field(default=0, ge=0, description="Units never offered")
    max_handling_days: int | None = Field(default=None, ge=0, description="Stock that takes longer to leave is not offered")
    brake: Brake = Field(default=Brake(), description="What is implausible enough to wait for a person")
    price_rules: list[PriceRule] = Field(default=[PriceRule()], description="How selling prices are made; the first that fits")
    requests_kept_days: int = Field(default=7, ge=1, description="Finished sync requests are dropped after this")
    history_kept_days: int = Field(default=30, ge=1, description="Stock and price history is dropped after this")
    personal_data_days: int | None = Field(
        default=PERSONAL_DATA_DAYS,
        ge=1,
        description="Recipients in the raw orders are erased so many days after the order was last read; null: never",
    )
    completion_webhook: CompletionWebhook | None = Field(default=None, description="Where the end of a sync request is told")
    order_unknown_for: timedelta = Field(
        default=timedelta(days=2), description="An order unknown to the vendor for so long is given up"
    )
