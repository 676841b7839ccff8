"""Storing a page: archive, parse, guarded upsert and dead letters, together or not at all.

A record that cannot be parsed or stored becomes one dead letter; its page-mates are stored. Texts of dead letters name the field
and the kind of fault, never the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection
from pydantic import ValidationError

from sync_pipelines.core import archive, dead_letters, faults
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.stream import Page, ParseContext, Stream, WriteContext
from sync_pipelines.core.upsert import Record, UpsertCounts, upsert

_UNKNOWN_SAMPLES = 20


@dataclass(slots=True)
class StoreOutcome:
    """What became of a page or a single record."""

    fetched: int = 0
    counts: UpsertCounts = field(default_factory=UpsertCounts)
    dead_lettered: int = 0
    unknown: int = 0
    unknown_words: set[str] = field(default_factory=set)
    keys: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that could not become a row."""

    raw: bytes
    key: str | None
    cause: str
    text: str


@dataclass(frozen=True, slots=True)
class Storer:
    """Stores pages of one stream and account.

    Args:
        stream: The declaration.
        account: ``vendor/name``.
        run_id: The Dagster run that writes.
        settings: The account's settings model.
        compare_columns: Rewrite rows whose mapping changed, see `upsert.upsert`.
    """

    stream: Stream[Any]
    account: str
    run_id: str
    settings: Any
    compare_columns: bool = False

    def page(self, connection: Connection[Any], page: Page, *, received_at: datetime) -> StoreOutcome:
        """Archives and stores one page inside the caller's transaction.

        Raises:
            ContractError: The page's envelope is not what the stream's ``records`` expects.
        """
        archive.keep(
            connection,
            account=self.account,
            stream=self.stream.key,
            run_id=self.run_id,
            source=page.source,
            request=page.request,
            body=page.body,
            received_at=received_at,
        )
        raws = self.stream.records(page.body, page.source)
        return self.raws(connection, raws, source=page.source, received_at=received_at)

    def raws(self, connection: Connection[Any], raws: Sequence[bytes], *, source: str, received_at: datetime) -> StoreOutcome:
        """Stores records given as JSON text: a page's, an archived page's, or a dead letter's edited one."""
        records, broken = self.parse(raws, source=source, received_at=received_at)
        outcome = StoreOutcome(fetched=len(raws))
        self._store(connection, records, received_at, outcome, broken)
        for record in records:
            outcome.unknown += len(record.unknown)
            if record.unknown and len(outcome.unknown_words) < _UNKNOWN_SAMPLES:
                outcome.unknown_words.update(record.unknown)
        for item in broken:
            dead_letters.open_letter(
                connection,
                dead_letters.NewLetter(
                    account=self.account,
                    subject=self.stream.key,
                    key=item.key or "",
                    cause=item.cause,
                    error=item.text,
                    payload=item.raw,
                    request=source,
                    run_id=self.run_id,
                    retry=self.stream.retry_queue,
                ),
            )
        outcome.dead_lettered = len(broken)
        dead_letters.resolve_newer(connection, self.account, self.stream.key, [letter_key(key) for key in outcome.keys])
        return outcome

    def parse(self, raws: Sequence[bytes], *, source: str, received_at: datetime) -> tuple[list[Record], list[Broken]]:
        """Maps records one by one; those that cannot be mapped come back as `Broken`."""
        context = ParseContext(self.account, source, received_at, self.settings)
        records: list[Record] = []
        broken: list[Broken] = []
        for raw in raws:
            try:
                record = self.stream.parse(raw, context)
                personal = self.stream.personal
                records.append(personal.permitted(record, self.settings, received_at) if personal else record)
            except (ValidationError, DataError) as error:
                fault = faults.describe(error)
                broken.append(Broken(raw, self.stream.key_of(raw, source), fault.cause, fault.text))
        return records, broken

    def _store(
        self, connection: Connection[Any], records: list[Record], now: datetime, outcome: StoreOutcome, broken: list[Broken]
    ) -> None:
        """Stores records; halves a batch that the database refuses until the bad record stands alone."""
        if not records:
            return
        try:
            with connection.transaction():
                context = WriteContext(self.account, self.run_id, now, self.settings)
                kept = self.stream.before_store(connection, context, records) if self.stream.before_store else records
                counts = upsert(
                    connection,
                    self.stream.table,
                    kept,
                    account=self.account,
                    run_id=self.run_id,
                    now=now,
                    children=self.stream.children,
                    version_is_read_time=self.stream.version_is_read_time,
                    compare_columns=self.compare_columns,
                )
                counts.unchanged += len(records) - len(kept)
                if self.stream.after_store:
                    self.stream.after_store(connection, context, records)
        except (psycopg.DataError, psycopg.IntegrityError, DataError) as error:
            if len(records) == 1:
                record = records[0]
                fault = faults.describe(error)
                broken.append(Broken(record.raw, letter_key(record.key), fault.cause, fault.text))
                return
            middle = len(records) // 2
            self._store(connection, records[:middle], now, outcome, broken)
            self._store(connection, records[middle:], now, outcome, broken)
            return
        outcome.counts.add(counts)
        outcome.keys += [record.key for record in records]


def letter_key(key: tuple[Any, ...]) -> str:
    """A vendor key as the text under which dead letters know it."""
    return "/".join(str(part) for part in key)
