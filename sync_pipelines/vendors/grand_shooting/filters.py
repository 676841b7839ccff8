"""Whether a reference belongs into a secondary account: include and exclude conditions, compiled once per link. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sync_pipelines.vendors.grand_shooting.expressions import Expression, ExpressionError, Pattern
from sync_pipelines.vendors.grand_shooting.fields import ANY, LIST, NUMBER, READABLE, TEXT, Path, type_of
from sync_pipelines.vendors.grand_shooting.settings import Condition, LinkFilter

Reference = Mapping[str, Any]
Test = Callable[[Reference], bool]

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


class Filter:
    """A link's filter.

    Raises:
        ValueError: A condition is wrong; the text names its place, field and why.
    """

    def __init__(self, settings: LinkFilter) -> None:
        self._include = [_compiled(condition, f"include[{n}]") for n, condition in enumerate(settings.include)]
        self._exclude = [_compiled(condition, f"exclude[{n}]") for n, condition in enumerate(settings.exclude)]

    def passes(self, reference: Reference) -> bool:
        """Whether any include matches (or there is none) and no exclude does.

        Raises:
            ExpressionError: An expression failed on this reference.
        """
        if self._include and not any(test(reference) for test in self._include):
            return False
        return not any(test(reference) for test in self._exclude)


def _compiled(condition: Condition, place: str) -> Test:
    try:
        return compile_condition(condition)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def compile_condition(condition: Condition) -> Test:
    """A condition as a function.

    Raises:
        ValueError: Unknown field, a value of the wrong type for the operator, a bad pattern or expression.
    """
    if condition.cel is not None:
        return _expression(condition.cel)
    assert condition.field is not None  # noqa: S101 - the model allows no other way
    path = Path.parse(condition.field)
    if path.field not in READABLE:
        raise ValueError(f"unknown field {condition.field}")
    operator, value = str(condition.op), condition.value
    _check_types(path, operator, value)
    if operator == "exists":
        wanted = value is not False
        return lambda reference: (path.read(reference) is not None) is wanted
    if operator in {"eq", "ne"}:
        return lambda reference: _equal(path.read(reference), value) is (operator == "eq")
    if operator in {"in", "not_in"}:
        return lambda reference: any(_equal(path.read(reference), item) for item in value) is (operator == "in")
    if operator == "matches":
        pattern = Pattern(value)
        return lambda reference: isinstance(found := path.read(reference), str) and pattern.search(found)
    if operator == "starts_with":
        return lambda reference: isinstance(found := path.read(reference), str) and found.startswith(value)
    if operator == "contains":
        return lambda reference: _contains(path.read(reference), value)
    return lambda reference: _ordered(operator, path.read(reference), value)


def _expression(source: str) -> Test:
    expression = Expression(source)

    def test(reference: Reference) -> bool:
        result = expression.evaluate(reference)
        if not isinstance(result, bool):
            raise ExpressionError(f"gives {type_of(result)} instead of true or false")
        return result

    return test


def _check_types(path: Path, operator: str, value: Any) -> None:
    known, given = path.type, type_of(value)
    if operator in {"in", "not_in"} and not isinstance(value, list):
        raise ValueError(f"{path.text}: {operator} needs a list")
    if operator in {"matches", "starts_with"} and (not isinstance(value, str) or known not in {TEXT, ANY}):
        raise ValueError(f"{path.text}: {operator} compares texts")
    if operator == "contains" and known not in {TEXT, LIST, ANY}:
        raise ValueError(f"{path.text}: contains looks into texts and lists")
    if operator == "contains" and known == TEXT and given != TEXT:
        raise ValueError(f"{path.text}: contains needs a text")
    if operator in _ORDER and given not in {TEXT, NUMBER}:
        raise ValueError(f"{path.text}: {operator} needs a text or a number")
    compared = value if operator in {"in", "not_in"} else [value] if operator in {"eq", "ne", *_ORDER} else []
    for item in compared:
        if known in {TEXT, NUMBER} and type_of(item) != known:
            raise ValueError(f"{path.text} is a {known}, {item!r} is not")


def _equal(found: Any, value: Any) -> bool:
    if isinstance(found, bool) is not isinstance(value, bool):
        return False
    if isinstance(found, Decimal) and isinstance(value, float):
        return found == Decimal(repr(value))
    return bool(found == value)


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, list) and any(_equal(item, value) for item in found)


def _ordered(operator: str, found: Any, value: Any) -> bool:
    if found is None or type_of(found) != type_of(value):
        return False
    if isinstance(value, float):
        value = Decimal(repr(value))
    return _ORDER[operator](found, value)
