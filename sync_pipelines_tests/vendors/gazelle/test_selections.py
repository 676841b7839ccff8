"""What we ask for exists in the published schema, plus what was seen later; our vocabularies are the schema's."""

from __future__ import annotations

from importlib.resources import files

import httpx
import msgspec
import pytest
from graphql import GraphQLEnumType, GraphQLSchema, build_schema, extend_schema, parse, print_ast, validate

from sync_pipelines.core.answers import Response
from sync_pipelines.vendors.gazelle import selections
from sync_pipelines.vendors.gazelle.graphql import Pruner, QueryRefusedError, classifier
from sync_pipelines.vendors.gazelle.vocabularies import VOCABULARIES


@pytest.fixture(scope="module")
def snapshot() -> GraphQLSchema:
    folder = files("sync_pipelines.sandbox.gazelle")
    return build_schema((folder / "schema.graphql").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def today(snapshot: GraphQLSchema) -> GraphQLSchema:
    """The snapshot and what integrators saw later."""
    later = (files("sync_pipelines.sandbox.gazelle") / "later_schema.graphql").read_text(encoding="utf-8")
    return extend_schema(snapshot, parse(later))


@pytest.mark.parametrize("name", selections.all_queries())
def test_every_query_is_valid_against_the_schema(today: GraphQLSchema, name: str) -> None:
    assert validate(today, parse(selections.all_queries()[name])) == []


@pytest.mark.parametrize("name", selections.all_queries())
def test_without_the_later_fields_every_query_is_valid_against_the_snapshot(snapshot: GraphQLSchema, name: str) -> None:
    pruner = Pruner("gazelle/studio", without=selections.LATER_FIELDS)
    assert validate(snapshot, parse(pruner.text(selections.all_queries()[name]))) == []


def test_vocabularies_are_the_schemas(snapshot: GraphQLSchema) -> None:
    for name, words in VOCABULARIES.items():
        enum = snapshot.get_type(name)
        assert isinstance(enum, GraphQLEnumType)
        assert words == set(enum.values)


def test_an_object_left_with_nothing_to_select_goes_with_its_last_field() -> None:
    pruner = Pruner("gazelle/studio", without=["PianoLean.client.id"])
    pruned = pruner.text(selections.PIANOS.query("PianoLean"))
    assert "client" not in pruned
    assert print_ast(parse(pruned))


def test_a_variable_only_a_dropped_field_used_is_no_longer_declared() -> None:
    nested = ["ContactFields.allEmails", "ContactFields.allPhones", "ContactFields.allLocations"]
    pruned = Pruner("gazelle/studio", without=nested).text(selections.CONTACT.query(1))
    assert "$nested" not in pruned


@pytest.mark.parametrize("status", [200, 400])
def test_a_server_without_error_codes_is_understood_by_the_place_it_names(snapshot: GraphQLSchema, status: int) -> None:
    query = selections.EVENTS.query("EventFields")
    refused = [error.formatted for error in validate(snapshot, parse(query))]
    body = msgspec.json.encode({"errors": refused})
    error = classifier("gazelle/studio")(Response(status, httpx.Headers(), body, ""))
    assert isinstance(error, QueryRefusedError)
    pruner = Pruner("gazelle/studio", expected=selections.LATER_FIELDS)
    assert pruner.learn(query, error.errors)
    assert pruner.dropped == ["EventFields.allServiceItems"]


def test_an_error_during_execution_drops_no_field() -> None:
    query = selections.PIANOS.query("PianoFields")
    errors = [{"message": "undefined method for nil", "locations": [{"line": 2, "column": 3}], "path": ["allPianos"]}]
    assert not Pruner("gazelle/studio").learn(query, errors)
