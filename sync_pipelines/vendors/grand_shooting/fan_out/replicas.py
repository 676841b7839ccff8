"""What each secondary holds, as last written: read for deciding, recorded with the tasks that did it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from sync_pipelines.core.queue import Task
from sync_pipelines.vendors.grand_shooting.fan_out.decide import Action, Decision, Replica

_READ = """
select ref, target_ref, secondary_reference_id, state, applied_hash, case when %(content)s then applied end
from grand_shooting.replicas where link = %(link)s and ref = any(%(refs)b)
"""

_WRITTEN = """
insert into grand_shooting.replicas as p (link, ref, target_ref, secondary_reference_id, state, seen, applied_hash, applied_version,
    applied, applied_at, run_id)
select %(link)s, u.ref, u.target_ref, u.id, 'applied', u.seen, u.hash, u.version, u.applied::jsonb, clock_timestamp(), %(run_id)s
from unnest(%(refs)b::text[], %(targets)b::text[], %(ids)b::bigint[], %(seen)b::bytea[], %(hashes)b::bytea[],
            %(versions)b::timestamptz[], %(applied)b::text[]) as u (ref, target_ref, id, seen, hash, version, applied)
on conflict (link, ref) do update set target_ref = excluded.target_ref, secondary_reference_id = excluded.secondary_reference_id,
    state = 'applied', seen = excluded.seen, applied_hash = excluded.applied_hash, applied_version = excluded.applied_version,
    applied = excluded.applied, applied_at = excluded.applied_at, last_error = null, run_id = excluded.run_id
where p.applied_version is null or p.applied_version <= excluded.applied_version
"""
"""The guard holds by itself, since the queue leases one task of a reference; it is there for whoever writes without it."""

_UNSURE = """
insert into grand_shooting.replicas as p (link, ref, target_ref, state)
select %(link)s, u.ref, u.target_ref, 'writing' from unnest(%(refs)b::text[], %(targets)b::text[]) as u (ref, target_ref)
on conflict (link, ref) do update set state = 'writing', target_ref = excluded.target_ref where p.secondary_reference_id is null
"""

_LEFT = """
with gone as (
    delete from grand_shooting.intents where link = any(%(links)s) returning link, batch, refs, target_refs
)
insert into grand_shooting.replicas as p (link, ref, target_ref, state)
select distinct on (gone.link, u.ref) gone.link, u.ref, u.target_ref, 'writing'
from gone cross join lateral unnest(gone.refs, gone.target_refs) as u (ref, target_ref)
order by gone.link, u.ref, gone.batch desc
on conflict (link, ref) do update set state = 'writing', target_ref = excluded.target_ref where p.secondary_reference_id is null
"""

_GONE = """
insert into grand_shooting.replicas as p (link, ref, state, seen, applied_version, applied_at, run_id)
select %(link)s, u.ref, 'absent', u.seen, u.version, clock_timestamp(), %(run_id)s
from unnest(%(refs)b::text[], %(seen)b::bytea[], %(versions)b::timestamptz[]) as u (ref, seen, version)
on conflict (link, ref) do update set state = 'absent', secondary_reference_id = null, target_ref = null, seen = excluded.seen,
    applied_hash = null, applied = null, applied_version = coalesce(excluded.applied_version, p.applied_version),
    applied_at = excluded.applied_at, last_error = null, run_id = excluded.run_id
"""

_SEEN = """
insert into grand_shooting.replicas as p (link, ref, state, seen)
select %(link)s, u.ref, 'absent', u.seen from unnest(%(refs)b::text[], %(seen)b::bytea[]) as u (ref, seen)
on conflict (link, ref) do update set seen = excluded.seen, state = case p.state when 'applied' then p.state else excluded.state end
where p.seen is distinct from excluded.seen or p.state in ('failed', 'held')
"""

_MARK = """
insert into grand_shooting.replicas as p (link, ref, state, seen, last_error)
values (%(link)s, %(ref)s, %(state)s,
    (select case when r.deleted_at is null then r.content_hash || %(configuration)s else '\\x'::bytea end
     from grand_shooting.references r where r.account = %(main)s and r.ref = %(ref)s), %(error)s)
on conflict (link, ref) do update set state = excluded.state, seen = excluded.seen, last_error = excluded.last_error,
    foreign_at = case when excluded.state = 'held' then clock_timestamp() else p.foreign_at end
"""


def read(connection: Connection[Any], link: str, refs: Sequence[str], *, with_content: bool = False) -> dict[str, Replica]:
    """What was last written for these references; its content only where it is asked for."""
    rows = connection.execute(_READ, {"link": link, "refs": list(refs), "content": with_content}, prepare=True).fetchall()
    return {row[0]: Replica(*row) for row in rows}


def holders(connection: Connection[Any], link: str, target_refs: Sequence[str | None]) -> dict[str, str]:
    """Which main reference each of the secondary's refs belongs to."""
    rows = connection.execute(
        "select target_ref, ref from grand_shooting.replicas where link = %s and target_ref = any(%s)", [link, list(target_refs)]
    ).fetchall()
    return dict(rows)


def intend(connection: Connection[Any], link: str, batch: int, decisions: Sequence[Decision]) -> None:
    """Notes what a batch is about to create, so that a crash leaves nothing behind that nobody knows of: one row, not one each."""
    values = {"refs": [decision.ref for decision in decisions], "targets": [decision.target_ref for decision in decisions]}
    connection.execute(
        "insert into grand_shooting.intents (link, batch, refs, target_refs) values (%(link)s, %(batch)s, %(refs)b, %(targets)b)",
        {"link": link, "batch": batch, **values},
        prepare=True,
    )


def forget(connection: Connection[Any], link: str, batch: int, unsure: Sequence[Decision]) -> None:
    """A batch is settled, except for what was sent without an answer: it becomes ``writing``.

    Such a reference may or may not exist at the secondary; where it is not wanted any more, it is looked for.
    """
    connection.execute("delete from grand_shooting.intents where link = %s and batch = %s", [link, batch], prepare=True)
    if unsure:
        values = {"refs": [decision.ref for decision in unsure], "targets": [decision.target_ref for decision in unsure]}
        connection.execute(_UNSURE, {"link": link, **values})


def recover(connection: Connection[Any], links: Sequence[str]) -> int:
    """What killed batches of these links may have created becomes ``writing``; returns how many references that are."""
    return connection.execute(_LEFT, {"links": list(links)}).rowcount


def record(connection: Connection[Any], link: str, done: Sequence[tuple[Task, Decision, int | None]], *, run_id: str) -> None:
    """Notes what was done, in the transaction that finishes the tasks."""
    written = [(decision, number) for _, decision, number in done if decision.action is Action.WRITE]
    if written:
        decisions = [decision for decision, _ in written]
        connection.execute(
            _WRITTEN,
            {
                "link": link,
                "run_id": run_id,
                "refs": [decision.ref for decision in decisions],
                "targets": [decision.target_ref for decision in decisions],
                "ids": [number for _, number in written],
                "seen": [decision.seen for decision in decisions],
                "hashes": [decision.digest for decision in decisions],
                "versions": [decision.version for decision in decisions],
                "applied": [decision.body.decode() for decision in decisions],
            },
            prepare=True,
        )
    gone = [decision for _, decision, _ in done if decision.action is Action.DELETE]
    if gone:
        values = {"refs": [d.ref for d in gone], "seen": [d.seen for d in gone], "versions": [d.version for d in gone]}
        connection.execute(_GONE, {"link": link, "run_id": run_id, **values}, prepare=True)
    seen = [decision for _, decision, _ in done if decision.action is Action.NOTHING]
    if seen:
        connection.execute(_SEEN, {"link": link, "refs": [d.ref for d in seen], "seen": [d.seen for d in seen]}, prepare=True)


def mark(connection: Connection[Any], link: str, main: str, ref: str, configuration: bytes, state: str, error: str) -> None:
    """Notes why a reference could not be brought up; it is looked at again when reference or configuration change."""
    values = {"link": link, "main": main, "ref": ref, "configuration": configuration, "state": state, "error": error[:2000]}
    connection.execute(_MARK, values)
