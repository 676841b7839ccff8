"""Brings references of one secondary account up to the mirror: bulk writes, single deletes, and the bad one found by halving.

A batch is: claim, read mirror and replicas, decide, call, then settle tasks and replicas in one transaction. A crash in between
repeats calls that are safe to repeat. Within a batch every reference appears once, because the queue leases one task of a key.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from sync_pipelines.core import dead_tasks, volumes
from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, ContractError, DataError, RemoteError, Throttled, TransientError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.queue import Task, claim, release, retry
from sync_pipelines.vendors.grand_shooting.client import GrandShootingClient
from sync_pipelines.vendors.grand_shooting.fan_out import links as circuits
from sync_pipelines.vendors.grand_shooting.fan_out import replicas
from sync_pipelines.vendors.grand_shooting.fan_out.decide import Action, Decision, Mirrored, Replica, decide, holds
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink
from sync_pipelines.vendors.grand_shooting.mapping import MappingError

CONFLICT = 409
KEPT_LAGS = 100_000
_PROBE = "sync-pipelines-probe"


class ForeignChange(DataError):
    """Somebody else changed what we last wrote, and the link is set to hold."""


@dataclass(slots=True)
class LinkTotals:
    """What was done for one link."""

    claimed: int = 0
    written: int = 0
    deleted: int = 0
    dropped: int = 0
    retried: int = 0
    dead_lettered: int = 0
    bulk_calls: int = 0
    tripped: int = 0
    lags_s: array[float] = field(default_factory=lambda: array("d"))

    def add(self, other: LinkTotals) -> None:
        """Counts what another worker of the link did."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class _Batch:
    """One claimed batch on its way; its calls use the quota of its best lane."""

    tasks: list[Task]
    client: GrandShootingClient
    decisions: dict[int, Decision] = field(default_factory=dict)
    done: list[tuple[Task, Decision, int | None]] = field(default_factory=list)
    failed: list[tuple[Task, DataError]] = field(default_factory=list)
    open: dict[int, Task] = field(init=False)
    intended: bool = False
    unsure: dict[int, Decision] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open = {task.id: task for task in self.tasks}

    @property
    def number(self) -> int:
        """No other batch has it."""
        return self.tasks[0].fence

    def finish(self, task: Task, decision: Decision, reference_id: int | None = None) -> None:
        """The secondary has it, or needs nothing."""
        del self.open[task.id]
        self.unsure.pop(task.id, None)
        self.done.append((task, decision, reference_id))

    def fail(self, task: Task, error: DataError) -> None:
        """It cannot be brought up."""
        del self.open[task.id]
        self.failed.append((task, error))

    def to_do(self, action: Action) -> list[tuple[Task, Decision]]:
        """What is neither done nor failed and needs this."""
        decisions = self.decisions
        return [(task, decisions[number]) for number, task in self.open.items() if decisions[number].action is action]


@dataclass
class Applier:
    """Works one link.

    Args:
        database: Queue, mirror and replicas.
        working: The link.
        client: Opens (or returns) the secondary's client for a lane.
        run_id: The Dagster run.
        bulk_size: References per bulk call.
        claim_size: Tasks claimed at once; several bulk calls share one settlement.
        totals: Counted up.
        is_first: Whether this worker probes a link that failed; the link's other workers wait for it.
    """

    database: Database
    working: WorkingLink
    client: Callable[[Lane], GrandShootingClient]
    run_id: str
    bulk_size: int
    claim_size: int
    totals: LinkTotals
    is_first: bool = True

    def step(self, worker: str, until: datetime | None = None) -> int:
        """Works one batch; returns how many tasks were claimed. An open circuit claims nothing.

        Raises:
            Throttled: Out of quota; the batch was released until then.
            LeaseLost: It took too long; another worker goes on.
        """
        if not self._may_work():
            return 0
        tasks = claim(self.database, self.working.queue, worker, self.claim_size, [self.working.id])
        if not tasks:
            return 0
        self.totals.claimed += len(tasks)
        lane = min({task.lane for task in tasks}, key=lambda lane: lane.rank)
        batch = _Batch(tasks, self.client(lane))
        try:
            self._decide(batch)
            self._intend(batch)
            self._delete(batch)
            self._write(batch)
        except Throttled as error:
            self._settle(batch, delay=max(timedelta(0), error.retry_at - datetime.now(UTC)))
            raise
        except (AuthError, TransientError, ContractError) as error:
            self._settle(batch)
            self._trip(error)
            return len(tasks)
        self._settle(batch)
        return len(tasks)

    # -- the circuit ------------------------------------------------------------------------------------------------------------

    def _may_work(self) -> bool:
        with self.database.connect() as connection:
            state = circuits.circuit(connection, self.working.id)
        if state.is_paused or state.is_open:
            return False
        if state.failures == 0:
            return True
        if not self.is_first:
            return False
        try:
            self.client(Lane.RETRY).by_refs([_PROBE])
        except Throttled:
            return False
        except RemoteError as error:
            self._trip(error)
            return False
        with self.database.connect() as connection:
            circuits.close(connection, self.working.id)
        return True

    def _trip(self, error: RemoteError) -> None:
        with self.database.connect() as connection:
            if not circuits.circuit(connection, self.working.id).is_open:
                circuits.trip(connection, self.working.id, error)
        self.totals.tripped += 1

    # -- deciding ---------------------------------------------------------------------------------------------------------------

    def _decide(self, batch: _Batch) -> None:
        refs = [task.key for task in batch.tasks]
        is_holding = self.working.link.on_foreign_change == "hold"
        with self.database.connect() as connection:
            if any(task.lost_leases for task in batch.tasks):
                replicas.recover(connection, [self.working.id])
            mirrored = _mirrored(connection, self.working.link.main, refs)
            known = replicas.read(connection, self.working.id, refs, with_content=is_holding)
        for task in batch.tasks:
            try:
                decision = decide(
                    self.working.replication,
                    self.working.configuration,
                    mirrored.get(task.key),
                    known.get(task.key),
                    task.key,
                    force=bool((task.payload or {}).get("force")),
                )
            except MappingError as error:
                batch.fail(task, error)
                continue
            batch.decisions[task.id] = decision
            if decision.action is Action.NOTHING:
                batch.finish(task, decision)
        if "ref" in self.working.link.mapping:
            self._find_collisions(batch)
        if is_holding:
            self._find_foreign_changes(batch, known)

    def _find_collisions(self, batch: _Batch) -> None:
        """Two references of the main account must not become one of the secondary."""
        writes = batch.to_do(Action.WRITE)
        with self.database.connect() as connection:
            taken = replicas.holders(connection, self.working.id, [decision.target_ref for _, decision in writes])
        for task, decision in writes:
            holder = taken.setdefault(str(decision.target_ref), task.key)
            if holder != task.key:
                text = f"link {self.working.id}: {task.key} and {holder} both become {decision.target_ref}"
                batch.fail(task, DataError(text, account=self.working.link.secondary))

    def _find_foreign_changes(self, batch: _Batch, known: dict[str, Replica]) -> None:
        changing = [
            (task, known[task.key])
            for task in batch.open.values()
            if task.key in known and known[task.key].applied and not (task.payload or {}).get("force")
        ]
        for start in range(0, len(changing), self.bulk_size):
            part = changing[start : start + self.bulk_size]
            page = batch.client.by_refs([str(replica.target_ref) for _, replica in part])
            found = {item["ref"]: item for item in map(decode_json, page.items())}
            for task, replica in part:
                if not holds(found.get(replica.target_ref), replica.applied):
                    text = f"link {self.working.id}: {task.key} was changed at the secondary by somebody else; resend to overwrite"
                    batch.fail(task, ForeignChange(text, account=self.working.link.secondary))

    def _intend(self, batch: _Batch) -> None:
        """Before anything is created: what a crash would otherwise leave at the secondary unknown."""
        created = [decision for _, decision in batch.to_do(Action.WRITE) if not decision.is_known]
        if created:
            with self.database.connect() as connection:
                replicas.intend(connection, self.working.id, batch.number, created)
            batch.intended = True

    # -- calling ----------------------------------------------------------------------------------------------------------------

    def _write(self, batch: _Batch) -> None:
        writes = batch.to_do(Action.WRITE)
        for start in range(0, len(writes), self.bulk_size):
            self._bulk(batch, writes[start : start + self.bulk_size])

    def _bulk(self, batch: _Batch, writes: Sequence[tuple[Task, Decision]]) -> None:
        """One bulk call; what is refused is halved until the bad reference stands alone."""
        client = batch.client
        self.totals.bulk_calls += 1
        batch.unsure |= {task.id: decision for task, decision in writes if not decision.is_known}
        try:
            written = {item.ref: item.reference_id for item in client.upsert([decision.body for _, decision in writes])}
        except (AuthError, Throttled):
            raise
        except (DataError, TransientError, ContractError) as error:
            if not isinstance(error, DataError):
                client.by_refs([_PROBE])
            if len(writes) > 1:
                middle = len(writes) // 2
                self._bulk(batch, writes[:middle])
                self._bulk(batch, writes[middle:])
                return
            batch.fail(writes[0][0], self._explain(client, writes[0][1], error))
            return
        for task, decision in writes:
            reference_id = written.get(str(decision.target_ref))
            if reference_id is None:
                text = f"link {self.working.id}: the answer of the bulk call does not name {decision.target_ref}"
                batch.fail(task, DataError(text, account=client.account))
                continue
            if decision.old_id is not None and decision.old_id != reference_id:
                client.delete(decision.old_id)
            batch.finish(task, decision, reference_id)

    def _delete(self, batch: _Batch) -> None:
        """Deletes come first, so that a barcode is free before another reference takes it."""
        deletes = batch.to_do(Action.DELETE)
        found = self._found(batch.client, [str(decision.target_ref) for _, decision in deletes if decision.old_id is None])
        for task, decision in deletes:
            number = found.get(str(decision.target_ref)) if decision.old_id is None else decision.old_id
            if number is not None:
                batch.client.delete(number)
            batch.finish(task, decision)

    def _found(self, client: GrandShootingClient, refs: Sequence[str]) -> dict[str, int]:
        """The ids at the secondary of what may have been created there, where it was."""
        found: dict[str, int] = {}
        for start in range(0, len(refs), self.bulk_size):
            items = map(decode_json, client.by_refs(refs[start : start + self.bulk_size]).items())
            found |= {item["ref"]: int(item["reference_id"]) for item in items}
        return found

    def _explain(self, client: GrandShootingClient, decision: Decision, error: RemoteError) -> DataError:
        """What stands alone after halving; an EAN conflict names both references."""
        text = f"link {self.working.id}, ref {decision.ref}: {error}"
        ean = (decision.content or {}).get("ean")
        if error.status == CONFLICT and ean:
            holder = client.holder_of(ean)
            who = holder or "another reference"
            text = f"link {self.working.id}, ref {decision.ref}: its EAN {ean} is held by {who} at the secondary"
        return DataError(text, account=client.account, status=error.status, body=error.body)

    # -- settling ---------------------------------------------------------------------------------------------------------------

    def _settle(self, batch: _Batch, *, delay: timedelta | None = None) -> None:
        """Tasks and replicas together; what was not reached goes back unharmed."""
        left = list(batch.open.values())
        retried = 0
        with self.database.transaction() as connection:
            if batch.intended:
                replicas.forget(connection, self.working.id, batch.number, list(batch.unsure.values()))
            replicas.record(connection, self.working.id, batch.done, run_id=self.run_id)
            dead_tasks.succeed(connection, [task for task, *_ in batch.done])
            for task, error in batch.failed:
                retried += self._fail(connection, task, error)
            release(connection, left, delay=delay)
            dropped = sum(decision.action is Action.NOTHING for _, decision, _ in batch.done)
            dead = len(batch.failed) - retried
            volumes.count(connection, self.working.id, processed=len(batch.done) - dropped, dropped=dropped, failed=dead)
        self._count(batch, dropped, retried)

    def _fail(self, connection: Connection[Any], task: Task, error: DataError) -> bool:
        """Another attempt where one may help, else a dead letter; returns whether it is tried again."""
        can_heal = not isinstance(error, (MappingError, ForeignChange))
        if can_heal and retry(connection, self.working.queue, task, str(error)):
            return True
        state = "held" if isinstance(error, ForeignChange) else "failed"
        replicas.mark(connection, self.working.id, self.working.link.main, task.key, self.working.configuration, state, str(error))
        request = "POST /reference/bulk" if error.status else ""
        dead_tasks.fail(connection, task, describe(error), run_id=self.run_id, request=request, response=error.body or None)
        return False

    def _count(self, batch: _Batch, dropped: int, retried: int) -> None:
        totals, now = self.totals, datetime.now(UTC)
        totals.dropped += dropped
        totals.retried += retried
        totals.dead_lettered += len(batch.failed) - retried
        for task, decision, _ in batch.done:
            totals.written += decision.action is Action.WRITE
            totals.deleted += decision.action is Action.DELETE
            if decision.action is not Action.NOTHING and len(totals.lags_s) < KEPT_LAGS:
                totals.lags_s.append((now - task.created_at).total_seconds())


def _mirrored(connection: Connection[Any], main: str, refs: Iterable[str]) -> dict[str, Mirrored]:
    rows = connection.execute(
        "select ref, raw::text, version, content_hash, deleted_at is not null"
        " from grand_shooting.references where account = %s and ref = any(%b)",
        [main, list(refs)],
        prepare=True,
    ).fetchall()
    return {row[0]: Mirrored(*row) for row in rows}
