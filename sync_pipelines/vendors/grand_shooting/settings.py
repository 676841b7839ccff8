"""What a person may configure for Grand Shooting: an account's settings, and a link from the main account to a secondary one.

Shapes only; whether a link makes sense (types, targets, expressions) is judged by `Link.problems`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from sync_pipelines.core.references import Reference

DEFAULT_BASE_URL = "https://api.grand-shooting.com/v3"
"""Each account lives on a shard; its own host goes into ``base_url`` (facts.md §2)."""

CREDENTIALS = ("token",)

BULK_SIZE = 100
"""References per bulk call: what the vendor's own code uses (facts.md §4.3)."""


_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(_Shape):
    """Settings of one Grand Shooting account."""

    account_id: int | None = Field(
        default=None, description="The vendor's number of the account; a webhook naming another one is refused"
    )
    webhook_key: Reference | None = Field(default=None, description="Secret in the registered webhook address")
    previous_webhook_key: Reference | None = Field(default=None, description="Still accepted while keys are being rotated")
    webhook_url: str | None = Field(
        default=None, description="Public address of our intake without the key, where the registration job points webhooks to"
    )
    scheme: Literal["Bearer", "access_token"] = Field(
        default="Bearer", description="Bearer for account tokens, access_token for OAuth tokens"
    )
    requests_per_second: float = Field(default=4, gt=0, description="The account's quota; the vendor's texts say 4 and 5")
    bulk_size: int = Field(default=BULK_SIZE, ge=1, le=BULK_SIZE, description="References per bulk call")
    date_overlap_days: int = Field(
        default=1, ge=1, le=30, description="Days that a delta reads again, because the vendor's change filters know days only"
    )
    start: AwareDatetime = Field(
        default=datetime(2000, 1, 1, tzinfo=UTC),
        description="Where the first read begins; the default lies before every catalogue, so that it lists everything",
    )


Operator = Literal["eq", "ne", "in", "not_in", "contains", "starts_with", "exists", "gt", "gte", "lt", "lte", "matches"]


class Condition(_Shape):
    """One test of a filter: a field compared to a value, or a CEL expression that is true or false."""

    field: str | None = Field(default=None, description="Path of a field of the reference: brand, extra.season")
    op: Operator | None = Field(default=None, description="How the field is compared with the value")
    value: Any = Field(default=None, description="What it is compared with; a list for in and not_in")
    cel: str | None = Field(default=None, description="Instead of the three: a CEL expression over the reference's fields")

    @model_validator(mode="after")
    def _one_way(self) -> Condition:
        if (self.cel is None) == (self.field is None or self.op is None):
            raise ValueError("a condition is either {field, op, value} or {cel}")
        return self


class LinkFilter(_Shape):
    """A reference passes if any ``include`` matches (or there is none) and no ``exclude`` does."""

    include: list[Condition] = Field(default=[], description="One of these must hold, if there is any")
    exclude: list[Condition] = Field(default=[], description="None of these may hold")


class Rename(_Shape):
    """Sends the value to another field; the same as ``target``."""

    type: Literal["rename"] = Field(description="Which rule this is")
    to: str = Field(description="The field it is stored in")


class Case(_Shape):
    """Changes the case of a text, or of every text in a list."""

    type: Literal["uppercase", "lowercase", "capitalize", "upper", "lower"] = Field(description="Which rule this is")


class Concat(_Shape):
    """Joins several fields, and fixed text before and after; fields without value are left out."""

    type: Literal["concat"] = Field(description="Which rule this is")
    fields: list[str] = Field(default=[], description="Fields to join, in this order")
    separator: str = Field(default=" ", description="Stands between two values")
    prefix: str = Field(default="", description="Stands before all")
    suffix: str = Field(default="", description="Stands behind all")


class Split(_Shape):
    """Cuts a text into a list, or picks one piece of it (negative: from the end)."""

    type: Literal["split"] = Field(description="Which rule this is")
    separator: str = Field(default=",", min_length=1, description="Where the text is cut")
    index: int | None = Field(default=None, description="The piece that is kept, from 0, negative from the end; none: the list")


class Join(_Shape):
    """Makes one text of a list."""

    type: Literal["join"] = Field(description="Which rule this is")
    separator: str = Field(default=",", description="Stands between two items")


class ValueMap(_Shape):
    """Translates values."""

    type: Literal["value_map"] = Field(description="Which rule this is")
    map: dict[str, str | int | float | bool] = Field(description="Value to what becomes of it")
    otherwise: Literal["keep", "drop", "fail"] = Field(default="keep", description="What happens to a value that is not in the map")


class Default(_Shape):
    """Fills in where there is no value."""

    type: Literal["default"] = Field(description="Which rule this is")
    value: Any = Field(description="Stored where the field is empty")


class DateFormat(_Shape):
    """Rewrites a date from one pattern of ``YYYY MM DD HH mm ss`` to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    type: Literal["date_format"] = Field(description="Which rule this is")
    source: str = Field(alias="from", description="Pattern of the date as it is")
    to: str = Field(description="Pattern of the date as it becomes")


class Extract(_Shape):
    """Takes the value at a path of the whole reference, ``extra.composition[0]``."""

    type: Literal["extract"] = Field(description="Which rule this is")
    path: str = Field(description="Where the value is, from the top of the reference")


class Constant(_Shape):
    """Always this value."""

    type: Literal["constant"] = Field(description="Which rule this is")
    value: Any = Field(description="Stored whatever the reference says")


class Truncate(_Shape):
    """Keeps the first ``length`` characters."""

    type: Literal["truncate"] = Field(description="Which rule this is")
    length: int = Field(ge=1, le=10_000, description="Characters that are kept")


class Round(_Shape):
    """Rounds a number half up to ``digits`` decimals."""

    type: Literal["round"] = Field(description="Which rule this is")
    digits: int = Field(default=0, ge=0, le=12, description="Decimals that are kept")


class Cel(_Shape):
    """A CEL expression over the reference's fields and ``value``, the value so far."""

    type: Literal["cel"] = Field(description="Which rule this is")
    expression: str = Field(description="Its result is the new value")


Rule = Annotated[
    Rename | Case | Concat | Split | Join | ValueMap | Default | DateFormat | Extract | Constant | Truncate | Round | Cel,
    Field(discriminator="type"),
]


class FieldMapping(_Shape):
    """What becomes of one source field."""

    target: str | None = Field(default=None, description="Where it is stored; left out: the same field, null: not copied at all")
    rules: list[Rule] = Field(default=[], max_length=20, description="Applied in this order")

    @property
    def is_dropped(self) -> bool:
        """Whether the configuration says ``target: null``."""
        return self.target is None and "target" in self.model_fields_set


class Batch(_Shape):
    """When a link's batch runs."""

    schedule: str = Field(description="Cron expression")
    timezone: str = Field(default="UTC", description="IANA zone of the schedule")

    @model_validator(mode="after")
    def _can_be_planned(self) -> Batch:
        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"unknown time zone {self.timezone!r}") from None
        try:
            CronSim(self.schedule, _EPOCH)
        except CronSimError as error:
            raise ValueError(f"bad schedule {self.schedule!r}: {error}") from None
        return self


class LinkAlerts(_Shape):
    """When a link's state is worth a message."""

    lag_minutes: int = Field(default=30, ge=1, description="Age of the oldest change that waits")
    waiting: int = Field(default=10_000, ge=1, description="Changes that wait")


class Brake(_Shape):
    """How many deletions need a person."""

    share: float = Field(default=0.2, ge=0, le=1, description="More than this share of the secondary account's references")
    references: int = Field(default=1_000, ge=0, description="Or more than so many")


class Link(_Shape):
    """One secondary account fed from one main account."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$", description="Its name in commands, messages and tables")
    main: str = Field(description="Account that is read: grand_shooting/name")
    secondary: str = Field(description="Account that is written")
    webhooks: bool = Field(default=True, description="Follow the main account's webhooks")
    batch: Batch | None = Field(default=None, description="Compare by batch at these times; both may be on")
    active: bool = Field(default=True, description="A paused link keeps collecting what is to be done and does it when resumed")
    requests_per_second: float | None = Field(default=None, gt=0, description="Pace of this link below the account's quota")
    retries: int = Field(default=1, ge=0, le=20, description="Tries after the first before a reference becomes a dead letter")
    on_foreign_change: Literal["overwrite", "hold"] = Field(
        default="overwrite", description="What to do where somebody else changed what we last wrote"
    )
    filter: LinkFilter = Field(default=LinkFilter(), description="Which references are copied")
    mapping: dict[str, FieldMapping] = Field(
        default={}, description="Field to what becomes of it; fields that are not named are copied unchanged"
    )
    brake: Brake = Field(default=Brake(), description="How many deletions at once need a person")
    alerts: LinkAlerts = Field(default=LinkAlerts(), description="When people are told of this link")

    @field_validator("mapping", mode="before")
    @classmethod
    def _empty_means_unchanged(cls, value: Any) -> Any:
        return {name: {} if item is None else item for name, item in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _two_accounts(self) -> Link:
        if self.main == self.secondary:
            raise ValueError("a link needs two different accounts")
        return self

    def problems(self) -> list[str]:
        """Everything that keeps filter and mapping from being activated, each naming field and rule."""
        from sync_pipelines.vendors.grand_shooting.mapping import LinkInvalid, compile_link

        try:
            compile_link(self)
        except LinkInvalid as error:
            return error.problems
        return []
