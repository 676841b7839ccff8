"""Tries dead letters once more. A stream's record is read anew if that is possible, else its kept (or edited) payload is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core import dead_letters
from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import Letter, RetryQueue
from sync_pipelines.core.errors import AuthError, DatabaseUnavailable, RemoteError, Throttled, TransientError
from sync_pipelines.core.store import StoreOutcome, Storer
from sync_pipelines.core.stream import Stream

AWAY_AFTER = 3
"""Letters in a row that the vendor gives no answer to; then it is away, and asking for the others can wait."""


@dataclass(slots=True)
class Resent:
    """What became of letters sent again; postponed ones have used up no attempt."""

    resolved: int = 0
    retrying: int = 0
    opened: int = 0
    postponed: int = 0

    def add(self, other: Resent) -> None:
        """Adds another count to this one."""
        self.resolved += other.resolved
        self.retrying += other.retrying
        self.opened += other.opened
        self.postponed += other.postponed


def resend(
    stream: Stream[Any], letter: Letter, *, database: Database, run_id: str, settings: Any, client: Any | None
) -> str | None:
    """Tries to store one letter's record; returns why it failed, or ``None`` after resolving it.

    Args:
        stream: The letter's stream.
        letter: With its payload, edited or not.
        database: Where it is.
        run_id: The run that writes.
        settings: The account's settings model.
        client: To read the record anew; ``None``, or an edited payload, sends the payload itself.

    Raises:
        RemoteError: The vendor could not be asked; the letter stays as it is.
    """
    storer = Storer(stream, letter.account, run_id, settings)
    now = datetime.now(UTC)
    page = None
    if client is not None and stream.fetch_one is not None and letter.original is None and not letter.key.startswith("digest:"):
        page = stream.fetch_one(client, letter.key)
    with database.transaction() as connection:
        if page is not None:
            outcome = storer.page(connection, page, received_at=now)
        else:
            outcome = storer.raws(connection, [letter.payload], source=letter.request, received_at=now)
        if outcome.dead_lettered or not outcome.fetched:
            return _reason(outcome, database, letter)
        dead_letters.resolve(connection, [letter.id], by=f"run {run_id}")
    return None


def retry_due(
    stream: Stream[Any], *, database: Database, run_id: str, settings: Any, client: Any, account: str, limit: int = 200
) -> Resent:
    """Retries the letters of one stream and account whose time has come, one transaction each."""
    if stream.retry_queue is None:
        return Resent()

    def again(letter: Letter) -> str | None:
        return resend(stream, letter, database=database, run_id=run_id, settings=settings, client=client)

    return retry_letters(stream.key, stream.retry_queue, again, database=database, account=account, run_id=run_id, limit=limit)


def retry_letters(
    subject: str,
    queue: RetryQueue,
    again: Callable[[Letter], str | None],
    *,
    database: Database,
    account: str,
    run_id: str,
    limit: int = 200,
) -> Resent:
    """Retries the letters of one subject and account whose time has come.

    An attempt counts when the vendor, or we, judged the record. A vendor that is throttling, away or refusing the credentials has
    not: the letter comes again later, and needs a person only after `dead_letters.LONGEST_POSTPONED`.

    Args:
        subject: Stream, or what else the letters are about.
        queue: Its delays.
        again: Tries one letter's work; answers why it failed, or ``None``.
        database: Where the letters are.
        account: ``vendor/name``.
        run_id: Noted on resolved letters.
        limit: At most so many.
    """
    done = Resent()
    with database.transaction() as connection:
        letters = dead_letters.due(connection, queue.name, account=account, subject=subject, limit=limit)
    unanswered = 0
    for letter in letters:
        try:
            reason = again(letter)
        except DatabaseUnavailable:
            raise
        except (Throttled, TransientError, AuthError) as error:
            with database.transaction() as connection:
                dead_letters.postpone(connection, letter, f"{type(error).__name__}: the vendor could not be asked again", queue)
            done.postponed += 1
            unanswered += 1
            if unanswered >= AWAY_AFTER or isinstance(error, AuthError):
                break
            continue
        except RemoteError as error:
            reason = f"{type(error).__name__}: the vendor refuses the record"
        unanswered = 0
        with database.transaction() as connection:
            if reason is None:
                dead_letters.resolve(connection, [letter.id], by=f"run {run_id}")
                done.resolved += 1
            elif dead_letters.failed_again(connection, letter, reason, queue):
                done.opened += 1
            else:
                done.retrying += 1
    return done


def _reason(outcome: StoreOutcome, database: Database, letter: Letter) -> str:
    if not outcome.fetched:
        return "the vendor no longer has this record"
    with database.connect() as connection:
        found = dead_letters.find(connection, ids=[letter.id])
    return found[0].error if found else "still broken"
