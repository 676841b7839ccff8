"""What a queue and its tasks are, and the two tables that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Sequence, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.jsons import Json
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata


class State(StrEnum):
    """Where a task stands. Of one key at most one task is ever ``leased``."""

    NEW = "new"
    """Put behind another task of its key; the next claim makes sure that the other one is still there."""
    BEHIND = "behind"
    """Waits until the task ahead of it is finished."""
    READY = "ready"
    """First of its key: the next claim may take it."""
    LEASED = "leased"
    """A worker has it until ``due_at``."""
    RETRYING = "retrying"
    """Waits until ``due_at`` for its next attempt, and holds back everything behind it."""


class Outcome(StrEnum):
    """How a task left the queue."""

    DONE = "done"
    DEAD = "dead"
    PURGED = "purged"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """One queue, declared once beside the code that works it.

    Attributes:
        name: ``sendcloud-dlq``; stored with every task.
        retry_delays: Wait before each further attempt. After the last one a failing task is dead.
        lease: How long a claimed task belongs to its worker without `extend`.
        supersede: A newer task of a key takes the place of a waiting older one instead of queueing behind it.
        batch_size: How many tasks a worker claims at once.
        max_lost_leases: How often a worker may vanish with a task before the task itself is suspected and buried.
    """

    name: str
    retry_delays: tuple[timedelta, ...] = (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20))
    lease: timedelta = timedelta(minutes=2)
    supersede: bool = False
    batch_size: int = 100
    max_lost_leases: int = 5


class NewTask(Struct, frozen=True, kw_only=True, gc=False):
    """Work to be done.

    Attributes:
        account: ``vendor/name``, or whatever else takes fair turns (the id of a link).
        key: Tasks of one key are done one at a time, in order.
        payload: What the worker needs to know; ids rather than personal data.
        lane: Whose quota the work uses.
        priority: Smaller is earlier within an account; default the lane's rank.
    """

    account: str
    key: str
    payload: Json = None
    lane: Lane = Lane.LIVE
    priority: int | None = None


class Task(Struct, frozen=True, kw_only=True, gc=False):
    """Claimed work.

    Attributes:
        id: Number within the database; smaller is older.
        queue: Name of its `QueueSpec`.
        account: See `NewTask.account`.
        key: See `NewTask.key`.
        payload: See `NewTask.payload`.
        priority: See `NewTask.priority`.
        lane: See `NewTask.lane`.
        attempts: How often it was claimed, this time included; claims given back do not count.
        lost_leases: How often a worker vanished with it.
        fence: Number of this claim, higher than any before.
        created_at: Since when its oldest unapplied change waits, aware UTC.
    """

    id: int
    queue: str
    account: str
    key: str
    payload: Json
    priority: int
    lane: Lane
    attempts: int
    lost_leases: int
    fence: int
    created_at: datetime


fence_sequence = Sequence("task_fence", schema=SYNC_SCHEMA, metadata=metadata, data_type=BigInteger)
"""Every claim draws one number; a later claim's is higher."""

_STORAGE = {"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02", "autovacuum_analyze_scale_factor": "0.05"}
"""Room for updates in place, and vacuum long before a fifth of a large queue is dead."""

task_table = Table(
    "tasks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("queue", Text, nullable=False, comment="Name of the queue"),
    Column("account", Text, nullable=False, comment="vendor/name, or the link: takes fair turns with others"),
    Column("key", Text, nullable=False, comment="Tasks of one key are done one at a time, in order"),
    Column("payload", JSONB, nullable=False, comment="What the worker needs to know"),
    Column("priority", SmallInteger, nullable=False, comment="Smaller is earlier within an account"),
    Column("lane", Text, nullable=False, comment="Whose quota the work uses"),
    Column("state", Text, nullable=False, comment="new, behind, ready, leased or retrying"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="Claims so far"),
    Column("lost_leases", Integer, nullable=False, server_default=text("0"), comment="How often a worker vanished with it"),
    Column("superseded", Integer, nullable=False, server_default=text("0"), comment="Older tasks this one took the place of"),
    Column("fence", BigInteger, nullable=False, server_default=text("0"), comment="Number of the last claim"),
    instant("due_at", comment="leased: end of the lease; retrying: time of the next attempt"),
    Column("worker", Text, comment="Who has the lease"),
    Column("error", Text, comment="Why the last attempt failed"),
    instant("created_at", nullable=False, server_default=text("clock_timestamp()")),
    Index("ix_tasks_key", "queue", "account", "key", "state", "id"),
    Index("ix_tasks_ready", "queue", "account", "priority", "id", postgresql_where=text("state = 'ready'")),
    Index("ix_tasks_due", "queue", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("ix_tasks_new", "queue", "id", postgresql_where=text("state = 'new'")),
    schema=SYNC_SCHEMA,
    comment="Work that waits or is being done",
    postgresql_with=_STORAGE,
)

tasks_done_table = Table(
    "tasks_done",
    metadata,
    instant("finished_at", nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("queue", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("lane", Text, nullable=False),
    Column("outcome", Text, nullable=False, comment="done, dead or purged"),
    Column("attempts", Integer, nullable=False),
    Column("superseded", Integer, nullable=False, comment="Older tasks this one took the place of"),
    Column("worker", Text),
    Column("error", Text, comment="Why it is dead, or why an earlier attempt failed"),
    instant("created_at", nullable=False),
    Index("ix_tasks_done_key", "queue", "account", "key"),
    schema=SYNC_SCHEMA,
    comment="Finished work, by day, for look-up and replay",
    postgresql_partition_by="RANGE (finished_at)",
)
