"""The predefined rules: each turns one value into another, purely. An absent value (``None``) passes through all but `Default`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sync_pipelines.vendors.grand_shooting import settings as s
from sync_pipelines.vendors.grand_shooting.expressions import Expression
from sync_pipelines.vendors.grand_shooting.fields import ANY, LIST, NUMBER, READABLE, TEXT, Path, type_of

Reference = Mapping[str, Any]
Apply = Callable[[Any, Reference], Any]
"""``(value so far, whole reference) -> value``; raises ValueError where the value cannot be transformed."""

MAX_TEXT = 64 * 1024

_TOKENS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_TOKEN = re.compile("|".join(_TOKENS))


def compile_rule(rule: s.Rule, given: str) -> tuple[Apply, str]:
    """A rule as a function, and the type of its result when it is given a ``given``.

    Raises:
        ValueError: The rule cannot work: unknown field, wrong type, bad path, date pattern or expression.
    """
    match rule:
        case s.Rename():
            return (lambda value, _: value), given
        case s.Case():
            _expect(given, TEXT, LIST)
            return _over_texts(_CASES[rule.type]), given
        case s.Concat():
            return _concat(rule), TEXT
        case s.Split():
            _expect(given, TEXT)
            return _split(rule), LIST if rule.index is None else TEXT
        case s.Join():
            _expect(given, LIST)
            return _join(rule), TEXT
        case s.ValueMap():
            _expect(given, TEXT, NUMBER, LIST)
            kinds = {type_of(value) for value in rule.map.values()} | ({given} if rule.otherwise == "keep" else set())
            return _value_map(rule), given if given == LIST else kinds.pop() if len(kinds) == 1 else ANY
        case s.Default():
            return (lambda value, _: rule.value if value is None or value == "" else value), _common(given, type_of(rule.value))
        case s.DateFormat():
            _expect(given, TEXT)
            return _date_format(rule), TEXT
        case s.Extract():
            path = _readable(rule.path)
            return (lambda _, reference: path.read(reference)), path.type
        case s.Constant():
            return (lambda _, __: rule.value), type_of(rule.value)
        case s.Truncate():
            _expect(given, TEXT)
            return (lambda value, _: value if value is None else _text(value)[: rule.length]), TEXT
        case s.Round():
            _expect(given, NUMBER)
            return _round(rule), NUMBER
        case s.Cel():
            expression = Expression(rule.expression, variables=frozenset({"value"}))
            return (lambda value, reference: expression.evaluate(reference, value=value)), ANY


_CASES: Mapping[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "upper": str.upper,
    "lowercase": str.lower,
    "lower": str.lower,
    "capitalize": str.capitalize,
}


def _expect(given: str, *wanted: str) -> None:
    if given != ANY and given not in wanted:
        raise ValueError(f"needs a {' or '.join(wanted)}, gets a {given}")


def _common(left: str, right: str) -> str:
    return left if left == right else ANY


def _readable(text: str) -> Path:
    path = Path.parse(text)
    if path.field not in READABLE:
        raise ValueError(f"unknown field {text}")
    return path


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type_of(value) == NUMBER:
        return str(value)
    raise _unfit("text", value)


def _unfit(wanted: str, value: Any) -> ValueError:
    return ValueError(f"needs a {wanted}, found a {type_of(value)}")


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError(f"result longer than {MAX_TEXT} characters")
    return text


def _over_texts(change: Callable[[str], str]) -> Apply:
    def apply(value: Any, _: Reference) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [change(item) if isinstance(item, str) else item for item in value]
        if not isinstance(value, str):
            raise _unfit("text", value)
        return change(value)

    return apply


def _concat(rule: s.Concat) -> Apply:
    paths = [_readable(name) for name in rule.fields]

    def apply(value: Any, reference: Reference) -> Any:
        found = [path.read(reference) for path in paths] if paths else [value]
        parts = [_text(part) for part in found if part is not None and part != ""]
        return _bounded(rule.prefix + rule.separator.join(parts) + rule.suffix) if parts else None

    return apply


def _split(rule: s.Split) -> Apply:
    def apply(value: Any, _: Reference) -> Any:
        if value is None:
            return None
        pieces = [piece.strip() for piece in _text(value).split(rule.separator)]
        if rule.index is None:
            return [piece for piece in pieces if piece]
        return pieces[rule.index] if -len(pieces) <= rule.index < len(pieces) else None

    return apply


def _join(rule: s.Join) -> Apply:
    def apply(value: Any, _: Reference) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise _unfit("list", value)
        return _bounded(rule.separator.join(_text(item) for item in value))

    return apply


def _value_map(rule: s.ValueMap) -> Apply:
    def translate(value: Any) -> Any:
        if isinstance(value, (list, dict)):
            raise _unfit("single value", value)
        key = str(value).lower() if isinstance(value, bool) else str(value)
        if key in rule.map:
            return rule.map[key]
        if rule.otherwise == "fail":
            raise ValueError("value is not in the map")
        return value if rule.otherwise == "keep" else None

    def apply(value: Any, _: Reference) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [item for item in map(translate, value) if item is not None]
        return translate(value)

    return apply


def _date_format(rule: s.DateFormat) -> Apply:
    source, target = _strptime(rule.source), _strptime(rule.to)
    shape = re.compile(_TOKEN.sub(lambda token: rf"\d{{{len(token.group())}}}", re.escape(rule.source)))

    def apply(value: Any, _: Reference) -> Any:
        if value is None:
            return None
        if not shape.fullmatch(_text(value)):
            raise ValueError(f"value is not of the form {rule.source}")
        return datetime.strptime(value, source).strftime(target)  # noqa: DTZ007 - a day or a wall time, moved between spellings

    return apply


def _strptime(pattern: str) -> str:
    tokens = _TOKEN.findall(pattern)
    if not {"YYYY", "MM", "DD"} <= set(tokens) or len(tokens) != len(set(tokens)) or "%" in pattern or len(pattern) > 40:
        raise ValueError(f"{pattern!r} is not a date pattern of YYYY MM DD HH mm ss, each once")
    return _TOKEN.sub(lambda token: _TOKENS[token.group()], pattern)


def _round(rule: s.Round) -> Apply:
    unit = Decimal(1).scaleb(-rule.digits)

    def apply(value: Any, _: Reference) -> Any:
        if value is None:
            return None
        if type_of(value) != NUMBER:
            raise _unfit("number", value)
        rounded = Decimal(str(value)).quantize(unit, ROUND_HALF_UP)
        return int(rounded) if rule.digits == 0 else rounded

    return apply
