"""The answers of the JSON interface, declared once: the page, ``status --json`` and the OpenAPI document all come from these."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sync_pipelines.core.buckets import Lane


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Health(StrEnum):
    """How something is doing, worst first."""

    FAILING = "failing"
    """Its last run failed."""
    LATE = "late"
    """Its last success is older than it may be."""
    ATTENTION = "attention"
    """It works, but something waits for a person: dead letters, holds, holes, differences."""
    STOPPED = "stopped"
    """A person stopped its schedule."""
    NEW = "new"
    """It has never run."""
    OK = "ok"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Health).index(self)


class RunState(_Answer):
    """One Dagster run."""

    run_id: str
    job: str
    account: str | None
    stream: str | None
    status: str = Field(description="Dagster's word: SUCCESS, FAILURE, CANCELED, STARTED, …")
    started_at: datetime
    ended_at: datetime | None
    url: str


class DayVolume(_Answer):
    """What the runs of one UTC day did."""

    day: date
    complete: int = 0
    partial: int = 0
    failed: int = 0
    canceled: int = 0
    rows: int = Field(default=0, description="Rows inserted, updated or marked deleted")
    fetched: int = Field(default=0, description="Records read from the vendor")
    dead_lettered: int = 0
    api_calls: int = 0
    average_duration_s: float | None = None


class Volumes(_Answer):
    """What the runs of some days did together."""

    days: int
    complete: int
    partial: int
    failed: int
    canceled: int
    rows: int
    success_share: float | None = Field(description="Share of complete and partial among all ended runs, canceled ones left out")
    average_duration_s: float | None


class Span(_Answer):
    """A half-open interval of vendor change time."""

    start: datetime
    end: datetime


class Coverage(_Answer):
    """Which vendor time is known to be stored."""

    origin: datetime = Field(description="Where the stream's history begins")
    confirmed_until: datetime | None
    confirmed: list[Span] = Field(description="The newest hundred confirmed windows, oldest first")
    holes: list[Span] = Field(description="The newest hundred gaps between them, oldest first")


class Trust(_Answer):
    """What the last reconciliation with the vendor's own list found."""

    checked_at: datetime
    scope: str
    equal: int
    repaired: int
    different: int
    run_id: str


class StreamState(_Answer):
    """One stream of one account."""

    stream: str = Field(description="vendor/table")
    account: str = Field(description="vendor/name")
    health: Health
    reasons: list[str] = Field(description="Why it is not ok, in words")
    is_running: bool
    rows: int = Field(description="Living rows")
    rows_are_estimated: bool = Field(description="Large tables are estimated by Postgres' statistics")
    tombstones: int | None = Field(description="Rows of deleted records; null where rows are estimated")
    last_written_at: datetime | None = Field(description="When a row was last written; null where rows are estimated")
    last_success_at: datetime | None
    last_run: RunState | None = Field(description="The last run that ended")
    confirmed_until: datetime | None
    lag_s: float | None = Field(description="Seconds from the end of the confirmed time to now; null for snapshots")
    next_beat_at: datetime | None
    is_stopped: bool = Field(description="Its schedule is stopped in Dagster")
    freshness_s: float = Field(description="Age of the last success above which it is late")
    last_7_days: Volumes
    last_30_days: Volumes
    days: list[DayVolume] = Field(description="The last 30 days, oldest first, today included")
    coverage: Coverage | None = Field(description="null for snapshots and before the first sync")
    holes: int
    open_letters: int
    retrying_letters: int
    holds: int
    trust: Trust | None


class Quota(_Answer):
    """One quota of one account."""

    account: str
    bucket: str
    calls_left: float = Field(description="Calls possible at once")
    capacity: float = Field(description="The most that ever are possible at once")
    used: float = Field(description="Calls of the period that are used")
    limit: float | None = Field(description="Calls the period allows; null where calls are only spaced evenly")
    period_s: float = Field(description="Seconds of the vendor's window, of a whole refill, or between two evenly spaced calls")
    full_at: datetime = Field(description="When it is full again if nobody calls")
    blocked_until: datetime | None
    in_flight: int
    waiting: dict[Lane, int]


class Authorization(_Answer):
    """How old one account's OAuth tokens are; the tokens themselves are nowhere in this picture."""

    account: str
    refreshed_at: datetime | None = Field(description="When the access token was obtained")
    access_expires_at: datetime | None
    refresh_set_at: datetime | None = Field(description="When the refresh token was configured or last rotated")
    refresh_expires_at: datetime | None = Field(description="null where neither the vendor nor the settings say")
    refused_at: datetime | None = Field(description="When the vendor last refused to renew the access token")
    refusal: str | None = Field(description="Its error code")


class JobState(_Answer):
    """A job that is no stream: drains, labels, maintenance."""

    job: str
    account: str
    last_7_days: Volumes
    last_30_days: Volumes


class LinkDay(_Answer):
    """What passed through a link on one UTC day."""

    day: date
    received: int
    processed: int
    failed: int
    dropped: int


class LinkStatus(_Answer):
    """One fan-out link."""

    id: str
    main: str
    secondary: str
    state: Literal["active", "inactive", "paused", "open circuit"]
    health: Health
    trouble: str | None
    waiting: int
    lag_s: float = Field(description="Age of the oldest unfinished task")
    next_batch_at: datetime | None
    failed: int = Field(description="References that could not be written")
    held: int = Field(description="References that wait for a person")
    days: list[LinkDay] = Field(description="The last 30 days, oldest first, today included")


class Credential(_Answer):
    """A credential that ends some day."""

    what: str
    made_on: date
    ends_on: date
    days_left: int = Field(description="Until it ends; negative once it has")


class Tenant(_Answer):
    """One seller tenant: what the view ``amazon.sync_state`` says of it."""

    tenant: str = Field(description="vendor/name")
    last_updated_after: datetime | None = Field(description="Where the next poll begins: the end of what is confirmed")
    last_polled_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None = Field(description="Of the last poll, if it failed")
    failing_since: datetime | None
    orders: int | None = Field(description="Living orders; null on the page, where large tables are not counted")
    order_items: int | None = Field(description="Their lines, likewise")
    credentials: list[Credential] = Field(description="Those whose dates the settings tell")


class DagsterState(_Answer):
    """Dagster itself."""

    is_prepared: bool = Field(description="Whether its tables exist")
    is_beating: bool = Field(description="Whether its daemon was heard of within two minutes")
    daemon_beat_at: datetime | None
    queued: int
    running: int
    url: str


class Status(_Answer):
    """Everything on the front page."""

    at: datetime
    health: Health
    counts: dict[Health, int] = Field(description="Streams by health")
    dagster: DagsterState
    streams: list[StreamState]
    budgets: list[Quota]
    authorizations: list[Authorization]
    links: list[LinkStatus]
    tenants: list[Tenant]
    jobs: list[JobState]
    faults: list[RunState] = Field(description="The newest failed runs of seven days, of any job")
    open_alerts: int


class History(_Answer):
    """One stream's past."""

    stream: str
    account: str
    days: list[DayVolume] = Field(description="Oldest first, today included; days without runs are there with zeros")
    runs: list[RunState] = Field(description="The newest runs, newest first")


class Links(_Answer):
    """All links."""

    at: datetime
    links: list[LinkStatus]


class Line(_Answer):
    """One account's line in one queue."""

    queue: str
    account: str
    waiting: int
    leased: int
    retrying: int
    oldest_s: float
    is_bounded: bool = Field(description="The line is at least so long; counting stopped there")


class LetterCount(_Answer):
    """Unresolved dead letters of one kind."""

    account: str
    subject: str
    state: Literal["open", "retrying"]
    cause: str
    count: int
    oldest_at: datetime


class LetterLine(_Answer):
    """One unresolved dead letter, without what is in it."""

    id: int
    account: str
    subject: str
    state: Literal["open", "retrying"]
    cause: str
    attempts: int
    seen: int
    opened_at: datetime
    next_attempt_at: datetime | None
    run_id: str


class Queues(_Answer):
    """All queues, and the dead letters."""

    at: datetime
    lines: list[Line]
    letter_counts: list[LetterCount]
    letters: list[LetterLine] = Field(description="The newest fifty")


class Alert(_Answer):
    """One entry of the alert ledger."""

    id: int
    rule: str
    subject: str
    severity: str
    summary: str
    opened_at: datetime
    last_seen_at: datetime
    seen_count: int
    closed_at: datetime | None
    run_id: str | None
    run_url: str | None


class Alerts(_Answer):
    """Open alerts, and the newest closed ones."""

    at: datetime
    open: list[Alert]
    closed: list[Alert]


class Problem(_Answer):
    """Why a request was not answered."""

    error: str


def as_json(answer: BaseModel) -> dict[str, Any]:
    """Plain values as they go out."""
    return answer.model_dump(mode="json")
