"""The fan-out against the look-alike: from a change in the main account to every secondary, exactly once, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from sync_pipelines.core.errors import StreamBusy
from sync_pipelines.vendors.grand_shooting.fan_out import links as circuits
from sync_pipelines.vendors.grand_shooting.fan_out.drain import Limits, Stopped, lines
from sync_pipelines_tests.vendors.grand_shooting.worlds import MAIN, FanOutWorld, Reference

World = Callable[..., FanOutWorld]

PARIS: dict[str, Any] = {
    "filter": {
        "include": [{"field": "brand", "op": "in", "value": ["Elm", "Fir", "Cedar"]}],
        "exclude": [{"cel": "'outlet' in tags"}],
    },
    "mapping": {
        "color": {"target": "extra.couleur", "rules": [{"type": "uppercase"}]},
        "gender": {"rules": [{"type": "value_map", "map": {"Woman": "Femme", "Man": "Homme"}}]},
        "comment": {"rules": [{"type": "default", "value": "INCONNU"}]},
    },
}


def paris(reference: Reference) -> Reference | None:
    """What `PARIS` means, said another way."""
    if reference["brand"] not in {"Elm", "Fir", "Cedar"} or "outlet" in reference["tags"]:
        return None
    result = {**reference, "extra": {**reference["extra"], "couleur": reference["color"].upper()}}
    del result["color"]
    result["gender"] = {"Woman": "Femme", "Man": "Homme"}.get(reference["gender"], reference["gender"])
    result["comment"] = reference.get("comment", "INCONNU")
    return result


def test_the_whole_catalogue_reaches_every_link_by_its_filter_and_mapping(world: World) -> None:
    one = world(paris=PARIS, lyon={})
    assert one.mirror().inserted == 120
    totals = one.drain()
    one.expect("paris", paris)
    one.expect("lyon")
    assert totals.stopped_because is Stopped.IDLE
    assert totals.links["lyon"].written == 120
    assert totals.links["lyon"].bulk_calls == 2


def test_a_webhook_is_read_once_and_reaches_every_link(world: World) -> None:
    one = world(paris={}, lyon={})
    one.mirror()
    one.drain()
    one.control.clear_log()
    one.edit("main", "GS-000001", {"brand": "Gum"})
    one.announce("GS-000001")
    one.drain()
    one.expect("paris")
    one.expect("lyon")
    calls = [(entry["account"], entry["method"]) for entry in one.control.log()]
    assert sorted(calls) == [("lyon", "POST"), ("main", "GET"), ("paris", "POST")]


def test_echoes_and_changes_without_effect_are_dropped_and_counted(world: World) -> None:
    one = world(paris={"mapping": {"comment": {"target": None}}})
    one.mirror()
    one.drain()
    one.announce("GS-000001")
    assert one.drain().links["paris"].claimed == 0
    one.edit("main", "GS-000001", {"comment": "not copied"})
    one.announce("GS-000001")
    totals = one.drain().links["paris"]
    assert (totals.claimed, totals.dropped, totals.bulk_calls) == (1, 1, 0)
    assert one.rows("select sum(dropped) from sync.hourly_volumes where subject = 'paris'") == [(1,)]


def test_deletes_and_recreations_follow(world: World) -> None:
    one = world(paris={})
    one.mirror()
    one.drain()
    old = one.truth("main")["GS-000001"]
    one.edit("main", "GS-000001", None)
    one.announce(ids=[old["reference_id"]], topic="references/delete")
    one.drain()
    assert "GS-000001" not in one.truth("paris")
    one.edit("main", "GS-000001", {"brand": "Elm", "tags": ["new"]})
    one.announce("GS-000001", topic="references/create")
    one.announce(ids=[old["reference_id"]], topic="references/delete")
    one.drain()
    one.expect("paris")


def test_a_reference_that_leaves_the_filter_is_deleted_at_the_secondary_and_comes_back(world: World) -> None:
    one = world(paris={"filter": {"exclude": [{"field": "brand", "op": "eq", "value": "Gum"}]}})
    one.mirror()
    one.drain()
    for brand in ("Gum", "Elm"):
        one.edit("main", "GS-000002", {"brand": brand})
        one.announce("GS-000002")
        one.drain()
        assert ("GS-000002" in one.truth("paris")) is (brand == "Elm")
    one.expect("paris")


def test_what_was_created_unseen_is_deleted_when_it_is_not_wanted_any_more(world: World) -> None:
    one = world(paris={})
    one.mirror()
    one.drain()
    one.edit("main", "NEW", {"brand": "Gum"})
    number = one.truth("main")["NEW"]["reference_id"]
    one.control.faults({"kind": "lost_answer", "path": "POST .*/reference/bulk", "times": None})
    one.announce("NEW")
    one.drain()
    assert "NEW" in one.truth("paris")
    assert one.rows("select state, secondary_reference_id from grand_shooting.replicas where ref = 'NEW'") == [("writing", None)]
    one.control.clear_faults()
    one.edit("main", "NEW", None)
    one.announce(ids=[number], topic="references/delete")
    one.drain()
    one.expect("paris")


def test_a_new_mapping_means_every_reference_is_looked_at_again(world: World) -> None:
    one = world(paris={})
    one.mirror()
    one.drain()
    assert one.differences("paris") == 0
    one.configure("paris", **PARIS)
    assert one.differences("paris") == 120
    one.drain()
    found = one.truth("paris")
    assert set(found) == {ref for ref, item in one.truth("main").items() if paris(item)}
    assert all("couleur" in item["extra"] for item in found.values())


def test_lost_webhooks_are_healed_by_batch(world: World) -> None:
    one = world(paris=PARIS, lyon={"webhooks": False})
    one.mirror()
    one.drain()
    assert one.truth("lyon") == {}
    one.control.mutate(60, seed=4)
    one.mirror()
    one.mirror(full=True)
    one.mirror(full=True)
    for name in ("paris", "lyon"):
        one.differences(name)
    one.drain()
    one.expect("paris", paris)
    one.expect("lyon")


@pytest.mark.parametrize("days", [1, 5])
def test_a_delta_begins_as_many_days_earlier_as_the_account_says(world: World, days: int) -> None:
    one = world()
    one.settings[MAIN] = one.settings[MAIN].model_copy(update={"date_overlap_days": days})
    one.mirror()
    ((confirmed,),) = one.rows("select max(upper(confirmed)) at time zone 'UTC' from sync.windows")
    one.control.clear_log()
    one.mirror()
    first_day = (confirmed - timedelta(days=days)).date()
    listings = [unquote(entry["query"]) for entry in one.control.log()]
    assert listings
    assert all(f"date_mod=gte:{first_day}" in query for query in listings)


def test_the_bad_reference_is_found_by_halving_and_the_others_are_written(world: World) -> None:
    one = world(paris={"retries": 0})
    one.edit("paris", "STRANGER", {"ean": one.truth("main")["GS-000007"]["ean"]})
    one.mirror()
    totals = one.drain().links["paris"]
    assert (totals.written, totals.dead_lettered) == (119, 1)
    ((key, error),) = one.rows("select key, error from sync.dead_letters where state = 'open'")
    assert key == "GS-000007"
    assert "GS-000007" in error
    assert "STRANGER" in error
    one.edit("paris", "STRANGER", None)
    one.edit("main", "GS-000007", {"size": "XXL"})
    one.announce("GS-000007")
    one.drain()
    one.expect("paris")
    assert one.rows("select state from sync.dead_letters") == [("resolved",)]


def test_a_failing_transformation_is_a_dead_letter_naming_link_ref_field_and_rule(world: World) -> None:
    one = world(paris={"mapping": {"size": {"rules": [{"type": "cel", "expression": "string(int(size))"}]}}})
    one.edit("main", "GS-000003", {"size": "tall"})
    one.mirror()
    one.drain()
    errors = dict(one.rows("select key, error from sync.dead_letters where state = 'open'"))
    assert set(errors) == {ref for ref, item in one.truth("main").items() if not item["size"].isdigit()}
    for word in ("paris", "GS-000003", "size", "cel"):
        assert word in errors["GS-000003"]
    assert one.differences("paris") == 0


def test_a_dead_secondary_opens_its_own_circuit_only_and_catches_up(world: World) -> None:
    one = world(paris={}, lyon={})
    one.control.post("account", account="paris", revoked=True)
    one.mirror()
    totals = one.drain(Limits(linger_s=0.3, max_runtime_s=20))
    one.expect("lyon")
    assert totals.links["paris"].tripped >= 1
    assert lines(one.database, ["paris", "lyon"])["paris"][0] == 120
    with one.database.connect() as connection:
        state = circuits.circuit(connection, "paris")
        assert state.is_open
        assert state.open_until is not None
        connection.execute("update grand_shooting.links set open_until = clock_timestamp() - interval '1 second'")
    one.control.post("account", account="paris", revoked=False)
    one.drain()
    one.expect("paris")
    assert one.rows("select attempts from sync.tasks_done where account = 'paris' and attempts > 1") == []


@pytest.mark.parametrize("policy", ["overwrite", "hold"])
def test_a_foreign_change_is_overwritten_or_held(world: World, policy: str) -> None:
    one = world(paris={"on_foreign_change": policy})
    one.mirror()
    one.drain()
    one.edit("paris", "GS-000005", {"brand": "Foreign"})
    one.edit("main", "GS-000005", {"size": "XXL"})
    one.announce("GS-000005")
    one.drain()
    found = one.truth("paris")["GS-000005"]
    if policy == "overwrite":
        one.expect("paris")
    else:
        assert (found["brand"], found["size"]) == ("Foreign", one.truth("paris")["GS-000005"]["size"])
        assert one.rows("select ref from grand_shooting.replicas where state = 'held'") == [("GS-000005",)]


def test_only_one_drain_of_a_main_account_at_a_time(world: World) -> None:
    one = world(paris={})
    refused: list[StreamBusy] = []

    def try_another() -> bool:
        with pytest.raises(StreamBusy) as refusal:
            one.drain()
        refused.append(refusal.value)
        return True

    assert one.drain(is_stopping=try_another).stopped_because is Stopped.ASKED
    assert refused


def test_two_references_must_not_become_one(world: World) -> None:
    one = world(paris={"retries": 0, "mapping": {"ref": {"rules": [{"type": "truncate", "length": 8}]}, "ean": {"target": None}}})
    one.mirror()
    one.drain()
    written = one.rows("select count(*) from grand_shooting.replicas where state = 'applied'")[0][0]
    assert written == len({ref[:8] for ref in one.truth("main")})
    assert one.rows("select count(*) from sync.dead_letters where error like %s", "%both become%")[0][0] == 120 - written


def test_random_changes_by_unreliable_webhooks_end_equal(world: World) -> None:
    one = world(paris=PARIS, lyon={}, berlin={"on_foreign_change": "hold"})
    one.mirror()
    one.drain()
    for seed in range(4):
        known = {item["reference_id"]: ref for ref, item in one.truth("main").items()}
        one.control.mutate(40, seed=seed)
        now = one.truth("main")
        gone = [number for number in known if number not in {item["reference_id"] for item in now.values()}]
        one.announce(ids=gone, topic="references/delete")
        one.announce(*[ref for ref, item in now.items()][:: seed + 1], topic="references/update")
        one.drain()
    one.mirror()
    for name in one.links:
        one.differences(name)
    one.drain()
    one.expect("paris", paris)
    one.expect("lyon")
    one.expect("berlin")
    assert one.rows("select count(*) from sync.dead_letters where state = 'open'") == [(0,)]
    assert one.rows("select count(*) from sync.tasks") == [(0,)]
    assert one.rows("select distinct account from grand_shooting.references")[0][0] == MAIN
