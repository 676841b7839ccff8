"""The client against the look-alike: paging while the list shifts, refused fields, limits, errors inside HTTP 200."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sync_pipelines.core.errors import AuthError, ContractError, TransientError
from sync_pipelines.vendors.gazelle import selections
from sync_pipelines.vendors.gazelle.client import GazelleClient, PageSizes
from sync_pipelines.vendors.gazelle.graphql import QueryRefusedError
from sync_pipelines.vendors.gazelle.paging import Position, Walk
from sync_pipelines.vendors.gazelle.selections import Listing
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.gazelle.conftest import open_client


def walk(client: GazelleClient, listing: Listing, fragment: str | None = None, **arguments: Any) -> dict[str, Any]:
    """All records of a list by id."""
    chosen = fragment or listing.full
    steps = Walk(lambda after, overlap: client.page(listing, chosen, after=after, overlap=overlap, **arguments)).steps(Position())
    nodes = (msgspec.json.decode(node) for step in steps for edge in step.edges for node in edge.nodes)
    return {node["id"]: node for node in nodes}


@pytest.mark.parametrize(
    ("listing", "stream"),
    [
        (selections.CLIENTS, "clients"),
        (selections.CONTACTS, "contacts"),
        (selections.PIANOS, "pianos"),
        (selections.EVENTS, "appointments"),
        (selections.TIMELINE, "timeline_entries"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_walk_reads_every_record_once(gazelle: RunningSandbox, listing: Listing, stream: str) -> None:
    truth = gazelle.control.truth(stream=stream)[stream]
    found = walk(open_client(gazelle, sizes=PageSizes(full=17, lean=23, nested=2)), listing)
    assert found.keys() == truth.keys()
    assert all(found[key].get("updatedAt") == truth[key].get("updatedAt") for key in truth)


def test_nested_lists_are_complete_however_short_their_pages(gazelle: RunningSandbox) -> None:
    truth = gazelle.control.truth(stream="contacts")["contacts"]
    found = walk(open_client(gazelle, sizes=PageSizes(nested=1)), selections.CONTACTS)
    assert {key: len(node["allPhones"]["nodes"]) for key, node in found.items()} == {
        key: len(node["phones"]) for key, node in truth.items()
    }


@pytest.mark.parametrize("operation", ["delete_client", "create_client"])
def test_a_list_that_shifts_between_pages_loses_nothing(gazelle: RunningSandbox, operation: str) -> None:
    gazelle.control.post("meanwhile", field="allClients", names=[operation], after=2, times=4)
    found = walk(open_client(gazelle, sizes=PageSizes(full=7)), selections.CLIENTS)
    assert found.keys() >= gazelle.control.truth(stream="clients")["clients"].keys()


def test_null_elements_are_skipped(gazelle: RunningSandbox) -> None:
    gazelle.control.post("settings", null_nodes=True)
    found = walk(open_client(gazelle, sizes=PageSizes(full=20)), selections.PIANOS)
    assert found.keys() == gazelle.control.truth(stream="pianos")["pianos"].keys()


def test_a_server_that_cuts_pages_is_read_to_the_end(gazelle: RunningSandbox) -> None:
    gazelle.control.post("settings", max_page_size=3)
    found = walk(open_client(gazelle), selections.CLIENTS)
    assert found.keys() == gazelle.control.truth(stream="clients")["clients"].keys()


def test_records_are_looked_up_many_at_once_and_the_lost_bring_nothing(gazelle: RunningSandbox) -> None:
    ids = list(gazelle.control.truth(stream="pianos")["pianos"])[:9]
    gazelle.control.clear_log()
    found = list(open_client(gazelle, sizes=PageSizes(full=5)).lookup(selections.PIANO, [*ids, "ins_0000000000000000"]))
    assert [msgspec.json.decode(node)["id"] for node in found] == ids
    assert len(gazelle.control.log()) == 2


def test_a_refused_field_is_dropped_with_a_warning(gazelle: RunningSandbox, caplog: pytest.LogCaptureFixture) -> None:
    gazelle.control.post("schema", removed=["PrivateClient.preferenceNotes", "PrivateContactLocation.street2"])
    client = open_client(gazelle)
    with caplog.at_level(logging.WARNING, "sync_pipelines.gazelle"):
        found = walk(client, selections.CLIENTS)
    assert len(found) == 60
    assert not any("preferenceNotes" in node for node in found.values())
    assert client.dropped == ("ClientFields.preferenceNotes", "ClientFields.defaultContact.defaultLocation.street2")
    assert "ClientFields.preferenceNotes" in caplog.text


def test_fields_seen_after_the_snapshot_are_dropped_quietly(gazelle: RunningSandbox, caplog: pytest.LogCaptureFixture) -> None:
    gazelle.control.post("schema", later=False)
    client = open_client(gazelle)
    with caplog.at_level(logging.WARNING, "sync_pipelines.gazelle"):
        walk(client, selections.EVENTS)
    assert client.dropped == ("EventFields.allServiceItems",)
    assert not caplog.records


def test_a_page_too_large_for_the_server_is_halved_and_stays_so(gazelle: RunningSandbox) -> None:
    gazelle.control.post("settings", max_complexity=3_000)
    client = open_client(gazelle)
    found = walk(client, selections.CONTACTS)
    assert found.keys() == gazelle.control.truth(stream="contacts")["contacts"].keys()
    calls = len(gazelle.control.log())
    walk(client, selections.CONTACTS)
    assert len(gazelle.control.log()) - calls < calls


def test_a_throttled_client_asks_for_less(gazelle: RunningSandbox) -> None:
    gazelle.control.faults({"kind": "status", "status": 429, "times": 1, "skip": 1})
    found = walk(open_client(gazelle, sizes=PageSizes(full=20)), selections.CLIENTS)
    assert len(found) == 60
    pages_without_throttling = 3
    assert len(gazelle.control.log()) > pages_without_throttling + 1


def test_errors_inside_200_are_errors(gazelle: RunningSandbox) -> None:
    client = open_client(gazelle)
    refused = {"message": "not yours", "locations": [{"line": 1, "column": 1}], "extensions": {"code": "forbidden"}}
    gazelle.control.post("errors", errors=[refused])
    with pytest.raises(QueryRefusedError):
        walk(client, selections.PIANOS)
    crash = {"message": "undefined method for nil", "path": ["allPianos", "nodes", 3, "client"]}
    gazelle.control.post("errors", errors=[crash], data={"allPianos": None}, times=99)
    with pytest.raises(TransientError):
        walk(client, selections.PIANOS)


@pytest.mark.parametrize("kind", ["null", "garbage", "truncate", "html", "empty", "reset"])
def test_a_broken_answer_is_asked_again(gazelle: RunningSandbox, kind: str) -> None:
    gazelle.control.faults({"kind": kind, "times": 2, "skip": 1})
    assert len(walk(open_client(gazelle, sizes=PageSizes(full=25)), selections.CLIENTS)) == 60


def test_a_list_that_goes_on_without_saying_where_is_an_error() -> None:
    from sync_pipelines.vendors.gazelle.client import ListPage

    with pytest.raises(ContractError):
        list(Walk(lambda *_: ListPage((), 5, has_more=True)).steps(Position()))


def test_the_other_path_is_tried_where_the_first_is_unknown(gazelle: RunningSandbox) -> None:
    gazelle.control.faults({"kind": "status", "status": 404, "path": r"/private$", "times": None})
    assert len(walk(open_client(gazelle), selections.CLIENTS)) == 60


def test_a_bad_key_is_an_auth_error(gazelle: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    gazelle.control.faults({"kind": "status", "status": 401, "times": None})
    with pytest.raises(AuthError):
        walk(open_client(gazelle), selections.CLIENTS)


def test_plain_lists(gazelle: RunningSandbox) -> None:
    client = open_client(gazelle)
    truth: Callable[[str], dict[str, Any]] = lambda name: gazelle.control.truth(stream=name)[name]  # noqa: E731
    assert len(client.plain(selections.USERS)["allUsers"]) == len(truth("users"))
    assert len(client.plain(selections.SERVICE_ITEMS)["allMasterServiceItems"]) == len(truth("service_items"))
    assert sum(len(tags) for tags in client.plain(selections.TAGS).values()) == len(truth("tags"))
