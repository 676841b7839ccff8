"""The queue: strict order per key, fair turns across accounts, leases with fencing, retries by schedule.

Producers `enqueue` inside their own transaction, so that work appears together with the data it belongs to. A worker `claim`s a
batch under a lease, does the work and then `finish`es, `retry`s, `release`s or buries each task in a transaction of its own; the
fence that came with the claim makes sure that a worker who lost its lease changes nothing. Delivery is at least once: a worker
killed between its work and `finish` leaves work that is done again.
"""

from sync_pipelines.core.queue.claim import claim
from sync_pipelines.core.queue.enqueue import Enqueued, enqueue
from sync_pipelines.core.queue.model import NewTask, Outcome, QueueSpec, State, Task, task_table, tasks_done_table
from sync_pipelines.core.queue.report import (
    COUNTED_UP_TO,
    DoneTask,
    QueueCounts,
    StoredTask,
    counts,
    find,
    find_done,
    has_work,
    show,
)
from sync_pipelines.core.queue.retention import drop_partitions, ensure_partitions, purge
from sync_pipelines.core.queue.settle import bury, extend, finish, is_exhausted, release, retry, take_back
from sync_pipelines.core.queue.wakeup import CHANNEL, Wakeup, notify

__all__ = [
    "CHANNEL",
    "COUNTED_UP_TO",
    "DoneTask",
    "Enqueued",
    "NewTask",
    "Outcome",
    "QueueCounts",
    "QueueSpec",
    "State",
    "StoredTask",
    "Task",
    "Wakeup",
    "bury",
    "claim",
    "counts",
    "drop_partitions",
    "enqueue",
    "ensure_partitions",
    "extend",
    "find",
    "find_done",
    "finish",
    "has_work",
    "is_exhausted",
    "notify",
    "purge",
    "release",
    "retry",
    "show",
    "take_back",
    "task_table",
    "tasks_done_table",
]
