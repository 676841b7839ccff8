"""What our own tables say about all streams at once: a handful of bounded queries, however many streams there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy import Table

from sync_pipelines.core.windows import Window
from sync_pipelines.overview.models import Alert, DayVolume, LetterCount, LetterLine, Trust

Subject = tuple[str, str]
"""Account and stream (or job, queue, link)."""

COUNTED_BELOW_BYTES = 1_048_576
"""Tables up to this size are counted; larger ones are estimated, which costs the same however large they are."""

_VOLUMES = """
select day, account, stream, complete, partial, failed, canceled, inserted + updated + deleted as rows, fetched, dead_lettered,
       api_calls, duration_s::float8 as duration_s
from sync.daily_volumes
where day >= %(since)s and (%(account)s::text is null or (account = %(account)s and stream = %(stream)s))
order by day
"""

_LETTERS = """
select account, subject, state, cause, count(*) as count, min(opened_at) as oldest_at
from sync.dead_letters where state <> 'resolved' group by account, subject, state, cause order by count(*) desc, 1, 2, 3, 4
"""

_NEWEST_LETTERS = """
select id, account, subject, state, cause, attempts, seen, opened_at, next_attempt_at, run_id
from sync.dead_letters where state <> 'resolved' order by id desc limit %s
"""

_TRUST = """
select wanted.account, wanted.stream, last.checked_at, last.run_id, last.scope, last.equal, last.repaired, last.different
from unnest(%(accounts)s::text[], %(streams)s::text[]) as wanted(account, stream)
cross join lateral (
    select * from sync.reconciliations r where r.account = wanted.account and r.stream = wanted.stream
    order by r.checked_at desc limit 1
) last
"""

_ALERTS = """
select id, rule, subject, severity, summary, opened_at, last_seen_at, seen_count, closed_at, run_id
from sync.alerts where {} limit %s
"""


@dataclass(frozen=True, slots=True)
class Day:
    """A `DayVolume` with what averages need."""

    volume: DayVolume
    duration_s: float

    @property
    def ended(self) -> int:
        """Runs that ended by themselves."""
        return self.volume.complete + self.volume.partial + self.volume.failed


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The confirmed windows of one stream, oldest first."""

    origin: datetime
    windows: tuple[Window, ...]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a stream has of an account; what would be slow to find out is ``None``."""

    living: int = 0
    tombstones: int | None = 0
    last_written_at: datetime | None = None
    is_estimated: bool = False


def volumes(
    connection: Connection[Any], since: date, *, account: str | None = None, stream: str | None = None
) -> dict[Subject, list[Day]]:
    """Daily volumes from a day on, of all subjects or of one, oldest first."""
    found: dict[Subject, list[Day]] = {}
    rows = connection.execute(_VOLUMES, {"since": since, "account": account, "stream": stream}).fetchall()
    for day, of_account, of_stream, complete, partial, failed, canceled, written, fetched, letters, calls, duration in rows:
        ended = complete + partial + failed
        volume = DayVolume(
            day=day,
            complete=complete,
            partial=partial,
            failed=failed,
            canceled=canceled,
            rows=written,
            fetched=fetched,
            dead_lettered=letters,
            api_calls=calls,
            average_duration_s=round(duration / ended, 1) if ended else None,
        )
        found.setdefault((of_account, of_stream), []).append(Day(volume, duration))
    return found


def confirmed(connection: Connection[Any]) -> dict[Subject, Confirmed]:
    """The confirmed windows of all streams."""
    rows = connection.execute("select account, stream, origin, confirmed, updated_at from sync.windows").fetchall()
    return {
        (account, stream): Confirmed(
            _utc(origin),
            tuple(Window(_utc(item.lower), _utc(item.upper)) for item in ranges if item.lower and item.upper),
            _utc(updated),
        )
        for account, stream, origin, ranges, updated in rows
    }


def letter_counts(connection: Connection[Any]) -> list[LetterCount]:
    """Unresolved dead letters by kind, most first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [LetterCount(**row) for row in cursor.execute(_LETTERS)]


def newest_letters(connection: Connection[Any], limit: int = 50) -> list[LetterLine]:
    """The newest unresolved dead letters, without their content."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [LetterLine(**row) for row in cursor.execute(_NEWEST_LETTERS, [limit])]


def holds(connection: Connection[Any]) -> dict[Subject, int]:
    """Open holds."""
    rows = connection.execute("select account, subject, count(*) from sync.holds where closed_at is null group by account, subject")
    return {(account, subject): count for account, subject, count in rows}


def trust(connection: Connection[Any], subjects: Collection[Subject]) -> dict[Subject, Trust]:
    """The last reconciliation of each stream that had one."""
    wanted = {"accounts": [account for account, _ in subjects], "streams": [stream for _, stream in subjects]}
    with connection.cursor(row_factory=dict_row) as cursor:
        return {(row.pop("account"), row.pop("stream")): Trust(**row) for row in cursor.execute(_TRUST, wanted)}


def open_alert_count(connection: Connection[Any]) -> int:
    """Alerts that stand now."""
    row = connection.execute("select count(*) from sync.alerts where closed_at is null").fetchone()
    return row[0] if row else 0


def alerts(connection: Connection[Any], *, is_open: bool, limit: int = 100) -> Iterator[Alert]:
    """Alerts that stand (newest first), or those closed last."""
    where = SQL("closed_at is null order by opened_at desc" if is_open else "closed_change is not null order by closed_change desc")
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(SQL(_ALERTS).format(where), [limit]):
            run_id = str(row.pop("run_id") or "") or None
            yield Alert(**row, run_id=run_id, run_url=None)


def rows_of(
    connection: Connection[Any], tables: Mapping[str, Table], subjects: Collection[Subject], *, exactly: bool
) -> dict[Subject, Rows]:
    """How many rows each stream has of each account.

    Args:
        connection: Any.
        tables: Stream to its table.
        subjects: Account and stream.
        exactly: Counts large tables too, which reads them whole.
    """
    names = {stream: f"{table.schema}.{table.name}" for stream, table in tables.items()}
    sizes = dict(
        connection.execute(
            "select name, coalesce(pg_relation_size(to_regclass(name)), 0) from unnest(%s::text[]) as name", [list(names.values())]
        ).fetchall()
    )
    counted = [stream for stream, name in names.items() if exactly or sizes[name] <= COUNTED_BELOW_BYTES]
    found = {subject: Rows() for subject in subjects}
    found |= {subject: rows for subject, rows in _count(connection, tables, counted) if subject in found}
    for account, stream in subjects:
        if stream not in counted:
            found[account, stream] = _estimate(connection, tables[stream], account)
    return found


def _count(connection: Connection[Any], tables: Mapping[str, Table], streams: Collection[str]) -> Iterator[tuple[Subject, Rows]]:
    if not streams:
        return
    one = SQL(
        "select {} as stream, account, count(*) filter (where deleted_at is null), count(*) filter (where deleted_at is not null),"
        " max(synced_at) from {} group by account"
    )
    query: Composed = SQL(" union all ").join(one.format(Literal(stream), _name(tables[stream])) for stream in streams)
    for stream, account, living, tombstones, written in connection.execute(query):
        yield (account, stream), Rows(living, tombstones, _utc(written) if written else None)


def _estimate(connection: Connection[Any], table: Table, account: str) -> Rows:
    """The planner's own guess, from the table's statistics."""
    query = SQL("explain (format json) select 1 from {} where account = {} and deleted_at is null")
    row = connection.execute(query.format(_name(table), Literal(account))).fetchone()
    guessed = row[0][0]["Plan"]["Plan Rows"] if row else 0
    return Rows(int(guessed), None, None, is_estimated=True)


def _name(table: Table) -> Identifier:
    return Identifier(table.schema or "public", table.name)


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)
