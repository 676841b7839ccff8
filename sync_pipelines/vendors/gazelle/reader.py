"""What streams read with: whole lists with cheap change detection, and the timeline by time.

A scan pages through a list's ids and change times, compares them with what is stored, and asks only for what differs. Unchanged
records travel on as *seen*, so that a scan knows what exists. At its end every stored record it did not meet is asked for by id:
one that still exists was only moved, one that does not counts as missed (`core.scans` buries it after two such scans).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from psycopg.sql import SQL, Composable, Identifier
from sqlalchemy import Table

from sync_pipelines.core.db import Database, clock, without_nested_loops
from sync_pipelines.core.http import CallStats
from sync_pipelines.core.jsons import Json, decode_json
from sync_pipelines.core.scans import Scan
from sync_pipelines.core.stream import Page
from sync_pipelines.core.windows import Ledger, Window
from sync_pipelines.vendors.gazelle import selections
from sync_pipelines.vendors.gazelle.client import Edge, GazelleClient, ListPage
from sync_pipelines.vendors.gazelle.paging import Place, Position, Walk
from sync_pipelines.vendors.gazelle.selections import Listing, Lookup
from sync_pipelines.vendors.gazelle.settings import Settings

SOURCE = "graphql"
MOST_LOOKUPS = 500
"""If a scan misses more records than this, they are not asked for one by one: the brake on deletions will hold them."""

_MARGIN = timedelta(days=1)
"""Event dates are cut in a zone nobody documents, so ranges are widened by a day on both sides (apis/gazelle/facts.md §9)."""
_RECENT = timedelta(days=2)
_MOVED_WITHIN = timedelta(days=14)

WHOLE_CALENDAR_EVERY = timedelta(days=8)
"""The weekly thorough run reads the whole calendar; if none has come to its end for longer, a daily one does so in its place."""

_CALENDAR = "calendar"
"""Name of the scope that is the whole calendar."""


class Body(msgspec.Struct):
    """An archived page: whole records, and marks of records that exist and have not changed."""

    nodes: list[msgspec.Raw] = []
    seen: list[msgspec.Raw] = []


class Seen(msgspec.Struct):
    """A record that exists and equals what is stored."""

    seen: str


class _Token(msgspec.Struct, frozen=True):
    """Where a scan or a window goes on; ``count`` makes every token differ, also when a walk steps back."""

    phase: str
    count: int = 0
    is_lean: bool = False
    is_whole: bool = False
    position: Position = Position()
    after_id: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How one list is scanned.

    Attributes:
        stream: ``vendor/table``.
        table: Where its records are stored, by ``external_id``.
        listing: The list.
        lookup: The same records by id.
    """

    stream: str
    table: Table
    listing: Listing
    lookup: Lookup


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a list that a scan reads.

    Attributes:
        arguments: The list's arguments.
        name: Kept in the token, because a place in one part of a list means nothing in another.
        outside: SQL over the stored rows, alias ``t``: those the scan will not meet; ``None`` if it meets all.
        parameters: For ``outside``.
        is_whole: It is all that is wanted of the list.
    """

    arguments: dict[str, Json]
    name: str = ""
    outside: Composable | None = None
    parameters: tuple[Any, ...] = ()
    is_whole: bool = True


EVERYTHING = Scope({})


class Reader:
    """One account, opened for one run.

    Args:
        client: HTTP.
        database: Where the stored records are looked up.
        account: ``vendor/name``.
        settings: The account's settings.
        is_thorough: Read every record in full and all history, trusting no change time.
    """

    def __init__(
        self, client: GazelleClient, *, database: Database, account: str, settings: Settings, is_thorough: bool = False
    ) -> None:
        self.client, self.account, self.settings = client, account, settings
        self._database, self._is_thorough = database, is_thorough

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def stats(self) -> CallStats:
        """Counts of calls and waits."""
        return self.client.stats

    # Whole lists

    def scan(self, snapshot: Snapshot, token: str | None, scope: Scope = EVERYTHING) -> Iterator[Page]:
        """Reads a whole list, or goes on at a token."""
        state = _decode(token)
        if state is None or state.scope != scope.name or (state.is_lean and self._is_thorough):
            state = _Token("list", is_lean=not self._is_thorough and self._has_rows(snapshot.table), scope=scope.name)
        if state.phase == "list":
            for nodes, seen, position in self._listed(snapshot, state, scope):
                after = "outside" if scope.outside is not None else "missing"
                state = replace_token(state, phase="list" if position else after, position=position or Position())
                yield self._page(snapshot.listing.root, nodes, seen, state)
        if state.phase == "outside":
            assert scope.outside is not None  # noqa: S101  # only scans with one have this phase
            seen = self._ids(snapshot.table, scope.outside, scope.parameters)
            state = replace_token(state, phase="missing")
            yield self._page("not asked for", [], seen, state)
        missed = self._ids(
            snapshot.table,
            SQL(
                "NOT EXISTS (SELECT FROM sync.scan_keys k WHERE k.account = t.account AND k.stream = %s"
                " AND k.key = ARRAY[t.external_id])"
            ),
            (snapshot.stream,),
        )
        found = list(self.client.lookup(snapshot.lookup, missed)) if len(missed) <= MOST_LOOKUPS else []
        yield replace(self._page(snapshot.lookup.root, found, [], None), is_whole=scope.is_whole)

    def appointments(self, snapshot: Snapshot, token: str | None) -> Iterator[Page]:
        """Scans events: those around today, and the others are taken to exist still; or the whole calendar.

        The whole in a thorough run, and in any run while none has read it to its end lately. What is under way stays what it is.
        """
        state = _decode(token)
        name = _CALENDAR if self._is_thorough else state.scope if state else ""
        if not name:
            name = _CALENDAR if self._is_whole_due(snapshot) else self._days_around_today()
        yield from self.scan(snapshot, token, self._whole_calendar() if name == _CALENDAR else self._calendar_of(name, snapshot))

    def _is_whole_due(self, snapshot: Snapshot) -> bool:
        with self._database.connect() as connection:
            last = Scan(self.account, snapshot.stream).whole_at(connection)
            return last is None or last < clock(connection) - WHOLE_CALENDAR_EVERY

    def _days_around_today(self) -> str:
        """First and last local day, as ISO 8601 writes an interval."""
        today = self.settings.today(self._now())
        first = today - timedelta(days=self.settings.event_days_back)
        last = today + timedelta(days=self.settings.event_days_ahead)
        return f"{first.date().isoformat()}/{last.date().isoformat()}"

    def _whole_calendar(self) -> Scope:
        types = self.settings.event_types
        if not types:
            return Scope({"filters": {}}, _CALENDAR)
        return Scope({"filters": {"type": types}}, _CALENDAR, SQL("t.type <> ALL(%s)"), (list(types),))

    def _calendar_of(self, days: str, snapshot: Snapshot) -> Scope:
        first, last = (date.fromisoformat(day) for day in days.split("/"))
        types = self.settings.event_types
        filters: dict[str, Json] = {"type": types} if types else {}
        filters |= {"dateGet": (first - _MARGIN).isoformat(), "dateLet": (last + _MARGIN).isoformat()}
        outside = SQL(
            "(t.starts_at IS NULL OR (t.starts_at AT TIME ZONE %s)::date NOT BETWEEN %s AND %s"
            " OR t.type <> ALL(coalesce(%s, ARRAY[t.type])))"
            # What a thorough scan has missed once is asked for by id, which confirms or clears it.
            " AND NOT EXISTS (SELECT FROM sync.absences a WHERE a.account = t.account AND a.stream = %s"
            " AND a.key = ARRAY[t.external_id])"
        )
        parameters = (self.settings.timezone, first, last, types, snapshot.stream)
        return Scope({"filters": filters}, days, outside, parameters, is_whole=False)

    def _listed(self, snapshot: Snapshot, state: _Token, scope: Scope) -> Iterator[tuple[list[bytes], list[str], Position | None]]:
        listing = snapshot.listing
        fragment = listing.lean if state.is_lean and listing.lean else listing.full

        def fetch(after: str | None, overlap: int) -> ListPage:
            return self.client.page(listing, fragment, after=after, overlap=overlap, **scope.arguments)

        for step in Walk(fetch).steps(state.position):
            if fragment == listing.full:
                yield [node for edge in step.edges for node in edge.nodes], [], step.position
            else:
                changed, seen = self._sift(snapshot.table, step.edges)
                yield list(self.client.lookup(snapshot.lookup, changed)), seen, step.position

    def _sift(self, table: Table, edges: Iterable[Edge]) -> tuple[list[str], list[str]]:
        """Splits lean records into ids that differ from what is stored and ids that do not."""
        lean = {str(node["id"]): node for edge in edges for node in map(decode_json, edge.nodes)}
        query = SQL("SELECT external_id, raw::text FROM {} WHERE account = %s AND external_id = ANY(%s) AND deleted_at IS NULL")
        with self._database.connect() as connection:
            rows = connection.execute(query.format(_name(table)), [self.account, list(lean)]).fetchall()
        stored = {key: decode_json(raw) for key, raw in rows}
        changed = [
            key for key, node in lean.items() if key not in stored or "updatedAt" not in node or not covers(stored[key], node)
        ]
        return changed, [key for key in lean if key not in set(changed)]

    # The timeline

    def timeline(self, window: Window, token: str | None, *, stream: str, pianos: Table) -> Iterator[Page]:
        """Entries that occurred since the window's start; the vendor has no upper bound to ask for.

        Entries of pianos that lately changed hands are read as well: their history moves to a new piano id. Until a
        window of the stream is confirmed, all there are are read, unless the settings say where to begin.
        """
        since: dict[str, Json] = {"occurredAtGet": window.start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        is_recent = window.end > self._now() - _RECENT
        state = _decode(token)
        if state is None:
            is_whole = is_recent and not self._is_thorough and self.settings.start is None and self._is_first(stream)
            position = Position() if is_recent else self._tail(window, since)
            state = _Token("list" if position is not None else "end", is_whole=is_whole, position=position or Position())
        if state.is_whole:
            since = {}
        if state.phase == "list":
            ended = "moved" if is_recent else "end"
            for nodes, position in self._entries(state.position, since):
                state = replace_token(state, phase="list" if position else ended, position=position or Position())
                yield self._page(selections.TIMELINE.root, nodes, [], None if state.phase == "end" else state)
        if state.phase == "moved":
            for piano in self._moved_pianos(pianos, state.after_id):
                moved = [node for nodes, _ in self._entries(Position(), {"pianoId": piano}) for node in nodes]
                state = replace_token(state, after_id=piano)
                yield self._page(selections.TIMELINE.root, moved, [], state)
            yield self._page(selections.TIMELINE.root, [], [], None)
        elif state.phase == "end" and state.count == 0:
            yield self._page(selections.TIMELINE.root, [], [], None)

    def whole_timeline(self, token: str | None) -> Iterator[Page]:
        """All entries the vendor has."""
        state = _decode(token) or _Token("list")
        for nodes, position in self._entries(state.position, {}):
            state = replace_token(state, position=position or Position())
            yield self._page(selections.TIMELINE.root, nodes, [], state if position else None)

    def _entries(self, position: Position, arguments: dict[str, Json]) -> Iterator[tuple[list[bytes], Position | None]]:
        listing = selections.TIMELINE

        def fetch(after: str | None, overlap: int) -> ListPage:
            return self.client.page(listing, listing.full, after=after, overlap=overlap, **arguments)

        for step in Walk(fetch).steps(position):
            yield [node for edge in step.edges for node in edge.nodes], step.position

    def _tail(self, window: Window, since: dict[str, Json]) -> Position | None:
        """Where the entries of an old window begin in a list that shows the newest first; ``None`` if there are none.

        Reads ids and times alone. A list in any other order is read from its beginning.
        """
        listing = selections.TIMELINE
        before: str | None = None
        after: str | None = None
        latest = datetime.max.replace(tzinfo=UTC)
        while True:
            page = self.client.page(listing, "EntryLean", after=after, **since)
            for edge in page.edges:
                occurred = datetime.fromisoformat(decode_json(edge.nodes[0])["occurredAt"])
                if occurred > latest:
                    return Position()
                latest = occurred
            if latest < window.end:
                return Position(Place(before))
            if not page.has_more or not page.edges:
                return None
            before, after = after, page.edges[-1].cursor

    def _moved_pianos(self, pianos: Table, after_id: str) -> list[str]:
        """Pianos that appeared lately and have a twin: the copies the vendor makes when a piano changes hands."""
        recent = SQL(
            "t.created_at > %s AND t.external_id > %s AND EXISTS (SELECT FROM {} o WHERE o.account = t.account"
            " AND o.external_id <> t.external_id AND o.serial_number = t.serial_number AND o.make IS NOT DISTINCT FROM t.make)"
        )
        return sorted(self._ids(pianos, recent.format(_name(pianos)), (self._now() - _MOVED_WITHIN, after_id)))

    # Small lists

    def plain(self, query: str, root: str) -> Iterator[Page]:
        """A list without pages."""
        yield self._page(root, self.client.plain(query)[root], [], None)

    def tags(self) -> Iterator[Page]:
        """All tags in use, by kind."""
        found = self.client.plain(selections.TAGS)
        nodes = [msgspec.json.encode({"kind": kind, "tag": decode_json(tag)}) for kind, tags in found.items() for tag in tags]
        yield self._page("tags", nodes, [], None)

    def one(self, lookup: Lookup, identifier: str) -> Page:
        """A single record; an empty page if it no longer exists."""
        return self._page(lookup.root, list(self.client.lookup(lookup, [identifier])), [], None)

    # Database and pages

    def _page(self, root: str, nodes: Sequence[bytes], seen: Sequence[str], state: _Token | None) -> Page:
        body = Body([msgspec.Raw(node) for node in nodes], [msgspec.Raw(msgspec.json.encode(Seen(key))) for key in seen])
        token = msgspec.json.encode(state).decode() if state else None
        return Page(body=msgspec.json.encode(body), source=SOURCE, request=f"POST graphql {root}", next_token=token)

    def _is_first(self, stream: str) -> bool:
        with self._database.connect() as connection:
            return not Ledger(self.account, stream).confirmed(connection)

    def _has_rows(self, table: Table) -> bool:
        with self._database.connect() as connection:
            query = SQL("SELECT EXISTS (SELECT FROM {} WHERE account = %s)").format(_name(table))
            row = connection.execute(query, [self.account]).fetchone()
        return bool(row and row[0])

    def _ids(self, table: Table, condition: Composable, parameters: Sequence[Any]) -> list[str]:
        query = SQL("SELECT t.external_id FROM {} t WHERE t.account = %s AND t.deleted_at IS NULL AND {}")
        with self._database.transaction() as connection, without_nested_loops(connection):
            rows = connection.execute(query.format(_name(table), condition), [self.account, *parameters]).fetchall()
        return [row[0] for row in rows]

    def _now(self) -> datetime:
        with self._database.connect() as connection:
            return clock(connection)


def covers(stored: Json, lean: Json) -> bool:
    """Whether everything a lean record says is also what the stored one says.

    >>> covers({"id": "a", "client": {"id": "c", "x": 1}}, {"client": {"id": "c"}})
    True
    """
    if isinstance(stored, dict) and isinstance(lean, dict):
        return all(key in stored and covers(stored[key], value) for key, value in lean.items())
    return bool(stored == lean)


def split(body: bytes, source: str) -> list[bytes]:
    """The records of an archived page: whole ones and marks of unchanged ones."""
    del source
    page = msgspec.json.decode(body, type=Body)
    return [bytes(item) for item in (*page.nodes, *page.seen)]


def replace_token(token: _Token, **changes: Any) -> _Token:
    """The next token after a page."""
    return msgspec.structs.replace(token, count=token.count + 1, **changes)


def _decode(token: str | None) -> _Token | None:
    return msgspec.json.decode(token, type=_Token) if token else None


def _name(table: Table) -> Identifier:
    return Identifier(table.schema or "public", table.name)
