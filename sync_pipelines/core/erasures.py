"""Personal data that has to go after a time: rules, what carries them out, and the record of what was erased.

A rule says after how many days; most of them follow from a stream's `personal.Personal`. Erasing empties columns and takes places
out of ``raw``; dead letters are cleaned, and what only passes through (archived pages, deliveries, finished work) is dropped
if it is older than the rule allows. Waiting work is left alone. Every rule can be carried out again at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal
from sqlalchemy import BigInteger, Column, Identity, Table, Text

from sync_pipelines.core.db import Database
from sync_pipelines.core.personal import Personal, text_without
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

CHUNK = 1_000
"""Rows cleaned in one transaction."""

erasures_table = Table(
    "erasures",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    instant("erased_at", nullable=False),
    Column("account", Text, nullable=False),
    Column("rule", Text, nullable=False, comment="Why it had to go"),
    Column("place", Text, nullable=False, comment="Table it was erased from"),
    Column("rows", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    schema=SYNC_SCHEMA,
    comment="Personal data erased by rule: when, where and how much, never what; kept without limit",
)


@dataclass(frozen=True, slots=True)
class Erasing:
    """One account's turn.

    Attributes:
        database: Ours.
        account: ``vendor/name``.
        settings: The account's settings model.
        now: Aware UTC.
        days: What the rule's setting says.
        run_id: The Dagster run that erases.
    """

    database: Database
    account: str
    settings: Any
    now: datetime
    days: int
    run_id: str

    @property
    def before(self) -> datetime:
        """What is older has to go."""
        return self.now - timedelta(days=self.days)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of personal data, and when it has to go.

    Attributes:
        name: The account's setting that says after how many days.
        days: Its value; ``None`` erases nothing.
        erase: Carries it out; answers how many rows of each place were cleaned. Again and again it finds less and less.
    """

    name: str
    days: Callable[[Any], int | None]
    erase: Callable[[Erasing], Mapping[str, int]]


def stream_rules(streams: Iterable[Stream[Any]]) -> list[Rule]:
    """The rules that follow from what streams declare as personal."""
    return [
        Rule(
            name=stream.personal.rule,
            days=stream.personal.days,
            erase=lambda erasing, stream=stream, personal=stream.personal: _erase_stream(erasing, stream, personal),  # type: ignore[misc]
        )
        for stream in streams
        if stream.personal is not None
    ]


def carry_out(
    rules: Iterable[Rule], database: Database, account: str, settings: Any, *, now: datetime, run_id: str
) -> Counter[str]:
    """Carries an account's rules out and records what each of them erased.

    Args:
        rules: Of the account's vendor.
        database: Ours.
        account: ``vendor/name``.
        settings: The account's settings model.
        now: Aware UTC.
        run_id: The Dagster run that erases.

    Returns:
        Rows cleaned by place.
    """
    total: Counter[str] = Counter()
    for rule in rules:
        days = rule.days(settings)
        if days is None:
            continue
        places = rule.erase(Erasing(database, account, settings, now, days, run_id))
        with database.transaction() as connection:
            record(connection, account, f"{rule.name}={days}", places, run_id=run_id)
        total.update(places)
    return total


def record(connection: Connection[Any], account: str, rule: str, rows: Mapping[str, int], *, run_id: str) -> None:
    """Notes how many rows of each place were cleaned; places without any leave no trace."""
    for place, count in rows.items():
        if count:
            connection.execute(
                "INSERT INTO sync.erasures (erased_at, account, rule, place, rows, run_id)"
                " VALUES (clock_timestamp(), %s, %s, %s, %s, %s)",
                [account, rule, place, count, run_id],
            )


def _erase_stream(erasing: Erasing, stream: Stream[Any], personal: Personal) -> dict[str, int]:
    """Everywhere a stream's records lie. Tombstones' rules leave letters and pages alone: they are of living records."""
    places = {stream.table.fullname: erase_rows(erasing, stream.table, personal)}
    if personal.since == "version":
        places["sync.dead_letters"] = erase_letters(erasing, personal.fields, subject=stream.key)
        places |= _drop_passing(erasing, stream.key)
    return places


def erase_rows(erasing: Erasing, table: Table, personal: Personal) -> int:
    """Empties columns and takes places out of ``raw``; the content hash stays, see `personal`."""
    name = Identifier(table.schema or "public", table.name)
    old = SQL("account = {} AND {} < {}").format(Literal(erasing.account), Identifier(personal.since), Literal(erasing.before))
    with erasing.database.connect() as connection:
        rows = connection.execute(SQL("SELECT ctid::text FROM {} WHERE {} AND ({})").format(name, old, _still_there(personal)))
        places = [place for (place,) in rows.fetchall()]
    update = SQL("UPDATE {} SET {}, synced_at = clock_timestamp(), run_id = {} WHERE ctid = ANY(%s::tid[]) AND {}").format(
        name, _emptied(personal), Literal(erasing.run_id), old
    )
    count = 0
    for start in range(0, len(places), CHUNK):
        with erasing.database.transaction() as connection:
            count += connection.execute(update, [places[start : start + CHUNK]]).rowcount
    return count


def erase_letters(erasing: Erasing, fields: tuple[str, ...] | None, *, subject: str) -> int:
    """Cleans dead letters of a subject that are old enough: payload, what it was before an edit, and answer."""
    with erasing.database.connect() as connection:
        rows = connection.execute(
            "SELECT id FROM sync.dead_letters WHERE account = %s AND subject = %s AND opened_at < %s ORDER BY id",
            [erasing.account, subject, erasing.before],
        )
        ids = [letter_id for (letter_id,) in rows.fetchall()]
    return sum(_erase_letter(erasing.database, letter_id, fields) for letter_id in ids)


def _erase_letter(database: Database, letter_id: int, fields: tuple[str, ...] | None) -> int:
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT payload, original, response FROM sync.dead_letters WHERE id = %s FOR UPDATE", [letter_id]
        ).fetchone()
        parts = [None if part is None else bytes(part) for part in row or ()]
        kept = [None if part is None else text_without(part, fields) for part in parts]
        if kept == parts:
            return 0
        connection.execute(
            "UPDATE sync.dead_letters SET payload = %s, original = %s, response = %s WHERE id = %s", [*kept, letter_id]
        )
    return 1


def _drop_passing(erasing: Erasing, stream: str) -> dict[str, int]:
    """Drops pages, deliveries and finished work older than the rule allows; with the usual days they are long gone."""
    old = [erasing.account, erasing.before]
    with erasing.database.connect() as connection:
        return {
            "sync.archive": connection.execute(
                "DELETE FROM sync.archive WHERE account = %s AND received_at < %s AND stream = %s", [*old, stream]
            ).rowcount,
            "sync.deliveries": connection.execute(
                "DELETE FROM sync.deliveries WHERE account = %s AND received_at < %s", old
            ).rowcount,
            "sync.tasks_done": connection.execute(
                "DELETE FROM sync.tasks_done WHERE account = %s AND finished_at < %s", old
            ).rowcount,
        }


def _still_there(personal: Personal) -> Composed:
    """Whether a row still has any of it."""
    found: list[Composable] = [SQL("{} IS NOT NULL").format(Identifier(name)) for name in personal.columns]
    if personal.fields is None:
        found.append(SQL("raw <> '{}'"))
    else:
        top = [field for field in personal.fields if "." not in field]
        found += [SQL("raw ?| {}").format(Literal(top))] if top else []
        found += [SQL("raw #> {} IS NOT NULL").format(Literal(field.split("."))) for field in personal.fields if "." in field]
    return SQL(" OR ").join(found)


def _emptied(personal: Personal) -> Composed:
    """The assignments that take it away."""
    raw: Composable = SQL("'{}'::jsonb")
    if personal.fields is not None:
        top = [field for field in personal.fields if "." not in field]
        raw = SQL("raw - {}::text[]").format(Literal(top))
        for field in personal.fields:
            if "." in field:
                raw = SQL("({}) #- {}").format(raw, Literal(field.split(".")))
    return SQL(", ").join([*(SQL("{} = NULL").format(Identifier(name)) for name in personal.columns), SQL("raw = {}").format(raw)])
