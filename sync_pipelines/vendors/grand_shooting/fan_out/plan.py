"""Initialising a secondary account: plan first, then let the ordinary drain carry it out.

A plan compares the mirror, filtered and mapped, with everything the secondary has, and changes nothing. Starting it notes what
the secondary already holds and enqueues the rest in the lowest lane: that is all. From then on it is work like any other, so it
survives every crash, yields to live changes and shows its progress as the length of a queue. Many deletions need the plan's id to
be confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import BrakePulled, ConfigError
from sync_pipelines.core.jsons import Json, decode_json, encode_json
from sync_pipelines.core.queue import NewTask, enqueue
from sync_pipelines.vendors.grand_shooting.client import GrandShootingClient
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import FAN_OUT
from sync_pipelines.vendors.grand_shooting.mapping import MappingError, comparable, mapped_hash
from sync_pipelines.vendors.grand_shooting.settings import BULK_SIZE

SAMPLES = 20
_CHUNK = 2_000
Samples = dict[str, list[Json]]

_MIRROR = """
select ref, raw::text, version, content_hash from grand_shooting.references where account = %s and deleted_at is null order by ref
"""

_ADOPT = """
insert into grand_shooting.replicas as p
    (link, ref, target_ref, secondary_reference_id, state, seen, applied_hash, applied_version, run_id)
select %(link)s, i.ref, i.target_ref, i.secondary_reference_id, case when i.action = 'unchanged' then 'applied' else 'known' end,
       case when i.action = 'unchanged' then i.seen end, case when i.action = 'unchanged' then i.digest end,
       case when i.action = 'unchanged' then i.version end, %(run_id)s
from grand_shooting.plan_items i where i.plan = %(plan)s and i.secondary_reference_id is not null
on conflict (link, ref) do update set target_ref = excluded.target_ref, secondary_reference_id = excluded.secondary_reference_id,
    state = excluded.state, seen = excluded.seen, applied_hash = excluded.applied_hash, applied = null
where p.applied_version is null or excluded.applied_version is null or p.applied_version <= excluded.applied_version
"""
"""What the secondary already holds becomes a replica, so that deciding about it needs no further read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What initialising a secondary would do.

    Attributes:
        id: Confirms it where the brake asks for a confirmation.
        link: The link.
        state: ``planned``, ``running`` or ``dropped``.
        counts: ``create``, ``update``, ``delete``, ``unchanged``, ``failed``; ``main``, ``secondary``: both sides' sizes.
        samples: A few references of each kind with what is there and what would be.
        brake: Why it needs a confirmation; ``None`` if it does not.
        created_at: When it was made.
        started_at: When it was started.
    """

    id: int
    link: str
    state: str
    counts: dict[str, int]
    samples: dict[str, list[Json]]
    brake: str | None
    created_at: datetime
    started_at: datetime | None

    @property
    def calls(self) -> int:
        """Calls it takes at least."""
        return -(-(self.counts["create"] + self.counts["update"]) // BULK_SIZE) + self.counts["delete"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a started plan is; a reference that changed since is a live change and no longer counted."""

    total: int
    left: int
    seconds_left: float


@dataclass(slots=True)
class _Wanted:
    """One reference the secondary should hold."""

    ref: str
    digest: bytes
    fields: tuple[str, ...]
    seen: bytes
    version: datetime


def make_plan(database: Database, working: WorkingLink, client: GrandShootingClient) -> Plan:
    """Compares both sides and keeps the result; an older plan of the link that was not started is dropped.

    Args:
        database: Mirror and plans.
        working: The link.
        client: Of the secondary, in a low lane; it is read as a whole (100 references a call).
    """
    wanted, counts, samples = _wanted(database, working)
    items: list[tuple[Any, ...]] = []
    counts["secondary"] = 0
    for page in client.pages():
        for raw in page.items():
            counts["secondary"] += 1
            items.append(_compare(decode_json(raw), wanted, counts, samples))
    for target_ref, want in wanted.items():
        counts["create"] += 1
        _sample(samples, "create", {"ref": want.ref})
        items.append(("create", want.ref, target_ref, None, want.seen, want.digest, want.version))
    living = max(counts["secondary"], 1)
    brake = working.link.brake
    braked = None
    if counts["delete"] > brake.references or counts["delete"] > brake.share * living:
        braked = f"{counts['delete']} of {counts['secondary']} references of the secondary would be deleted"
    return _keep(database, working.id, counts, samples, braked, items)


def start_plan(connection: Connection[Any], plan: Plan, *, confirmed: int | None, run_id: str) -> int:
    """Starts a plan, once, in the caller's transaction; returns how many tasks it became.

    Args:
        connection: Open transaction.
        plan: From `read_plan`.
        confirmed: A person's confirmation: the plan's id.
        run_id: The run or person that starts it.

    Raises:
        BrakePulled: It deletes too much and was not confirmed.
        ConfigError: It was started or dropped before.
    """
    if plan.brake and confirmed != plan.id:
        raise BrakePulled(f"link {plan.link}: {plan.brake}; confirm with `links initialise {plan.link} --confirm {plan.id}`")
    changed = connection.execute(
        "update grand_shooting.plans set state = 'running', started_at = clock_timestamp() where id = %s and state = 'planned'",
        [plan.id],
    ).rowcount
    if not changed:
        raise ConfigError(f"plan {plan.id} of link {plan.link} was started or dropped before; make a new one")
    connection.execute(_ADOPT, {"link": plan.link, "plan": plan.id, "run_id": run_id})
    done = enqueue(connection, FAN_OUT, _tasks(connection, plan))
    connection.execute("delete from grand_shooting.plan_items where plan = %s", [plan.id])
    return done.added + done.superseded


def read_plan(connection: Connection[Any], link: str, plan_id: int | None = None) -> Plan | None:
    """A link's latest plan, or the given one."""
    with connection.cursor(row_factory=class_row(Plan)) as cursor:
        return cursor.execute(
            "select id, link, state, counts, samples, brake, created_at, started_at from grand_shooting.plans"
            " where link = %s and (%s::bigint is null or id = %s) order by id desc limit 1",
            [link, plan_id, plan_id],
        ).fetchone()


def progress(connection: Connection[Any], plan: Plan, requests_per_second: float) -> Progress:
    """How much of a started plan still waits, and how long the quota makes that take."""
    row = connection.execute(
        "select count(*), count(*) filter (where payload ->> 'action' = 'delete') from sync.tasks"
        " where queue = %s and account = %s and (payload ->> 'plan')::bigint = %s",
        [FAN_OUT.name, plan.link, plan.id],
    ).fetchone()
    left, deletes = row or (0, 0)
    total = plan.counts["create"] + plan.counts["update"] + plan.counts["delete"]
    return Progress(total, left, ((left - deletes) / BULK_SIZE + deletes) / requests_per_second)


def _wanted(database: Database, working: WorkingLink) -> tuple[dict[str, _Wanted], dict[str, int], Samples]:
    """What the secondary should hold by its own ref, read in a stream."""
    wanted: dict[str, _Wanted] = {}
    counts = dict.fromkeys(("create", "update", "delete", "unchanged", "failed", "main"), 0)
    samples: dict[str, list[Json]] = {}
    with database.transaction() as connection, connection.cursor(name="mirror") as cursor:
        cursor.itersize = _CHUNK
        for ref, raw, version, content_hash in cursor.execute(_MIRROR, [working.link.main]):
            counts["main"] += 1
            reference = decode_json(raw)
            try:
                if not working.replication.passes(reference):
                    continue
                content = working.replication.apply(reference)
            except MappingError as error:
                counts["failed"] += 1
                _sample(samples, "failed", {"ref": ref, "error": str(error)})
                continue
            seen = content_hash + working.configuration
            wanted[content["ref"]] = _Wanted(ref, mapped_hash(content), tuple(content), seen, version)
    return wanted, counts, samples


def _compare(found: Json, wanted: dict[str, _Wanted], counts: dict[str, int], samples: dict[str, list[Json]]) -> tuple[Any, ...]:
    number = int(found["reference_id"])
    want = wanted.pop(found["ref"], None)
    if want is None:
        action, row = "delete", (found["ref"], found["ref"], number, None, None, None)
    else:
        there = comparable(found, dict.fromkeys(want.fields))
        action = "unchanged" if mapped_hash(there) == want.digest else "update"
        row = (want.ref, found["ref"], number, want.seen, want.digest, want.version)  # type: ignore[assignment]
    counts[action] += 1
    _sample(samples, action, {"ref": row[0], "there": found} if action != "unchanged" else {"ref": row[0]})
    return (action, *row)


def _sample(samples: dict[str, list[Json]], kind: str, item: Json) -> None:
    if len(samples.setdefault(kind, [])) < SAMPLES:
        samples[kind].append(item)


def _keep(
    database: Database,
    link: str,
    counts: dict[str, int],
    samples: Samples,
    brake: str | None,
    items: list[tuple[Any, ...]],
) -> Plan:
    with database.transaction() as connection:
        connection.execute(
            "delete from grand_shooting.plan_items where plan in (select id from grand_shooting.plans where link = %s)", [link]
        )
        connection.execute("update grand_shooting.plans set state = 'dropped' where link = %s and state = 'planned'", [link])
        row = connection.execute(
            "insert into grand_shooting.plans (link, state, counts, samples, brake, created_at)"
            " values (%s, 'planned', %s, %s, %s, clock_timestamp()) returning id",
            [link, Jsonb(counts), Jsonb(samples, dumps=encode_json), brake],
        ).fetchone()
        assert row is not None  # noqa: S101 - returning gives one row
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "copy grand_shooting.plan_items (plan, action, ref, target_ref, secondary_reference_id, seen, digest, version)"
                " from stdin"
            ) as copy,
        ):
            for item in items:
                copy.write_row((row[0], *item))
        plan = read_plan(connection, link, row[0])
    assert plan is not None  # noqa: S101 - just inserted
    return plan


def _tasks(connection: Connection[Any], plan: Plan) -> Iterator[NewTask]:
    with connection.cursor(name="plan_items") as cursor:
        cursor.itersize = _CHUNK
        rows = cursor.execute(
            "select ref, action from grand_shooting.plan_items where plan = %s and action <> 'unchanged'"
            " order by action <> 'delete', ref",
            [plan.id],
        )
        for ref, action in rows:
            yield NewTask(account=plan.link, key=ref, payload={"plan": plan.id, "action": action}, lane=Lane.BACKFILL)
