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
    """Settings of one Grand Shooting account.

    Attributes:
        account_id: The vendor's number of the account; a webhook naming another one is refused.
        webhook_key: Secret in the registered webhook address.
        previous_webhook_key: Still accepted while keys are being rotated.
        webhook_url: Public address of our intake without the key; where the registration job points webhooks to.
        scheme: ``Bearer`` for account tokens, ``access_token`` for OAuth tokens (facts.md §2).
        requests_per_second: The account's quota; the vendor's texts say 4 and 5 (facts.md §6).
        bulk_size: References per bulk call.
        date_overlap_days: How many days a delta reads again, because ``date_mod`` filters know days only.
        start: Where the first read begins; the default lies before every catalogue, so that it lists everything.
    """

    account_id: int | None = None
    webhook_key: Reference | None = None
    previous_webhook_key: Reference | None = None
    webhook_url: str | None = None
    scheme: Literal["Bearer", "access_token"] = "Bearer"
    requests_per_second: float = Field(default=4, gt=0)
    bulk_size: int = Field(default=BULK_SIZE, ge=1, le=BULK_SIZE)
    date_overlap_days: int = Field(default=1, ge=1, le=30)
    start: AwareDatetime = datetime(2000, 1, 1, tzinfo=UTC)


class Condition(_Shape):
    """One test of a filter: a field compared to a value, or a CEL expression that is true or false."""

    field: str | None = None
    op: Literal["eq", "ne", "in", "not_in", "contains", "starts_with", "exists", "gt", "gte", "lt", "lte", "matches"] | None = None
    value: Any = None
    cel: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Condition:
        if (self.cel is None) == (self.field is None or self.op is None):
            raise ValueError("a condition is either {field, op, value} or {cel}")
        return self


class LinkFilter(_Shape):
    """A reference passes if any ``include`` matches (or there is none) and no ``exclude`` does."""

    include: list[Condition] = []
    exclude: list[Condition] = []


class Rename(_Shape):
    """Sends the value to another field; the same as ``target``."""

    type: Literal["rename"]
    to: str


class Case(_Shape):
    """Changes the case of a text, or of every text in a list."""

    type: Literal["uppercase", "lowercase", "capitalize", "upper", "lower"]


class Concat(_Shape):
    """Joins several fields, and fixed text before and after; fields without value are left out."""

    type: Literal["concat"]
    fields: list[str] = []
    separator: str = " "
    prefix: str = ""
    suffix: str = ""


class Split(_Shape):
    """Cuts a text into a list, or picks one piece of it (negative: from the end)."""

    type: Literal["split"]
    separator: str = Field(default=",", min_length=1)
    index: int | None = None


class Join(_Shape):
    """Makes one text of a list."""

    type: Literal["join"]
    separator: str = ","


class ValueMap(_Shape):
    """Translates values. ``otherwise``: what happens to a value not in the map: ``keep``, ``drop`` or ``fail``."""

    type: Literal["value_map"]
    map: dict[str, str | int | float | bool]
    otherwise: Literal["keep", "drop", "fail"] = "keep"


class Default(_Shape):
    """Fills in where there is no value."""

    type: Literal["default"]
    value: Any


class DateFormat(_Shape):
    """Rewrites a date from one pattern of ``YYYY MM DD HH mm ss`` to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    type: Literal["date_format"]
    source: str = Field(alias="from")
    to: str


class Extract(_Shape):
    """Takes the value at a path of the whole reference, ``extra.composition[0]``."""

    type: Literal["extract"]
    path: str


class Constant(_Shape):
    """Always this value."""

    type: Literal["constant"]
    value: Any


class Truncate(_Shape):
    """Keeps the first ``length`` characters."""

    type: Literal["truncate"]
    length: int = Field(ge=1, le=10_000)


class Round(_Shape):
    """Rounds a number half up to ``digits`` decimals."""

    type: Literal["round"]
    digits: int = Field(default=0, ge=0, le=12)


class Cel(_Shape):
    """A CEL expression over the reference's fields and ``value``, the value so far."""

    type: Literal["cel"]
    expression: str


Rule = Annotated[
    Rename | Case | Concat | Split | Join | ValueMap | Default | DateFormat | Extract | Constant | Truncate | Round | Cel,
    Field(discriminator="type"),
]


class FieldMapping(_Shape):
    """What becomes of one source field: rules in order, then stored in ``target``.

    ``target`` left out means the same field, ``null`` that the field is not copied at all.
    """

    target: str | None = None
    rules: list[Rule] = Field(default=[], max_length=20)

    @property
    def is_dropped(self) -> bool:
        """Whether the configuration says ``target: null``."""
        return self.target is None and "target" in self.model_fields_set


class Batch(_Shape):
    """When a link's batch runs."""

    schedule: str
    timezone: str = "UTC"

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

    lag_minutes: int = Field(default=30, ge=1)
    waiting: int = Field(default=10_000, ge=1)


class Brake(_Shape):
    """How many deletions need a person: more than ``share`` of the secondary, or more than ``references``."""

    share: float = Field(default=0.2, ge=0, le=1)
    references: int = Field(default=1_000, ge=0)


class Link(_Shape):
    """One secondary account fed from one main account.

    Attributes:
        webhooks: Follow the main account's webhooks.
        batch: Compare by batch at these times; both may be on.
        active: A paused link keeps collecting what is to be done and does it when resumed.
        requests_per_second: Pace of this link below the account's quota.
        retries: Tries after the first before a reference becomes a dead letter.
        on_foreign_change: What to do where somebody else changed what we last wrote.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    main: str
    secondary: str
    webhooks: bool = True
    batch: Batch | None = None
    active: bool = True
    requests_per_second: float | None = Field(default=None, gt=0)
    retries: int = Field(default=1, ge=0, le=20)
    on_foreign_change: Literal["overwrite", "hold"] = "overwrite"
    filter: LinkFilter = LinkFilter()
    mapping: dict[str, FieldMapping] = {}
    brake: Brake = Brake()
    alerts: LinkAlerts = LinkAlerts()

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
