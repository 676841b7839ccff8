"""Full scans: where they are, what they have seen, and which rows they no longer see.

A row is buried only after as many complete scans in a row missed it as the stream's policy asks for, and never if so many are
missing at once that the vendor's list is more likely to be wrong than our table: then a hold waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier
from sqlalchemy import ARRAY, BigInteger, Column, Integer, Table, Text

from sync_pipelines.core.db import without_nested_loops
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, key_names, metadata
from sync_pipelines.core.upsert import tombstone

scans_table = Table(
    "scans",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    instant("started_at", nullable=False),
    instant("updated_at", nullable=False),
    Column("next_token", Text, comment="Where the scan goes on; null before its first page is stored and after its last"),
    Column("seen", BigInteger, nullable=False, comment="Keys noted in scan_keys, to notice that those were lost"),
    instant("whole_at", comment="When the latest finished scan began that left nothing out; null before the first"),
    schema=SYNC_SCHEMA,
    comment="Full scans: the one under way or the latest, and since when everything is known to have been read once",
)

scan_keys_table = Table(
    "scan_keys",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("key", ARRAY(Text), primary_key=True),
    schema=SYNC_SCHEMA,
    comment="Keys the scan under way has seen; unlogged, because losing them only means scanning again",
    prefixes=["UNLOGGED"],
)

absences_table = Table(
    "absences",
    metadata,
    Column("account", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("key", ARRAY(Text), primary_key=True),
    Column("times", Integer, nullable=False, comment="Complete scans in a row that missed this row"),
    instant("first_missed_at", nullable=False),
    schema=SYNC_SCHEMA,
    comment="Rows that the latest full scans did not contain",
)


@dataclass(frozen=True, slots=True)
class Burial:
    """What `Scan.bury_absent` did: rows buried, and why it held back, if it did."""

    deleted: int = 0
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """The full scan of one stream and account; all methods use the caller's transaction."""

    account: str
    stream: str

    def resume(self, connection: Connection[Any], token_lifetime: timedelta) -> str | None:
        """The token at which an unfinished scan goes on, or ``None`` after beginning a new one."""
        row = connection.execute(
            "SELECT next_token, seen, updated_at > clock_timestamp() - %s,"
            " (SELECT count(*) FROM sync.scan_keys k WHERE k.account = s.account AND k.stream = s.stream)"
            " FROM sync.scans s WHERE account = %s AND stream = %s",
            [token_lifetime, self.account, self.stream],
        ).fetchone()
        if row is not None:
            token, seen, is_alive, kept = row
            if token is not None and is_alive and seen == kept:
                return str(token)
        self._forget_seen(connection)
        connection.execute(
            "INSERT INTO sync.scans (account, stream, started_at, updated_at, seen)"
            " VALUES (%s, %s, clock_timestamp(), clock_timestamp(), 0) ON CONFLICT (account, stream) DO UPDATE"
            " SET started_at = excluded.started_at, updated_at = excluded.updated_at, next_token = NULL, seen = 0",
            [self.account, self.stream],
        )
        return None

    def whole_at(self, connection: Connection[Any]) -> datetime | None:
        """When the latest finished scan began that left nothing out, aware UTC; ``None`` if there was none.

        Rows alone do not tell: a first scan that was cut off has stored some.
        """
        row = connection.execute(
            "SELECT whole_at FROM sync.scans WHERE account = %s AND stream = %s", [self.account, self.stream]
        ).fetchone()
        return row[0].astimezone(UTC) if row and row[0] else None

    def saw(self, connection: Connection[Any], keys: Iterable[tuple[Any, ...]]) -> None:
        """Notes keys of a stored page."""
        columns = [[str(part) for part in column] for column in zip(*keys, strict=True)]
        if not columns:
            return
        names = SQL(", ").join(Identifier(f"part_{place}") for place in range(len(columns)))
        added = connection.execute(
            SQL(
                "INSERT INTO sync.scan_keys (account, stream, key) SELECT %s, %s, ARRAY[{names}]"
                " FROM unnest({values}) AS seen ({names}) ON CONFLICT DO NOTHING"
            ).format(names=names, values=SQL(", ").join([SQL("%s::text[]")] * len(columns))),
            [self.account, self.stream, *columns],
        ).rowcount
        connection.execute(
            "UPDATE sync.scans SET seen = seen + %s WHERE account = %s AND stream = %s", [added, self.account, self.stream]
        )

    def advance(self, connection: Connection[Any], next_token: str) -> None:
        """Notes that a page is stored and where the next one is."""
        connection.execute(
            "UPDATE sync.scans SET next_token = %s, updated_at = clock_timestamp() WHERE account = %s AND stream = %s",
            [next_token, self.account, self.stream],
        )

    def finish(self, connection: Connection[Any], *, is_whole: bool = True) -> datetime:
        """Ends the scan; returns when it began (aware UTC). `bury_absent` still needs what it saw.

        Args:
            connection: Inside the transaction that stores the last page.
            is_whole: It left nothing out.
        """
        row = connection.execute(
            "UPDATE sync.scans SET next_token = NULL, seen = 0, updated_at = clock_timestamp(),"
            " whole_at = CASE WHEN %s THEN started_at ELSE whole_at END WHERE account = %s AND stream = %s RETURNING started_at",
            [is_whole, self.account, self.stream],
        ).fetchone()
        assert row is not None  # noqa: S101  # resume() has made it
        started: datetime = row[0]
        return started.astimezone(UTC)

    def bury_absent(self, connection: Connection[Any], stream: Stream[Any], *, run_id: str, now: datetime) -> Burial:
        """Counts what the finished scan missed; buries what was missed often enough, unless the brake holds it."""
        policy = stream.deletes
        table = Identifier(stream.table.schema or "public", stream.table.name)
        self._count_missed(connection, table, key_names(stream.table)[1:], now)
        self._forget_seen(connection)
        due = [
            tuple(row[0])
            for row in connection.execute(
                "SELECT key FROM sync.absences WHERE account = %s AND stream = %s AND times >= %s",
                [self.account, self.stream, policy.confirmations],
            ).fetchall()
        ]
        if not due:
            self._close_hold(connection)
            return Burial()
        row = connection.execute(
            SQL("SELECT count(*) FROM {} WHERE account = %s AND deleted_at IS NULL").format(table), [self.account]
        ).fetchone()
        living = row[0] if row else 0
        if len(due) > min(policy.brake_share * living, policy.brake_rows) and not self._is_confirmed(connection):
            return Burial(held=self._hold(connection, due, living))
        counts = tombstone(
            connection,
            stream.table,
            dict.fromkeys(due, now),
            account=self.account,
            run_id=run_id,
            now=now,
            children=stream.children,
        )
        connection.execute(
            "DELETE FROM sync.absences WHERE account = %s AND stream = %s AND times >= %s",
            [self.account, self.stream, policy.confirmations],
        )
        self._close_hold(connection)
        return Burial(deleted=counts.deleted)

    def _count_missed(self, connection: Connection[Any], table: Identifier, key: Sequence[str], now: datetime) -> None:
        """Counts the living rows that the scan did not see in ``sync.absences``; what it saw again is absent no longer."""
        names = SQL(", ").join(SQL("t.{}::text").format(Identifier(name)) for name in key)
        statement = SQL(
            "WITH missed AS (SELECT ARRAY[{names}] AS key FROM {table} t WHERE t.account = %(account)s AND t.deleted_at IS NULL"
            " AND NOT EXISTS (SELECT FROM sync.scan_keys k WHERE k.account = %(account)s AND k.stream = %(stream)s"
            " AND k.key = ARRAY[{names}])),"
            " back AS (DELETE FROM sync.absences a WHERE a.account = %(account)s AND a.stream = %(stream)s"
            " AND NOT EXISTS (SELECT FROM missed m WHERE m.key = a.key))"
            " INSERT INTO sync.absences AS a (account, stream, key, times, first_missed_at)"
            " SELECT %(account)s, %(stream)s, key, 1, %(now)s FROM missed"
            " ON CONFLICT (account, stream, key) DO UPDATE SET times = a.times + 1"
        ).format(names=names, table=table)
        with without_nested_loops(connection):
            connection.execute(statement, {"account": self.account, "stream": self.stream, "now": now})

    def _is_confirmed(self, connection: Connection[Any]) -> bool:
        row = connection.execute(
            "SELECT 1 FROM sync.holds WHERE account = %s AND subject = %s AND kind = 'deletes'"
            " AND closed_at IS NULL AND confirmed_at IS NOT NULL",
            [self.account, self.stream],
        ).fetchone()
        return row is not None

    def _hold(self, connection: Connection[Any], due: Sequence[tuple[str, ...]], living: int) -> str:
        text = (
            f"brake: {len(due)} of {living} rows of {self.stream} at {self.account} are gone from the vendor's list;"
            " nothing is deleted until `sync-pipelines holds confirm` says so"
        )
        connection.execute(
            "INSERT INTO sync.holds (account, subject, kind, detail, opened_at)"
            " SELECT %(account)s, %(stream)s, 'deletes', jsonb_build_object('rows', %(due)s::bigint, 'of', %(living)s::bigint),"
            " clock_timestamp() WHERE NOT EXISTS (SELECT FROM sync.holds WHERE account = %(account)s AND subject = %(stream)s"
            " AND kind = 'deletes' AND closed_at IS NULL)",
            {"account": self.account, "stream": self.stream, "due": len(due), "living": living},
        )
        return text

    def _close_hold(self, connection: Connection[Any]) -> None:
        connection.execute(
            "UPDATE sync.holds SET closed_at = clock_timestamp()"
            " WHERE account = %s AND subject = %s AND kind = 'deletes' AND closed_at IS NULL",
            [self.account, self.stream],
        )

    def _forget_seen(self, connection: Connection[Any]) -> None:
        connection.execute("DELETE FROM sync.scan_keys WHERE account = %s AND stream = %s", [self.account, self.stream])
