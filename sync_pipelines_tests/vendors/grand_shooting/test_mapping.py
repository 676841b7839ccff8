"""Mapping and validation of a link: what is configured is what arrives, and what cannot work is found before it is activated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sync_pipelines.vendors.grand_shooting.fields import READ_ONLY, WRITABLE
from sync_pipelines.vendors.grand_shooting.mapping import LinkInvalid, MappingError, compile_link, mapped_hash
from sync_pipelines.vendors.grand_shooting.settings import Link

REFERENCE: dict[str, Any] = {
    "reference_id": 7,
    "ref": "GS-1",
    "ean": "2000000000017",
    "brand": "Alder",
    "color": "navy",
    "gender": "Woman",
    "online": "2026-03-09",
    "size": "38",
    "smalltext": "Dress navy",
    "tags": ["new", "sale"],
    "date_mod": "2026-01-01T00:00:00.000Z",
    "extra": {"composition": ["90% wool", "10% silk"], "weight_g": 1234, "price": Decimal("12.345"), "nested": {"deep": "x"}},
}


def link(**mapping: Any) -> Link:
    return Link.model_validate(
        {"id": "paris", "main": "grand_shooting/main", "secondary": "grand_shooting/paris", "mapping": mapping}
    )


def mapped(**mapping: Any) -> dict[str, Any]:
    return compile_link(link(**mapping)).apply(REFERENCE)


def test_without_mapping_everything_declared_is_copied_and_nothing_else() -> None:
    assert compile_link(link()).apply({**REFERENCE, "surprise": 1}) == {k: v for k, v in REFERENCE.items() if k not in READ_ONLY}


def test_the_example_of_the_documentation() -> None:
    result = mapped(
        color={"target": "extra.couleur", "rules": [{"type": "uppercase"}]},
        gender={"rules": [{"type": "value_map", "map": {"Woman": "Femme", "Man": "Homme"}}]},
        online={"rules": [{"type": "date_format", "from": "YYYY-MM-DD", "to": "DD/MM/YYYY"}]},
        tags={"target": "extra.tags_concat", "rules": [{"type": "join", "separator": ","}]},
        brand={"rules": [{"type": "default", "value": "INCONNU"}]},
        comment=None,
        ean={"target": None},
    )
    assert result["extra"] == {**REFERENCE["extra"], "couleur": "NAVY", "tags_concat": "new,sale"}
    assert (result["gender"], result["online"], result["brand"]) == ("Femme", "09/03/2026", "Alder")
    assert not {"color", "tags", "ean"} & set(result)


@pytest.mark.parametrize(
    ("source", "rules", "expected"),
    [
        ("brand", [{"type": "upper"}], "ALDER"),
        ("brand", [{"type": "lower"}], "alder"),
        ("smalltext", [{"type": "capitalize"}], "Dress navy"),
        (
            "brand",
            [{"type": "concat", "fields": ["brand", "comment", "color"], "separator": "-", "prefix": "<", "suffix": ">"}],
            "<Alder-navy>",
        ),
        ("brand", [{"type": "extract", "path": "extra.composition[0]"}], "90% wool"),
        ("brand", [{"type": "extract", "path": "extra.composition[0]"}, {"type": "split", "separator": " ", "index": -1}], "wool"),
        ("brand", [{"type": "constant", "value": "X"}], "X"),
        ("smalltext", [{"type": "truncate", "length": 5}], "Dress"),
        ("extra.price", [{"type": "round", "digits": 2}], Decimal("12.35")),
        ("tags", [{"type": "upper"}], ["NEW", "SALE"]),
        ("tags", [{"type": "value_map", "map": {"new": "neu"}, "otherwise": "drop"}], ["neu"]),
        ("comment", [{"type": "split", "separator": ","}, {"type": "join"}, {"type": "default", "value": "none"}], "none"),
        ("brand", [{"type": "cel", "expression": "size > '36' ? value + ' plus' : value"}], "Alder plus"),
        ("brand", [{"type": "cel", "expression": "has(extra.nested.deep) && 'sale' in tags ? color.upperAscii() : brand"}], "NAVY"),
        ("tags", [{"type": "cel", "expression": "tags.filter(t, t != 'sale')"}], ["new"]),
    ],
)
def test_rules(source: str, rules: list[dict[str, Any]], expected: Any) -> None:
    result = mapped(**{source: {"rules": rules}})
    for step in source.split("."):
        result = result[step]
    assert result == expected


def test_rename_is_a_target() -> None:
    result = mapped(color={"rules": [{"type": "rename", "to": "extra.shade"}]})
    assert result["extra"]["shade"] == "navy"
    assert "color" not in result


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"nonsense": {"rules": [{"type": "upper"}]}}, ["field nonsense", "unknown field"]),
        ({"color": {"target": "nonsense"}}, ["field color", "nonsense cannot be written"]),
        ({"color": {"target": "reference_id"}}, ["cannot be written"]),
        ({"color": {"target": "brand"}}, ["two sources", "brand", "color"]),
        ({"color": {"target": "extra.x"}, "size": {"target": "extra.x"}}, ["two sources", "color", "size"]),
        ({"color": {"target": "extra.x"}, "size": {"target": "extra.x.y"}}, ["two sources"]),
        ({"ref": {"target": None}}, ["field ref", "nothing is copied to ref"]),
        ({"ref": {"target": "extra.ref"}}, ["field ref"]),
        ({"tags": {"rules": [{"type": "join"}]}}, ["field tags", "type conflict"]),
        ({"brand": {"rules": [{"type": "join"}]}}, ["field brand", "rule 1 (join)"]),
        ({"brand": {"rules": [{"type": "round"}]}}, ["rule 1 (round)"]),
        ({"brand": {"rules": [{"type": "extract", "path": "extra[["}]}}, ["rule 1 (extract)"]),
        ({"brand": {"rules": [{"type": "extract", "path": "nope.x"}]}}, ["unknown field nope"]),
        ({"online": {"rules": [{"type": "date_format", "from": "QQ", "to": "YYYY-MM-DD"}]}}, ["rule 1 (date_format)"]),
        ({"brand": {"rules": [{"type": "cel", "expression": "brand +"}]}}, ["rule 1 (cel)", "does not parse"]),
        ({"brand": {"rules": [{"type": "cel", "expression": "nope + brand"}]}}, ["unknown field nope"]),
        ({"brand": {"rules": [{"type": "cel", "expression": "brand.matches('((')"}]}}, ["bad pattern"]),
        ({"brand": {"rules": [{"type": "cel", "expression": "brand.matches(color)"}]}}, ["fixed pattern"]),
        ({"brand": {"rules": [{"type": "cel", "expression": "tags.map(a, tags.map(b, a + b))"}]}}, ["macro inside a macro"]),
        ({"brand": {"rules": [{"type": "cel", "expression": "brand" + " + brand" * 200}]}}, ["longer than"]),
        ({"brand.x": {}}, ["has no fields below it"]),
    ],
)
def test_a_wrong_mapping_is_refused_by_name(mapping: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(LinkInvalid) as refusal:
        compile_link(link(**mapping))
    assert "link paris" in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(LinkInvalid) as refusal:
        compile_link(link(nonsense={}, color={"target": "brand"}))
    assert len(refusal.value.problems) == 2


@pytest.mark.parametrize(
    ("mapping", "field", "rule"),
    [
        ({"online": {"rules": [{"type": "date_format", "from": "DD/MM/YYYY", "to": "YYYY-MM-DD"}]}}, "online", "date_format"),
        ({"brand": {"rules": [{"type": "extract", "path": "extra.weight_g"}]}}, "brand", "extract"),
        ({"gender": {"rules": [{"type": "value_map", "map": {"Man": "M"}, "otherwise": "fail"}]}}, "gender", "value_map"),
        ({"brand": {"rules": [{"type": "cel", "expression": "int(brand)"}]}}, "brand", "cel"),
        ({"brand": {"rules": [{"type": "extract", "path": "extra.nested"}, {"type": "upper"}]}}, "brand", "upper"),
    ],
)
def test_a_failing_transformation_names_link_ref_field_and_rule(mapping: dict[str, Any], field: str, rule: str) -> None:
    with pytest.raises(MappingError) as failure:
        mapped(**mapping)
    error = failure.value
    assert (error.link, error.ref, error.field, error.rule) == ("paris", "GS-1", field, rule)
    for word in ("paris", "GS-1", field, rule):
        assert word in str(error)


@pytest.mark.parametrize(
    "change",
    [
        {"batch": {"schedule": "nonsense"}},
        {"batch": {"schedule": "* * * * *", "timezone": "Mars/X"}},
        {"secondary": "grand_shooting/main"},
    ],
)
def test_a_link_that_cannot_run_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Link.model_validate({**link().model_dump(exclude={"batch"}), **change})


json_values = st.recursive(
    st.text(max_size=20)
    | st.integers(-(10**9), 10**9)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**6, min_value=-(10**6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
references = st.fixed_dictionaries(
    {"ref": st.text(min_size=1, max_size=20)},
    optional={
        **{name: st.text(max_size=30) for name in ("brand", "color", "size", "online", "gender")},
        "tags": st.lists(st.text(max_size=10), max_size=5),
        "extra": st.dictionaries(st.text(max_size=8), json_values, max_size=4),
        "reference_id": st.integers(1, 10**9),
        "surprise": json_values,
    },
)


@given(references)
def test_identity_mapping_is_idempotent_and_only_declared(reference: dict[str, Any]) -> None:
    replication = compile_link(link())
    once = replication.apply(reference)
    assert replication.apply(once) == once
    assert set(once) <= set(WRITABLE)
    assert all(value not in (None, "") for value in once.values())


RULES = st.sampled_from(
    [
        {"type": "upper"},
        {"type": "truncate", "length": 3},
        {"type": "concat", "fields": ["brand", "color"]},
        {"type": "split", "separator": "a", "index": 0},
        {"type": "value_map", "map": {"a": "b"}},
        {"type": "default", "value": "d"},
        {"type": "date_format", "from": "YYYY-MM-DD", "to": "DD.MM.YYYY"},
        {"type": "extract", "path": "extra.x[0]"},
        {"type": "cel", "expression": "value == null ? brand : size"},
        {"type": "cel", "expression": "value + value"},
        {"type": "round", "digits": 1},
        {"type": "join"},
    ]
)


@given(references, st.lists(RULES, max_size=5))
def test_any_rules_either_fail_by_name_or_give_a_value_of_the_right_type(
    reference: dict[str, Any], rules: list[dict[str, Any]]
) -> None:
    try:
        result = compile_link(link(brand={"rules": rules})).apply(reference)
    except (LinkInvalid, MappingError) as refusal:
        result = {"brand": str(refusal)}
        assert {"brand", "ref"} & set(result["brand"].replace(",", "").split())
    assert isinstance(result.get("brand", ""), str)


@given(references)
def test_the_hash_ignores_key_order_and_number_spelling(reference: dict[str, Any]) -> None:
    turned = dict(reversed(reference.items()))
    assert mapped_hash(reference) == mapped_hash(turned)
    assert mapped_hash({"n": 1}) == mapped_hash({"n": Decimal("1.000")}) != mapped_hash({"n": "1"})
