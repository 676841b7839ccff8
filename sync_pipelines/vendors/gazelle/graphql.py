"""GraphQL over HTTP: one question, one answer, every kind of refusal a type.

Knows how Gazelle's server words its refusals (apis/gazelle/facts.md §8), prunes fields it does not know, and tells a question that
is too large from one that is wrong. Knows nothing of clients or pianos.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from graphql import DefinitionNode, DocumentNode, FieldNode, FragmentDefinitionNode, SelectionSetNode, parse, print_ast
from graphql.language import OperationDefinitionNode

from sync_pipelines.core.answers import Response
from sync_pipelines.core.errors import ContractError, SyncError, TransientError
from sync_pipelines.core.jsons import Json

log = logging.getLogger("sync_pipelines.gazelle")

_TOO_LARGE = re.compile(r"\b(complexity|depth)\b", re.IGNORECASE)
_UNKNOWN_FIELD = "undefinedField"
_ANSWERED = frozenset({200, 400})
"""The vendor refuses queries inside 200; other servers of the protocol, and a future version, with 400."""


class QueryRefusedError(ContractError):
    """The server refuses a question for good.

    Args:
        errors: The answer's ``errors``.
    """

    def __init__(self, message: str, *, account: str, body: bytes, errors: list[dict[str, Json]]) -> None:
        super().__init__(message, account=account, status=200, body=body)
        self.errors = errors


class QueryTooLargeError(QueryRefusedError):
    """The question costs more than the server allows: ask for a smaller page."""


class _Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[dict[str, Any]] | None = None


_envelopes = msgspec.json.Decoder(_Envelope)
_data = msgspec.json.Decoder(dict[str, msgspec.Raw])


def classifier(account: str) -> Any:
    """Reads what an answer means, for `core.http.HttpClient`: errors inside 200 are errors."""

    def classify(response: Response) -> SyncError | None:
        if response.status not in _ANSWERED:
            return None
        try:
            envelope = _envelopes.decode(response.body)
        except msgspec.DecodeError:
            is_for_others = response.status != 200 or response.body.strip().startswith(b"{")
            return None if is_for_others else _no_object(account, response)
        kept = response.body[:4000]
        if not envelope.errors:
            if response.status == 200 and bytes(envelope.data) == b"null":
                return TransientError(
                    f"{account}: the server answers no data and no reason", account=account, status=200, body=kept
                )
            return None
        codes = {error.get("extensions", {}).get("code") for error in envelope.errors if isinstance(error.get("extensions"), dict)}
        # The library gives these two no code (apis/gazelle/facts.md §9), so the wording has to tell.
        if any(_TOO_LARGE.search(str(error.get("message", ""))) for error in envelope.errors):
            return QueryTooLargeError(
                f"{account}: the query is too large for the server", account=account, body=kept, errors=envelope.errors
            )
        if codes - {None}:
            words = ", ".join(sorted(str(code) for code in codes if code))
            return QueryRefusedError(
                f"{account}: the server refuses the query ({words})", account=account, body=kept, errors=envelope.errors
            )
        if bytes(envelope.data) == b"null" and any("locations" in error and "path" not in error for error in envelope.errors):
            return QueryRefusedError(f"{account}: the server refuses the query", account=account, body=kept, errors=envelope.errors)
        return TransientError(
            f"{account}: the server failed while answering (errors inside HTTP 200)", account=account, status=200, body=kept
        )

    return classify


def _no_object(account: str, response: Response) -> SyncError:
    text = f"{account}: the server answers something that is not GraphQL"
    return TransientError(text, account=account, status=200, body=response.body[:4000])


def data_of(response: Response, *, account: str) -> dict[str, msgspec.Raw]:
    """The root fields of an answer, not yet decoded.

    Raises:
        ContractError: The answer is not a GraphQL object.
    """
    try:
        return _data.decode(_envelopes.decode(response.body).data)
    except msgspec.DecodeError as error:
        raise ContractError(f"{account}: not a GraphQL answer", account=account, status=200, body=response.body[:4000]) from error


class Pruner:
    """Takes fields out of queries that the server, or the configuration, does not want.

    Args:
        account: ``vendor/name`` for the log.
        without: ``Fragment.path`` names left out from the start.
        expected: Names whose absence is not worth a warning.

    Attributes:
        dropped: ``Fragment.path`` names left out, in the order found.
    """

    def __init__(self, account: str, *, without: Iterable[str] = (), expected: Iterable[str] = ()) -> None:
        self._account, self._expected = account, frozenset(expected)
        self.dropped: list[str] = list(without)
        self._printed: dict[str, str] = {}

    def text(self, query: str) -> str:
        """The query without the dropped fields."""
        known = self._printed.get(query)
        if known is None:
            document = parse(query, no_location=True)
            known = print_ast(_without(document, set(self.dropped))) if self.dropped else query
            if len(self._printed) > 500:
                self._printed.clear()
            self._printed[query] = known
        return known

    def learn(self, query: str, errors: list[dict[str, Json]]) -> bool:
        """Drops the fields that the server says it does not know; whether there were any.

        A field is found by the place the server names, since a field's name alone may occur in several types.
        """
        places = _fields_by_place(parse(self.text(query)))
        found = []
        for error in errors:
            if not _is_about_a_field(error):
                continue
            for location in error.get("locations") or []:
                name = places.get((location.get("line"), location.get("column")))
                if name is not None and name not in self.dropped:
                    found.append(name)
        for name in dict.fromkeys(found):
            self.dropped.append(name)
            level = logging.INFO if name in self._expected else logging.WARNING
            log.log(level, "%s: the server does not know %s; it is left out from now on", self._account, name)
        self._printed.clear()
        return bool(found)


def _is_about_a_field(error: Mapping[str, Json]) -> bool:
    """Whether an error says that a field is unknown: by its code, or, without one, by standing before execution (no path)."""
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    return bool(code == _UNKNOWN_FIELD or (code is None and "path" not in error))


def _fields_by_place(document: DocumentNode) -> dict[tuple[Any, Any], str]:
    """``Fragment.path`` of every field inside a fragment, by line and column."""
    places: dict[tuple[Any, Any], str] = {}

    def walk(selection: SelectionSetNode | None, path: str) -> None:
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                name = f"{path}.{node.name.value}"
                if node.loc is not None:
                    places[node.loc.start_token.line, node.loc.start_token.column] = name
                walk(node.selection_set, name)

    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            walk(definition.selection_set, definition.name.value)
    return places


def _without(document: DocumentNode, dropped: set[str]) -> DocumentNode:
    """A copy without the dropped fields, without objects left with nothing to select, and without variables left unused."""
    used: set[str] = set()

    def kept(selection: SelectionSetNode, path: str) -> SelectionSetNode:
        nodes: list[Any] = []
        for node in selection.selections:
            if not isinstance(node, FieldNode):
                nodes.append(node)
                continue
            name = f"{path}.{node.name.value}"
            below = kept(node.selection_set, name) if node.selection_set else None
            if name in dropped or (below is not None and not below.selections):
                continue
            used.update(argument.value.name.value for argument in node.arguments if hasattr(argument.value, "name"))
            nodes.append(
                FieldNode(
                    alias=node.alias, name=node.name, arguments=node.arguments, directives=node.directives, selection_set=below
                )
            )
        return SelectionSetNode(selections=tuple(nodes))

    definitions: list[DefinitionNode] = []
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            selection = kept(definition.selection_set, definition.name.value)
            definitions.append(
                FragmentDefinitionNode(
                    name=definition.name, type_condition=definition.type_condition, directives=(), selection_set=selection
                )
            )
        elif isinstance(definition, OperationDefinitionNode):
            selection = kept(definition.selection_set, "")
            definitions.append(
                OperationDefinitionNode(
                    operation=definition.operation,
                    name=definition.name,
                    variable_definitions=definition.variable_definitions,
                    directives=(),
                    selection_set=selection,
                )
            )
    for definition in definitions:
        if isinstance(definition, OperationDefinitionNode):
            definition.variable_definitions = tuple(
                item for item in definition.variable_definitions if item.variable.name.value in used
            )
    return DocumentNode(definitions=tuple(definitions))
