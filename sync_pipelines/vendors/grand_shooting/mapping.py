"""From a main account's reference to what a secondary account should hold. Pure: no I/O.

`compile_link` turns a configured link into a `Replication`; everything wrong with the configuration is found there, before it is
activated. What can still go wrong on one reference is a `MappingError` naming link, ref, field and rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from sync_pipelines.core.errors import ConfigError, DataError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.vendors.grand_shooting.fields import ANY, LIST, NUMBER, OBJECT, READABLE, TEXT, WRITABLE, Path, type_of
from sync_pipelines.vendors.grand_shooting.filters import Filter
from sync_pipelines.vendors.grand_shooting.rules import Apply, compile_rule
from sync_pipelines.vendors.grand_shooting.settings import FieldMapping, Link, Rename

Reference = Mapping[str, Any]

_EXACT: Mapping[str, type] = {TEXT: str, NUMBER: int, LIST: list, OBJECT: dict}
"""The type nearly every value of a field has; a value of another one is looked at more closely."""


class MappingError(DataError):
    """One reference cannot be transformed; names link, ref, field and rule."""

    def __init__(self, *, link: str, ref: str, field: str, rule: str, why: str) -> None:
        super().__init__(f"link {link}, ref {ref}, field {field}, rule {rule}: {why}")
        self.link, self.ref, self.field, self.rule = link, ref, field, rule


class LinkInvalid(ConfigError):
    """A link's configuration cannot be activated; ``problems`` lists everything wrong with it."""

    def __init__(self, link: str, problems: list[str]) -> None:
        super().__init__(f"link {link}: " + "; ".join(problems))
        self.link, self.problems = link, problems


@dataclass(frozen=True)
class _Step:
    """One target field and how it comes about."""

    source: Path
    target: Path
    rules: tuple[tuple[str, Apply], ...]


_USUAL: Mapping[str, type] = {TEXT: str, NUMBER: int, LIST: list, OBJECT: dict}


@dataclass(frozen=True)
class Replication:
    """A compiled link: which references belong into the secondary, and what they look like there."""

    link: str
    filter: Filter
    steps: tuple[_Step, ...]
    exact: Mapping[str, type]
    """Fields copied unchanged, with the type their values nearly always have; most fields of most links."""

    def passes(self, reference: Reference) -> bool:
        """Whether the filter lets the reference through.

        Raises:
            MappingError: An expression failed on this reference.
        """
        try:
            return self.filter.passes(reference)
        except ValueError as error:
            raise self._error(reference, "filter", "cel", error) from error

    def apply(self, reference: Reference) -> dict[str, Any]:
        """What the secondary should hold: declared fields only, no empty texts, no nulls.

        Raises:
            MappingError: A rule cannot work on this reference's value, or the result has the wrong type for its field.
        """
        mapped: dict[str, Any] = {}
        exact = self.exact
        for name, value in reference.items():
            kind = type(value)
            if exact.get(name) is not kind:
                if name not in exact or value is None or value == "":
                    continue
                if type_of(value) != WRITABLE[name]:
                    raise self._error(reference, name, "copy", _conflict(name, WRITABLE[name], value))
            elif kind is str and not value:
                continue
            mapped[name] = value
        for step in self.steps:
            value = step.source.read(reference)
            rule = "copy"
            for rule, apply in step.rules:
                try:
                    value = apply(value, reference)
                except (ValueError, ArithmeticError) as error:
                    raise self._error(reference, step.source.text, rule, error) from error
            if value is None or value == "":
                continue
            wanted = WRITABLE[step.target.field] if len(step.target.steps) == 1 else ANY
            if wanted != ANY and type_of(value) != wanted:
                raise self._error(reference, step.source.text, rule, _conflict(step.target.text, wanted, value))
            step.target.write(mapped, value)
        if not mapped.get("ref"):
            raise self._error(reference, "ref", "copy", ValueError("the result has no ref"))
        return mapped

    def _error(self, reference: Reference, field: str, rule: str, error: Exception) -> MappingError:
        return MappingError(link=self.link, ref=str(reference.get("ref")), field=field, rule=rule, why=str(error))


def compile_link(link: Link) -> Replication:
    """Validates and compiles a link.

    Raises:
        LinkInvalid: With every problem found: unknown field, type conflict, missing ``ref``, two sources for one target, bad
            pattern or expression.
    """
    problems: list[str] = []
    compiled_filter = None
    try:
        compiled_filter = Filter(link.filter)
    except ValueError as error:
        problems.append(f"filter {error}")
    steps = _steps(link, problems)
    problems += _conflicts(steps)
    if problems or compiled_filter is None:
        raise LinkInvalid(link.id, problems)
    copied = [step for step in steps if not step.rules and step.source == step.target and len(step.target.steps) == 1]
    others = sorted((step for step in steps if step not in copied), key=lambda step: len(step.target.steps))
    return Replication(
        link.id, compiled_filter, tuple(others), {step.target.field: _USUAL[WRITABLE[step.target.field]] for step in copied}
    )


def mapped_hash(mapped: Mapping[str, Any]) -> bytes:
    """BLAKE2b-128 of a reference's content, whatever the order of its keys and the spelling of its numbers.

    >>> mapped_hash({"a": 1, "b": [1]}) == mapped_hash({"b": [1], "a": Decimal("1.0")})
    True
    """
    return body_and_hash(mapped)[1]


def body_and_hash(mapped: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """A reference's content as JSON text, and its `mapped_hash`; encoded once where every value has one spelling only."""
    if type(mapped) is dict and _is_plain(mapped):
        body = _sorted.encode(mapped)
        return body, blake2b(body, digest_size=16).digest()
    return encode_json(mapped), blake2b(_sorted.encode(_canonical(mapped)), digest_size=16).digest()


def comparable(reference: Reference, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a secondary's reference that we write, to be hashed against what we last wrote."""
    return {name: reference[name] for name in fields if name in reference}


_PLAIN = frozenset({str, int, bool, type(None)})
"""Values that have one spelling; nearly all of a catalogue."""

_sorted = msgspec.json.Encoder(order="deterministic")


def _is_plain(value: Any) -> bool:
    """Whether nothing in an object or list has two spellings."""
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind not in _PLAIN and not ((kind is dict or kind is list) and _is_plain(item)):
            return False
    return True


def _canonical(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {name: item if type(item) in _PLAIN else _canonical(item) for name, item in value.items()}
    if kind is list:
        return [item if type(item) in _PLAIN else _canonical(item) for item in value]
    if kind is Decimal or kind is float:
        number = Decimal(str(value))
        return int(number) if number == number.to_integral_value() else str(number.normalize())
    return {str(name): _canonical(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def _conflict(target: str, wanted: str, value: Any) -> ValueError:
    return ValueError(f"{target} takes a {wanted}, got a {type_of(value)}")


def _steps(link: Link, problems: list[str]) -> list[_Step]:
    steps = [_Step(Path.parse(name), Path.parse(name), ()) for name in WRITABLE if name not in link.mapping]
    for name, mapping in link.mapping.items():
        if mapping.is_dropped:
            if name not in READABLE:
                problems.append(f"field {name}, rule drop: unknown field")
            continue
        step = _step(name, mapping, problems)
        if step is not None:
            steps.append(step)
    return steps


def _step(name: str, mapping: FieldMapping, problems: list[str]) -> _Step | None:
    renamed = [rule.to for rule in mapping.rules if isinstance(rule, Rename)]
    target_text = renamed[-1] if renamed else mapping.target or name
    try:
        source, target = Path.parse(name), Path.parse(target_text)
    except ValueError as error:
        problems.append(f"field {name}, rule target: {error}")
        return None
    if source.field not in READABLE:
        problems.append(f"field {name}: unknown field")
        return None
    if target.field not in WRITABLE or any(isinstance(step, int) for step in target.steps):
        problems.append(f"field {name}, rule target: {target_text} cannot be written")
        return None
    if len(target.steps) > 1 and WRITABLE[target.field] != OBJECT:
        problems.append(f"field {name}, rule target: {target.field} has no fields below it")
        return None
    kind, rules = source.type, []
    for number, rule in enumerate(mapping.rules):
        try:
            apply, kind = compile_rule(rule, kind)
        except ValueError as error:
            problems.append(f"field {name}, rule {number + 1} ({rule.type}): {error}")
            return None
        rules.append((rule.type, apply))
    wanted = WRITABLE[target.field] if len(target.steps) == 1 else ANY
    if ANY not in (kind, wanted) and kind != wanted:
        problems.append(f"field {name}, rule target: type conflict, {target_text} takes a {wanted} and gets a {kind}")
        return None
    return _Step(source, target, tuple(rules))


def _conflicts(steps: list[_Step]) -> list[str]:
    problems = []
    by_target: dict[tuple[str | int, ...], str] = {}
    for step in steps:
        other = by_target.get(step.target.steps)
        if other is not None:
            problems.append(
                f"field {step.source.text}, rule target: {step.target.text} has two sources, {other} and {step.source.text}"
            )
        by_target[step.target.steps] = step.source.text
    for target, source in by_target.items():
        for length in range(1, len(target)):
            above = by_target.get(target[:length])
            if above is not None and above != str(target[0]):
                problems.append(f"field {source}, rule target: {'.'.join(map(str, target))} has two sources, {above} and {source}")
    if ("ref",) not in by_target:
        problems.append("field ref, rule target: nothing is copied to ref, which every reference needs")
    return problems
