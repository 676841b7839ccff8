"""Dead letters: what could not be stored or done, kept until it is.

A letter is ``retrying`` while its retry queue still has attempts for it, ``open`` when it needs a person, ``resolved`` when a newer
version of the same key was stored, a retry succeeded, or a person said so. The same broken record seen again is the same letter.
Error texts name fields and kinds of fault, never values; the payload is kept as received, because it is what has to be mended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, Table, Text, text

from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import is_json
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

letters_table = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="Stream or queue the letter belongs to"),
    Column("key", Text, nullable=False, comment="The vendor's key, or a digest of the payload where there is none"),
    Column("state", Text, nullable=False, comment="retrying, open or resolved"),
    Column("cause", Text, nullable=False, comment="Class of the error; an open vocabulary"),
    Column("error", Text, nullable=False, comment="What is wrong, without values"),
    Column("payload", LargeBinary, nullable=False, comment="The record or task as received, or as edited"),
    Column("original", LargeBinary, comment="The payload before the first edit"),
    Column("request", Text, nullable=False, comment="Source or request the payload belongs to, without secrets"),
    Column("response", LargeBinary, comment="The vendor's answer, cut"),
    Column("queue", Text, comment="Retry queue"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="Retries so far"),
    Column("seen", Integer, nullable=False, server_default=text("1"), comment="How often the same record was found broken"),
    instant("next_attempt_at"),
    instant("opened_at", nullable=False),
    instant("last_seen_at", nullable=False),
    instant("resolved_at"),
    Column("resolved_by", Text, comment="newer version, retry, or a person"),
    Column("run_id", Text, nullable=False, comment="The run that found it"),
    Index("ix_dead_letters_unresolved", "account", "subject", "key", unique=True, postgresql_where=text("state <> 'resolved'")),
    Index("ix_dead_letters_due", "queue", "next_attempt_at", postgresql_where=text("state = 'retrying'")),
    schema=SYNC_SCHEMA,
    comment="What could not be stored or done, until it is",
)

RESPONSE_LIMIT = 64 * 1024

LONGEST_POSTPONED = timedelta(days=7)
"""A letter that nobody could ask about for so long is a person's: its record alone may be what the vendor fails at."""

PAGE = "page"
"""Key of the letter that keeps a whole answer the vendor's contract does not allow; it resolves when reading goes on."""


@dataclass(frozen=True, slots=True)
class RetryQueue:
    """Retries letters by itself before a person is needed.

    Attributes:
        name: ``sendcloud-dlq``.
        delays: Wait before each attempt; after the last one the letter is open.
    """

    name: str
    delays: tuple[timedelta, ...]


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter to be opened; the fields are those of the table."""

    account: str
    subject: str
    key: str
    cause: str
    error: str
    payload: bytes
    request: str
    run_id: str
    response: bytes | None = None
    retry: RetryQueue | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A stored letter; the fields are those of the table."""

    id: int
    account: str
    subject: str
    key: str
    state: str
    cause: str
    error: str
    payload: bytes
    original: bytes | None
    request: str
    response: bytes | None
    queue: str | None
    attempts: int
    seen: int
    next_attempt_at: datetime | None
    opened_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    run_id: str


_COLUMNS = ", ".join(column.name for column in letters_table.columns)


def open_letter(connection: Connection[Any], letter: NewLetter) -> int:
    """Opens a letter, or notes that an unresolved one was seen again; returns its id.

    A payload that changed since restarts the retries: the vendor may have half mended it.
    """
    key = letter.key or f"digest:{hashlib.blake2b(letter.payload, digest_size=8).hexdigest()}"
    delays = letter.retry.delays if letter.retry else ()
    row = connection.execute(
        "INSERT INTO sync.dead_letters AS d (account, subject, key, state, cause, error, payload, request, response, queue,"
        " next_attempt_at, opened_at, last_seen_at, run_id)"
        " VALUES (%(account)s, %(subject)s, %(key)s, %(state)s, %(cause)s, %(error)s, %(payload)s, %(request)s, %(response)s,"
        " %(queue)s, clock_timestamp() + %(delay)s::interval, clock_timestamp(), clock_timestamp(), %(run_id)s)"
        " ON CONFLICT (account, subject, key) WHERE state <> 'resolved' DO UPDATE SET seen = d.seen + 1,"
        " last_seen_at = excluded.last_seen_at, cause = excluded.cause, error = excluded.error, request = excluded.request,"
        " response = excluded.response,"
        " state = CASE WHEN coalesce(d.original, d.payload) = excluded.payload THEN d.state ELSE excluded.state END,"
        " attempts = CASE WHEN coalesce(d.original, d.payload) = excluded.payload THEN d.attempts ELSE 0 END,"
        " next_attempt_at = CASE WHEN coalesce(d.original, d.payload) = excluded.payload THEN d.next_attempt_at"
        " ELSE excluded.next_attempt_at END,"
        " payload = CASE WHEN coalesce(d.original, d.payload) = excluded.payload THEN d.payload ELSE excluded.payload END"
        " RETURNING id",
        {
            "account": letter.account,
            "subject": letter.subject,
            "key": key,
            "state": "retrying" if delays else "open",
            "cause": letter.cause,
            "error": letter.error,
            "payload": letter.payload,
            "request": letter.request,
            "response": letter.response[:RESPONSE_LIMIT] if letter.response else None,
            "queue": letter.retry.name if letter.retry else None,
            "delay": delays[0] if delays else None,
            "run_id": letter.run_id,
        },
    ).fetchone()
    assert row is not None  # noqa: S101  # an upsert always answers a row
    return int(row[0])


def resolve_newer(connection: Connection[Any], account: str, subject: str, keys: Sequence[str]) -> int:
    """Resolves letters of keys that were now stored; one index look-up when there are none. Returns how many."""
    waiting = connection.execute(
        "SELECT 1 FROM sync.dead_letters WHERE account = %s AND subject = %s AND state <> 'resolved' LIMIT 1", [account, subject]
    ).fetchone()
    if waiting is None or not keys:
        return 0
    return connection.execute(
        "UPDATE sync.dead_letters SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'newer version',"
        " next_attempt_at = NULL WHERE account = %s AND subject = %s AND key = ANY(%s) AND state <> 'resolved'",
        [account, subject, list(keys)],
    ).rowcount


def due(connection: Connection[Any], queue: str, *, account: str, subject: str, limit: int = 100) -> list[Letter]:
    """Letters of one account and subject in a retry queue whose time has come, locked for the caller's transaction."""
    with connection.cursor(row_factory=class_row(Letter)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM sync.dead_letters WHERE queue = %s AND state = 'retrying'"  # noqa: S608  # our own column names
            " AND account = %s AND subject = %s AND next_attempt_at <= clock_timestamp()"
            " ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED",
            [queue, account, subject, limit],
        ).fetchall()


def failed_again(connection: Connection[Any], letter: Letter, error: str, retry: RetryQueue) -> bool:
    """Notes a failed retry; True if the letter's attempts are used up, so that it is open now."""
    attempts = letter.attempts + 1
    delay = retry.delays[attempts] if attempts < len(retry.delays) else None
    connection.execute(
        "UPDATE sync.dead_letters SET attempts = %s, error = %s, state = %s, next_attempt_at = clock_timestamp() + %s::interval"
        " WHERE id = %s",
        [attempts, error, "retrying" if delay else "open", delay, letter.id],
    )
    return delay is None


def postpone(connection: Connection[Any], letter: Letter, error: str, retry: RetryQueue) -> None:
    """Tries a letter later without using up an attempt: the record was not judged. A person is told after `LONGEST_POSTPONED`."""
    delay = retry.delays[min(letter.attempts, len(retry.delays) - 1)]
    connection.execute(
        "UPDATE sync.dead_letters SET next_attempt_at = CASE WHEN opened_at > clock_timestamp() - %(longest)s::interval"
        " THEN clock_timestamp() + %(delay)s::interval END,"
        " state = CASE WHEN opened_at > clock_timestamp() - %(longest)s::interval THEN state ELSE 'open' END,"
        " error = CASE WHEN opened_at > clock_timestamp() - %(longest)s::interval THEN error ELSE %(error)s END WHERE id = %(id)s",
        {"longest": LONGEST_POSTPONED, "delay": delay, "error": error, "id": letter.id},
    )


def resolve(connection: Connection[Any], ids: Sequence[int], *, by: str) -> int:
    """Closes letters; returns how many were not resolved before."""
    return connection.execute(
        "UPDATE sync.dead_letters SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = %s, next_attempt_at = NULL"
        " WHERE id = ANY(%s) AND state <> 'resolved'",
        [by, list(ids)],
    ).rowcount


def edit(connection: Connection[Any], letter_id: int, payload: bytes) -> None:
    """Replaces a letter's payload, keeping the first one.

    Raises:
        ConfigError: The text is not JSON, there is no such letter, or it is resolved already.
    """
    if not is_json(payload):
        raise ConfigError(f"dead letter {letter_id}: the edited text is not JSON; nothing was changed")
    changed = connection.execute(
        "UPDATE sync.dead_letters SET original = coalesce(original, payload), payload = %s WHERE id = %s AND state <> 'resolved'",
        [payload, letter_id],
    ).rowcount
    if not changed:
        check_unresolved(connection, letter_id)


def check_unresolved(connection: Connection[Any], letter_id: int) -> None:
    """Makes sure that a letter can still be worked on.

    Raises:
        ConfigError: There is no such letter, or it is resolved.
    """
    row = connection.execute("SELECT state, resolved_by FROM sync.dead_letters WHERE id = %s", [letter_id]).fetchone()
    if row is None:
        raise ConfigError(f"there is no dead letter {letter_id}")
    if row[0] == "resolved":
        raise ConfigError(
            f"dead letter {letter_id} is resolved already (by: {row[1]}); nothing was changed. "
            "If the record is still wrong, read it again: a broken one opens a new letter"
        )


def find(
    connection: Connection[Any],
    *,
    ids: Sequence[int] | None = None,
    states: Sequence[str] = ("open", "retrying"),
    account: str | None = None,
    subject: str | None = None,
    cause: str | None = None,
    limit: int = 1000,
) -> list[Letter]:
    """Letters that fit all given filters, newest first."""
    with connection.cursor(row_factory=class_row(Letter)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM sync.dead_letters WHERE (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))"  # noqa: S608  # as above
            " AND (%(ids)s::bigint[] IS NOT NULL OR state = ANY(%(states)s))"
            " AND (%(account)s::text IS NULL OR account = %(account)s) AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
            " AND (%(cause)s::text IS NULL OR cause = %(cause)s) ORDER BY id DESC LIMIT %(limit)s",
            {
                "ids": list(ids) if ids is not None else None,
                "states": list(states),
                "account": account,
                "subject": subject,
                "cause": cause,
                "limit": limit,
            },
        ).fetchall()


def counts(connection: Connection[Any], *, account: str | None = None, subject: str | None = None) -> Mapping[str, int]:
    """Unresolved letters by state."""
    rows = connection.execute(
        "SELECT state, count(*) FROM sync.dead_letters WHERE state <> 'resolved'"
        " AND (%(account)s::text IS NULL OR account = %(account)s) AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
        " GROUP BY state",
        {"account": account, "subject": subject},
    ).fetchall()
    return dict(rows)


def purge_resolved(connection: Connection[Any], before: datetime, *, most: int) -> int:
    """Deletes at most ``most`` letters resolved before an instant; returns how many."""
    return connection.execute(
        "DELETE FROM sync.dead_letters WHERE id IN (SELECT id FROM sync.dead_letters"
        " WHERE state = 'resolved' AND resolved_at < %s ORDER BY id LIMIT %s)",
        [before, most],
    ).rowcount
