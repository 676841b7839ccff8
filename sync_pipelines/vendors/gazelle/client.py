"""Gazelle over HTTP: pages of lists, records by id, plain lists. Reads only; knows neither the database nor Dagster.

A field the server refuses is dropped and remembered, a page that is too large for the server is halved and stays so, and after a
429 pages shrink as well. Records stay JSON text; `models` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sync_pipelines.core.answers import Response
from sync_pipelines.core.errors import ContractError, DataError
from sync_pipelines.core.http import CallStats, HttpClient
from sync_pipelines.core.jsons import Json
from sync_pipelines.vendors.gazelle import selections
from sync_pipelines.vendors.gazelle.graphql import Pruner, QueryRefusedError, QueryTooLargeError, data_of
from sync_pipelines.vendors.gazelle.selections import Listing, Lookup

GRAPHQL_PATHS = ("/graphql/private", "/graphql/private/")
"""The vendor's demos write the first, an integrator says only the second works (apis/gazelle/facts.md §2): the other is tried."""

BUCKET = "graphql"
WIDEST_NESTED = 100
"""Page of a nested list when the usual one was too short for a record."""

_ELSEWHERE = frozenset({301, 302, 303, 307, 308, 404})
_HAS_MORE = re.compile(rb'"hasNextPage"\s*:\s*true')
_NULL = b"null"


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None = None


class _Edge(msgspec.Struct):
    cursor: str
    node: msgspec.Raw = msgspec.Raw(_NULL)


class _Connection(msgspec.Struct, rename="camel"):
    total_count: int
    page_info: _PageInfo
    edges: list[_Edge | None] | None = None


class _Nodes(msgspec.Struct, rename="camel"):
    page_info: _PageInfo
    nodes: list[msgspec.Raw] | None = None


class _Owner(msgspec.Struct, rename="camel"):
    id: str
    all_contacts: _Nodes


class _OwnerAnswer(msgspec.Struct, rename="camel"):
    all_contacts: _Nodes


class _Id(msgspec.Struct):
    id: str


_ids = msgspec.json.Decoder(_Id)


@dataclass(frozen=True, slots=True)
class Edge:
    """One element of a list: where it is, which it is, and the records it brings (a client brings its contacts)."""

    cursor: str
    id: str
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list.

    Attributes:
        edges: In the list's order; null elements are left out.
        total: How many elements the list has at this moment.
        has_more: Whether the server says that there is a next page.
        end: Cursor of the last element, null or not.
    """

    edges: tuple[Edge, ...]
    total: int
    has_more: bool
    end: str | None = None


@dataclass(slots=True)
class PageSizes:
    """How much is asked for at once."""

    full: int = 100
    lean: int = 250
    nested: int = 10


class GazelleClient:
    """Reads one account.

    Args:
        http: Reaches the account; its ``classify`` is `graphql.classifier`.
        account: ``vendor/name``.
        sizes: Page sizes to begin with.
        without: ``Fragment.path`` fields not to ask for.
    """

    def __init__(self, http: HttpClient, *, account: str, sizes: PageSizes | None = None, without: Sequence[str] = ()) -> None:
        self._http, self.account = http, account
        self._pruner = Pruner(account, without=without, expected=selections.LATER_FIELDS)
        self._sizes = sizes or PageSizes()
        self._page_sizes: dict[str, int] = {}
        self._path = 0

    @property
    def stats(self) -> CallStats:
        """Counts of calls and waits."""
        return self._http.stats

    @property
    def dropped(self) -> tuple[str, ...]:
        """Fields the server refused so far or the configuration leaves out, as ``Fragment.path``."""
        return tuple(self._pruner.dropped)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def page(self, listing: Listing, fragment: str, *, after: str | None, overlap: int = 0, **arguments: Json) -> ListPage:
        """Reads one page.

        Args:
            listing: Which list.
            fragment: What of each record.
            after: Cursor to go on behind; ``None`` for the first page.
            overlap: Elements asked for beyond the page size, because the caller knows them already.
            **arguments: The list's own arguments.
        """
        key = f"{listing.root}/{fragment}"
        while True:
            size = self._page_sizes.setdefault(key, self._sizes.lean if fragment == listing.lean else self._sizes.full)
            variables = {"first": size + overlap, "after": after, "nested": self._sizes.nested, **arguments}
            try:
                answer = self._ask(listing.query(fragment), variables, key)
            except QueryTooLargeError:
                self._shrink(key)
                continue
            return self._list_page(answer, listing, fragment)

    def lookup(self, lookup: Lookup, ids: Sequence[str]) -> Iterator[bytes]:
        """Reads records by id, as many per request as the server bears; ids that no longer exist bring nothing."""
        key = f"{lookup.root} by id"
        rest = list(ids)
        while rest:
            size = self._page_sizes.setdefault(key, self._sizes.full)
            part = rest[:size]
            variables = {"nested": self._sizes.nested} | {f"i{place}": identifier for place, identifier in enumerate(part)}
            try:
                data = self._ask(lookup.query(len(part)), variables, key)
            except QueryTooLargeError:
                self._shrink(key)
                continue
            rest = rest[size:]
            for place in range(len(part)):
                node = bytes(data.get(f"n{place}", _NULL))
                if node != _NULL:
                    yield self._whole(lookup, part[place], node)

    def plain(self, query: str) -> dict[str, list[bytes]]:
        """Reads lists that have no pages, by root field or alias."""
        data = self._ask(query, {}, "")
        try:
            lists = {name: msgspec.json.decode(value, type=list[msgspec.Raw]) for name, value in data.items()}
        except msgspec.DecodeError as error:
            raise self._broken("a plain list", error) from error
        return {name: [bytes(item) for item in items if bytes(item) != _NULL] for name, items in lists.items()}

    def schema(self) -> Json:
        """The live schema, if introspection is allowed.

        Raises:
            QueryRefusedError: It is not.
        """
        return msgspec.json.decode(self._ask(selections.SCHEMA, {}, "")["__schema"])

    def probe(self, query: str, variables: dict[str, Json]) -> None:
        """Asks a query for its smallest page, so that refused fields and missing rights show."""
        self._ask(query, variables, "")

    # One question

    def _ask(self, query: str, variables: dict[str, Json], key: str) -> dict[str, msgspec.Raw]:
        throttled = self._http.stats.throttled
        while True:
            try:
                answer = self._post({"query": self._pruner.text(query), "variables": _declared(query, variables)})
            except QueryTooLargeError:
                raise
            except QueryRefusedError as refusal:
                if not self._pruner.learn(query, refusal.errors):
                    raise
                continue
            if key and self._http.stats.throttled > throttled:
                self._page_sizes[key] = max(10, self._page_sizes.get(key, self._sizes.full) // 2)
            return data_of(answer, account=self.account)

    def _post(self, question: dict[str, Json]) -> Response:
        for _ in GRAPHQL_PATHS:
            answer = self._http.request("POST", GRAPHQL_PATHS[self._path], json=question, expect=_ELSEWHERE, buckets=(BUCKET,))
            if answer.status not in _ELSEWHERE:
                return answer
            self._path = 1 - self._path
        raise DataError(
            f"{self.account}: no GraphQL endpoint at {' or '.join(GRAPHQL_PATHS)} below base_url (HTTP {answer.status})",
            account=self.account,
            status=answer.status,
        )

    def _shrink(self, key: str) -> None:
        """Halves a page; when it cannot get smaller, the nested lists."""
        size = self._page_sizes[key]
        if size > 1:
            self._page_sizes[key] = size // 2
        elif self._sizes.nested > 1:
            self._sizes.nested //= 2
        else:
            raise ContractError(
                f"{self.account}: even one record ({key}) is too large a query for the server", account=self.account
            )

    # Reading answers

    def _list_page(self, data: dict[str, msgspec.Raw], listing: Listing, fragment: str) -> ListPage:
        try:
            found = msgspec.json.decode(data[listing.root], type=_Connection)
            edges = [self._edge(edge, listing, fragment) for edge in found.edges or () if edge and bytes(edge.node) != _NULL]
        except (KeyError, msgspec.DecodeError) as error:
            raise self._broken(listing.root, error) from error
        return ListPage(tuple(edges), found.total_count, found.page_info.has_next_page, found.page_info.end_cursor)

    def _edge(self, edge: _Edge, listing: Listing, fragment: str) -> Edge:
        if listing.below is None:
            node = bytes(edge.node)
            identifier = _ids.decode(node).id
            if fragment == listing.full and _HAS_MORE.search(node):
                node = self._whole(_LOOKUPS.get(fragment), identifier, node)
            return Edge(edge.cursor, identifier, (node,))
        owner = msgspec.json.decode(edge.node, type=_Owner)
        nodes = self._present(owner.all_contacts)
        info = owner.all_contacts.page_info
        while info.has_next_page:
            more = self._more_contacts(owner.id, fragment, info.end_cursor)
            nodes += self._present(more)
            if not more.nodes:
                break
            info = more.page_info
        return Edge(edge.cursor, owner.id, tuple(self._whole(_LOOKUPS.get(fragment), _ids.decode(node).id, node) for node in nodes))

    def _present(self, nodes: _Nodes) -> list[bytes]:
        return [bytes(node) for node in nodes.nodes or () if bytes(node) != _NULL]

    def _more_contacts(self, client: str, fragment: str, after: str | None) -> _Nodes:
        variables = {"id": client, "first": self._sizes.nested, "after": after, "nested": self._sizes.nested}
        data = self._ask(selections.CONTACTS_OF_CLIENT[fragment], variables, "")
        if bytes(data.get("client", _NULL)) == _NULL:
            return _Nodes(_PageInfo(has_next_page=False))
        return msgspec.json.decode(data["client"], type=_OwnerAnswer).all_contacts

    def _whole(self, lookup: Lookup | None, identifier: str, node: bytes) -> bytes:
        """The record with its nested lists complete: one that was cut is read again with the widest nested page."""
        if lookup is None or not _HAS_MORE.search(node):
            return node
        data = self._ask(lookup.query(1), {"i0": identifier, "nested": WIDEST_NESTED}, "")
        wide = bytes(data.get("n0", _NULL))
        return node if wide == _NULL else wide

    def _broken(self, what: str, error: Exception) -> ContractError:
        return ContractError(f"{self.account}: {what} has not the shape of the schema ({error})", account=self.account)


_LOOKUPS = {lookup.full: lookup for lookup in (selections.CLIENT, selections.CONTACT, selections.PIANO, selections.EVENT)}


def _declared(query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Only the variables that the query declares; Gazelle's server refuses others."""
    head = query[: query.index("{")]
    return {name: value for name, value in variables.items() if f"${name}:" in head}
