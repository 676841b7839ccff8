"""What the look-alike itself promises: the published schema, errors inside 200, rotation, limits, equal data for equal seeds."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, get_introspection_query

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.gazelle.app import create_app

START = 1_772_366_400.0
KEY = {"x-gazelle-api-key": "sandbox-api-key"}


class Api:
    """The look-alike without a network."""

    def __init__(self, **options: Any) -> None:
        app = create_app(**{"seed": 1, "size": "tiny", "clock": Clock(START), **options})
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox")

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._client.request(method, path, **options))

    def ask(self, query: str, path: str = "/graphql/private", **variables: Any) -> Any:
        answer = self.send("POST", path, json={"query": query, "variables": variables}, headers=KEY)
        assert answer.status_code == 200
        return answer.json()

    def control(self, route: str, **body: Any) -> Any:
        return self.send("POST", f"/_control/{route}", json=body)

    def token(self, **form: str) -> httpx.Response:
        credentials = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
        return self.send("POST", "/developer/oauth/token", data={**credentials, **form})


@pytest.fixture(scope="module")
def api() -> Api:
    return Api()


def test_the_same_seed_is_the_same_business(api: Api) -> None:
    truth = api.send("GET", "/_control/truth").json()
    assert Api().send("GET", "/_control/truth").json() == truth
    assert Api(seed=2).send("GET", "/_control/truth").json() != truth
    assert {name: len(items) for name, items in truth.items() if name in {"clients", "pianos", "timeline_entries"}} == {
        "clients": 20,
        "pianos": 28,
        "timeline_entries": 120,
    }


@pytest.mark.parametrize("path", ["/graphql/private", "/graphql/private/"])
def test_both_paths_answer(api: Api, path: str) -> None:
    assert api.ask("{ allClients(first: 2) { totalCount nodes { id } } }", path)["data"]["allClients"]["totalCount"] == 20


def test_introspection_shows_the_schema_unless_it_is_switched_off() -> None:
    api = Api()
    schema = build_client_schema(api.ask(get_introspection_query())["data"])
    assert {"PrivateClient", "PrivateTimelineEntry", "PrivateEventServiceItem"} <= schema.type_map.keys()
    api.control("settings", introspection=False)
    assert api.ask("{ __schema { queryType { name } } }")["errors"]


def test_an_unknown_field_is_named_with_its_place_inside_200(api: Api) -> None:
    error = api.ask("{ allClients(first: 1) { nodes { id nickname } } }")["errors"][0]
    assert error["extensions"] == {"code": "undefinedField", "typeName": "PrivateClient", "fieldName": "nickname"}
    assert error["locations"] == [{"line": 1, "column": 37}]


def test_ids_are_strings_not_id_scalars(api: Api) -> None:
    assert api.ask("query ($id: ID!) { client(id: $id) { id } }", id="cli_x")["errors"]
    assert api.ask("query ($id: String!) { client(id: $id) { id } }", id="cli_x")["data"] == {"client": None}


def test_a_question_too_large_is_refused_in_words() -> None:
    api = Api()
    api.control("settings", max_complexity=10, max_depth=3)
    assert "complexity" in api.ask("{ allPianos(first: 50) { nodes { id make model } } }")["errors"][0]["message"]
    assert "depth" in api.ask('{ piano(id: "x") { client { defaultContact { defaultEmail { email } } } } }')["errors"][0]["message"]


def test_too_many_requests_are_answered_429() -> None:
    api = Api()
    api.control("settings", rate=1, burst=1)
    query = {"query": "{ allClientTags }"}
    statuses = [api.send("POST", "/graphql/private", json=query, headers=KEY).status_code for _ in range(60)]
    assert 429 in statuses
    refused = api.send("POST", "/graphql/private", json=query, headers=KEY)
    assert int(refused.headers["retry-after"]) >= 1


def test_a_refresh_token_works_once(api: Api) -> None:
    first = api.token(grant_type="refresh_token", refresh_token="sandbox-refresh").json()
    assert api.token(grant_type="refresh_token", refresh_token="sandbox-refresh").json()["error"] == "invalid_grant"
    second = api.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second.status_code == 200
    bearer = {"authorization": f"Bearer {second.json()['access_token']}"}
    assert api.send("POST", "/graphql/private", json={"query": "{ allClientTags }"}, headers=bearer).status_code == 200
    # A token of an earlier process of the look-alike is good in the next one.
    assert Api().token(grant_type="refresh_token", refresh_token=second.json()["refresh_token"]).status_code == 200


def test_client_credentials_are_not_a_way_in(api: Api) -> None:
    answer = api.token(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_wrong_credentials_are_answered_401(api: Api) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"x-gazelle-api-key": "x"}, {**KEY, "authorization": "Bearer x"}):
        assert api.send("POST", "/graphql/private", json={"query": "{ allClientTags }"}, headers=headers).status_code == 401


def test_a_deleted_record_shifts_the_pages_behind_it() -> None:
    api = Api()
    query = "query ($after: String) { allPianos(first: 5, after: $after) { totalCount pageInfo { endCursor } nodes { id } } }"
    before = api.ask(query)["data"]["allPianos"]
    behind = api.ask(query, after=before["pageInfo"]["endCursor"])["data"]["allPianos"]["nodes"]
    api.control("vanish", collection="pianos", id=before["nodes"][0]["id"])
    page = api.ask(query, after=before["pageInfo"]["endCursor"])["data"]["allPianos"]
    assert page["totalCount"] == before["totalCount"] - 1
    assert page["nodes"][:-1] == behind[1:]


def test_a_moved_piano_is_a_copy_and_the_original_stays_inactive() -> None:
    api = Api()
    moved = api.control("mutate", names=["move_piano"], seed=1).json()[0]["id"]
    pianos = api.send("GET", "/_control/truth", params={"stream": "pianos"}).json()["pianos"]
    twins = [piano for piano in pianos.values() if piano["serialNumber"] == pianos[moved]["serialNumber"]]
    assert sorted(piano["status"] for piano in twins) == ["ACTIVE", "INACTIVE"]
