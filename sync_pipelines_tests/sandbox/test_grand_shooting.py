"""The look-alike of Grand Shooting behaves as the facts sheet says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.grand_shooting.app import create_app

MAIN = {"authorization": "Bearer sandbox-main-token"}
PARIS = {"authorization": "Bearer sandbox-paris-token"}


class Receiver:
    """Catches webhooks; answers what the test wants."""

    def __init__(self) -> None:
        self.status: Callable[[str], int] = lambda _: 200
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, address: str, body: bytes) -> int:
        status = self.status(address)
        self.bodies.append({"address": address, "status": status, **json.loads(body)})
        return status


@pytest.fixture
def clock() -> Clock:
    return Clock(start=1_800_000_000.0)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def api(clock: Clock, receiver: Receiver) -> TestClient:
    client = TestClient(create_app(clock=clock, post=receiver), base_url="http://gs.test")
    for name in ("main", "paris"):
        client.post("/_control/account", json={"account": name, "unlimited": True})
    return client


def test_same_seed_same_world() -> None:
    first, second = (TestClient(create_app(seed=3, clock=Clock(start=0.0))).get("/_control/truth").json() for _ in range(2))
    assert first == second
    assert len(first["references"]) == 120


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Bearer sandbox-main-token", 200), ("access_token sandbox-main-oauth", 200), ("Bearer sandbox-main-oauth", 401), ("", 401)],
)
def test_the_scheme_must_fit_the_token(api: TestClient, authorization: str, status: int) -> None:
    assert api.get("/v3/reference", headers={"authorization": authorization}).status_code == status


def test_the_fifth_request_of_a_second_is_refused_and_a_second_later_allowed(api: TestClient, clock: Clock) -> None:
    api.post("/_control/account", json={"unlimited": False})
    assert [api.get("/v3/account/me", headers=MAIN).status_code for _ in range(5)] == [200] * 4 + [429]
    assert api.get("/v3/account/me", headers=MAIN).json() == {"errors": [{"message": "Rate limit exceeded"}]}
    assert api.get("/v3/account/me", headers=PARIS).status_code == 200
    clock.advance(1.0)
    assert api.get("/v3/account/me", headers=MAIN).status_code == 200


def test_pages_follow_the_offset_header_and_ignore_a_query_offset(api: TestClient) -> None:
    first = api.get("/v3/reference?sort_by=reference_id&offset=100", headers=MAIN)
    second = api.get("/v3/reference?sort_by=reference_id", headers={**MAIN, "offset": "100"})
    assert (len(first.json()), len(second.json())) == (100, 20)
    assert second.headers["x-total-count"] == "120"
    assert (second.headers["x-offset"], second.headers["x-count"]) == ("100", "20")
    assert api.get("/v3/reference", headers={**MAIN, "offset": "10001"}).status_code == 400


def test_keyset_paging_reads_everything_once(api: TestClient) -> None:
    seen, last = [], 0
    while page := api.get(f"/v3/reference?sort_by=reference_id&reference_id=gt:{last}", headers=MAIN).json():
        seen += [item["ref"] for item in page]
        last = page[-1]["reference_id"]
    assert sorted(seen) == sorted(api.get("/_control/truth").json()["references"])


def test_filters_combine_as_documented(api: TestClient, clock: Clock) -> None:
    truth = api.get("/_control/truth").json()["references"]
    both = api.get("/v3/reference?brand=Elm&brand=Fir", headers=MAIN).json()
    assert {item["ref"] for item in both} == {ref for ref, item in truth.items() if item["brand"] in {"Elm", "Fir"}}
    clock.advance(86_400 * 2)
    api.post("/v3/reference", headers=MAIN, json={"ref": "GS-000001", "size": "XXL"})
    day = clock.utc().date().isoformat()
    changed = api.get(f"/v3/reference?date_mod=gte:{day}", headers=MAIN).json()
    assert [item["ref"] for item in changed] == ["GS-000001"]
    assert len(api.get("/v3/reference?ref=GS-00010*", headers=MAIN).json()) == 10
    assert api.get("/v3/reference?nonsense=1", headers=MAIN).status_code == 400


def test_an_upsert_keeps_attributes_left_out_and_replaces_lists(api: TestClient) -> None:
    before = api.get("/_control/truth").json()["references"]["GS-000002"]
    after = api.post("/v3/reference", headers=MAIN, json={"ref": "GS-000002", "tags": ["one"]}).json()
    assert after["tags"] == ["one"]
    assert after["reference_id"] == before["reference_id"]
    assert after["brand"] == before["brand"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ref": ""},
        {"ref": "x", "nonsense": 1},
        {"ref": "x", "brand": ""},
        {"ref": "x", "brand": None},
        {"ref": "x", "tags": "a"},
    ],
)
def test_bad_bodies_are_refused(api: TestClient, body: dict[str, Any]) -> None:
    assert api.post("/v3/reference", headers=MAIN, json=body).status_code == 400


def test_a_bulk_call_is_all_or_nothing_and_names_the_holder_of_an_ean(api: TestClient) -> None:
    ean = api.get("/_control/truth").json()["references"]["GS-000003"]["ean"]
    answer = api.post("/v3/reference/bulk", headers=MAIN, json=[{"ref": "NEW-1"}, {"ref": "NEW-2", "ean": ean}])
    assert answer.status_code == 409
    assert "GS-000003" in answer.json()["message"]
    assert "NEW-1" not in api.get("/_control/truth").json()["references"]
    assert api.post("/v3/reference/bulk", headers=MAIN, json=[{"ref": f"B-{n}"} for n in range(101)]).status_code == 400


def test_there_is_no_put_on_a_reference_and_a_second_delete_is_404(api: TestClient) -> None:
    number = api.get("/_control/truth").json()["references"]["GS-000004"]["reference_id"]
    assert api.put(f"/v3/reference/{number}", headers=MAIN, json={"ref": "GS-000004"}).status_code == 405
    assert api.delete(f"/v3/reference/{number}", headers=MAIN).status_code == 200
    assert api.delete(f"/v3/reference/{number}", headers=MAIN).status_code == 404


def _subscribe(api: TestClient, *topics: str) -> None:
    for topic in topics:
        answer = api.post("/v3/webhook", headers=MAIN, json={"address": "http://127.0.0.1:1/hook?key=k", "topic": topic})
        assert answer.status_code == 200


def test_webhooks_carry_at_most_fifty_ids_and_no_proof_of_their_sender(api: TestClient, receiver: Receiver) -> None:
    _subscribe(api, "references/update")
    api.post("/v3/reference/bulk", headers=MAIN, json=[{"ref": f"GS-{n:06d}", "size": "S"} for n in range(1, 81)])
    assert api.post("/_control/webhooks/flush").json() == {"delivered": 2}
    assert [len(body["ids"]) for body in receiver.bodies] == [50, 30]
    assert {key for body in receiver.bodies for key in body} == {"address", "status", "account_id", "topic", "type", "ids"}


def test_only_200_counts_and_the_third_failure_loses_the_message(api: TestClient, receiver: Receiver) -> None:
    _subscribe(api, "references/update")
    receiver.status = lambda _: 202
    api.post("/v3/reference", headers=MAIN, json={"ref": "GS-000001", "size": "S"})
    for _ in range(4):
        api.post("/_control/webhooks/flush")
    assert len(receiver.bodies) == 3
    state = api.get("/_control/webhooks").json()
    assert (state["lost"], state["idle"]) == (1, True)


def test_weather_drops_and_doubles_events(api: TestClient, receiver: Receiver) -> None:
    _subscribe(api, "references/create", "references/update", "references/delete")
    api.post("/_control/webhooks", json={"drop": 0.3, "duplicate": 0.5, "reorder": True, "seed": 5, "flush_s": 1e9})
    counts = api.post("/_control/mutate", json={"operations": 200, "seed": 9}).json()
    assert sum(counts.values()) == 200
    assert all(counts.values())
    api.post("/_control/webhooks/flush")
    sent = sum(len(body["ids"]) for body in receiver.bodies)
    state = api.get("/_control/webhooks").json()
    assert state["events"] == 200
    assert 0 < state["dropped"] < 200
    assert sent > 200 - state["dropped"]


def test_an_account_can_be_down_or_its_token_revoked(api: TestClient) -> None:
    api.post("/_control/account", json={"account": "paris", "down": True})
    assert api.get("/v3/reference", headers=PARIS).status_code == 503
    api.post("/_control/account", json={"account": "paris", "down": False, "revoked": True})
    assert api.get("/v3/reference", headers=PARIS).status_code == 401
    assert api.get("/v3/reference", headers=MAIN).status_code == 200
