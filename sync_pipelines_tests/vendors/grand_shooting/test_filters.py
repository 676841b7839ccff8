"""Filters: the operators, the order of include and exclude, and bounds on what an expression may cost."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.vendors.grand_shooting.expressions import MAX_RESULT, Expression, ExpressionError, Pattern
from sync_pipelines.vendors.grand_shooting.fields import Path
from sync_pipelines.vendors.grand_shooting.filters import Filter, compile_condition
from sync_pipelines.vendors.grand_shooting.settings import Condition, LinkFilter

REFERENCE: dict[str, Any] = {
    "ref": "GS-1",
    "brand": "Nike",
    "tags": ["new", "sale"],
    "category_id": 4,
    "extra": {"price": Decimal("9.90"), "flag": True, "list": [1, 2]},
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "brand", "op": "eq", "value": "Nike"}, True),
        ({"field": "brand", "op": "eq", "value": "nike"}, False),
        ({"field": "brand", "op": "ne", "value": "Puma"}, True),
        ({"field": "color", "op": "ne", "value": "red"}, True),
        ({"field": "brand", "op": "in", "value": ["Nike", "Puma"]}, True),
        ({"field": "brand", "op": "not_in", "value": ["Nike", "Puma"]}, False),
        ({"field": "color", "op": "not_in", "value": ["red"]}, True),
        ({"field": "brand", "op": "contains", "value": "ik"}, True),
        ({"field": "tags", "op": "contains", "value": "sale"}, True),
        ({"field": "tags", "op": "contains", "value": "sal"}, False),
        ({"field": "brand", "op": "starts_with", "value": "Ni"}, True),
        ({"field": "color", "op": "exists"}, False),
        ({"field": "color", "op": "exists", "value": False}, True),
        ({"field": "extra.price", "op": "gt", "value": 9.9}, False),
        ({"field": "extra.price", "op": "gte", "value": 9.9}, True),
        ({"field": "extra.price", "op": "lt", "value": 10}, True),
        ({"field": "extra.price", "op": "lte", "value": "x"}, False),
        ({"field": "extra.flag", "op": "eq", "value": True}, True),
        ({"field": "extra.flag", "op": "eq", "value": 1}, False),
        ({"field": "extra.list[1]", "op": "eq", "value": 2}, True),
        ({"field": "category_id", "op": "gt", "value": 3}, True),
        ({"field": "ref", "op": "matches", "value": "^GS-[0-9]+$"}, True),
        ({"field": "color", "op": "matches", "value": "."}, False),
        ({"cel": "brand == 'Nike' && 'new' in tags"}, True),
        ({"cel": "color == null"}, True),
        ({"cel": "has(extra.price) && extra.price < 10.0"}, True),
    ],
)
def test_operators(condition: dict[str, Any], expected: bool) -> None:
    assert compile_condition(Condition.model_validate(condition))(REFERENCE) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "nonsense", "op": "eq", "value": 1},
        {"field": "brand", "op": "eq", "value": 1},
        {"field": "brand", "op": "in", "value": "Nike"},
        {"field": "brand", "op": "in", "value": ["Nike", 3]},
        {"field": "brand", "op": "gt", "value": None},
        {"field": "tags", "op": "starts_with", "value": "n"},
        {"field": "category_id", "op": "contains", "value": "1"},
        {"field": "brand", "op": "matches", "value": "(("},
        {"field": "brand", "op": "matches", "value": "(?=a)b"},
        {"field": "brand", "op": "matches", "value": "((a{50}){50})"},
        {"field": "brand..x", "op": "exists"},
        {"cel": "brand =="},
        {"cel": "nonsense == 1"},
    ],
)
def test_wrong_conditions_are_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"include\[0\]"):
        Filter(LinkFilter(include=[Condition.model_validate(condition)]))


def test_any_include_and_no_exclude() -> None:
    nike, puma = ({"field": "brand", "op": "eq", "value": name} for name in ("Nike", "Puma"))
    new = {"field": "tags", "op": "contains", "value": "new"}
    assert Filter(LinkFilter()).passes(REFERENCE)
    assert Filter(LinkFilter.model_validate({"include": [puma, nike]})).passes(REFERENCE)
    assert not Filter(LinkFilter.model_validate({"include": [puma]})).passes(REFERENCE)
    assert not Filter(LinkFilter.model_validate({"include": [nike], "exclude": [new]})).passes(REFERENCE)


def test_a_condition_that_is_not_true_or_false_fails_by_name() -> None:
    with pytest.raises(ExpressionError, match="instead of true or false"):
        compile_condition(Condition(cel="brand"))(REFERENCE)


def test_a_pattern_that_kills_backtracking_engines_is_harmless() -> None:
    assert not Pattern("^(a+)+$").search("a" * 50_000 + "b")


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("tags.map(t, " + " + ".join(["smalltext"] * 80) + ")", {"tags": ["x"] * 1_000, "smalltext": "y" * 10_000}),
        (" + ".join(["smalltext"] * 80), {"smalltext": "y" * 1_000_000}),
        ("(" + " + ".join(["tags"] * 100) + ").map(t, tags)", {"tags": ["x"] * 10_000}),
    ],
)
def test_an_input_that_would_explode_is_refused_before_evaluation(source: str, reference: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError, match="too large for this expression"):
        Expression(source).evaluate(reference)


def test_a_large_result_is_refused() -> None:
    with pytest.raises(ExpressionError, match="result is larger"):
        Expression("smalltext + smalltext").evaluate({"smalltext": "y" * MAX_RESULT})


@pytest.mark.parametrize(
    "source", ["(" * 40 + "1" + ")" * 40, "x" * 2_000, "tags.exists(a, tags.all(b, b == a))", "brand.matches(brand)"]
)
def test_an_expression_without_bound_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(source)


def test_a_macro_word_inside_a_text_is_only_a_text() -> None:
    assert Expression("tags.exists(t, t == 'a.map(b, c.map(')").evaluate(REFERENCE) is False


@given(st.text(alphabet="brand.map()[]+'\"x,?:{}&|!<>=0123456789 ", max_size=60))
def test_any_text_is_either_an_expression_or_refused(source: str) -> None:
    with suppress(ExpressionError):
        Expression(source).evaluate(REFERENCE)


@given(st.text(max_size=30))
def test_any_text_is_either_a_path_or_refused(text: str) -> None:
    try:
        path = Path.parse(text)
    except ValueError:
        return
    assert path.read(REFERENCE) is None or path.field in REFERENCE
