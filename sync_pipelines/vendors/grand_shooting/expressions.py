"""CEL, bounded: what a link's rules and filters cannot say, they may say in an expression that always ends, soon and small.

CEL has no loops but its macros (``map``, ``filter``, ``all``, ``exists``, ``exists_one``), no side effects and a regular-expression
engine without backtracking. Left to bound are length, nested macros (their cost multiplies) and what a macro can make of its input:
`Expression.evaluate` refuses inputs for which ``size × growth × rounds`` exceeds `MAX_WORK` before it evaluates anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from types import ModuleType
from typing import Any

from sync_pipelines.vendors.grand_shooting.fields import LIST, OBJECT, READABLE

MAX_LENGTH = 1_000
MAX_WORK = 20_000_000
MAX_RESULT = 64 * 1024
MAX_PATTERN = 500
MAX_TEXT = 64 * 1024
MAX_DEPTH = 30

_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))|(?P<name>\w+)|(?P<sign>\S)""",
    re.DOTALL,
)
_MACROS = frozenset({"map", "filter", "all", "exists", "exists_one"})
_TYPES = frozenset({"bool", "double", "int", "list", "map", "string", "uint"})
_ABSENT: Mapping[str, Any] = {name: [] if kind == LIST else {} if kind == OBJECT else None for name, kind in READABLE.items()}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "indexOf": lambda text, part: text.find(part),
    "substring": lambda text, start, end=None: text[int(start) : None if end is None else int(end)],
}
"""Text functions CEL's core lacks; none makes its input longer."""


@cache
def _cel() -> ModuleType:
    """The library, with the first expression: it brings a terminal's toolkit along, a quarter of a second of every start."""
    import cel

    return cel


@cache
def _matcher() -> Any:
    return _cel().compile("text.matches(pattern)")


class ExpressionError(ValueError):
    """The expression is not valid, or failed on this input; says why."""


class Expression:
    """One compiled CEL expression.

    Every readable field of a reference is a variable; an absent one is ``null`` (lists are empty, ``extra`` is ``{}``). In a rule,
    ``value`` is the value so far.

    Raises:
        ExpressionError: Does not parse, is too long, nests macros, or names an unknown variable.
    """

    def __init__(self, source: str, *, variables: frozenset[str] = frozenset()) -> None:
        if len(source) > MAX_LENGTH:
            raise ExpressionError(f"longer than {MAX_LENGTH} characters")
        self.source = source
        self._growth, self._loops = _measure(source)
        try:
            self._program = _cel().compile(source)
        except (ValueError, RuntimeError) as error:
            raise ExpressionError(f"does not parse: {str(error).rsplit('ERROR: ', 1)[-1][:200]}") from error
        bound = frozenset(re.findall(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*(\w+)", source))
        unknown = set(self._program.variables()) - set(READABLE) - variables - bound - _TYPES
        if unknown:
            raise ExpressionError(f"unknown field {', '.join(sorted(unknown))}")

    def evaluate(self, reference: Mapping[str, Any], **variables: Any) -> Any:
        """The expression's value as plain JSON.

        Raises:
            ExpressionError: Evaluation failed, the input is too large for this expression, or the result is not JSON or too large.
        """
        given = {
            name: _to_cel(value)
            for name, value in {**_ABSENT, **reference, **variables}.items()
            if name in READABLE or name in variables
        }
        size, longest = _extent(given)
        rounds = (longest + 1) * self._growth if self._loops else 1
        if (size + len(self.source)) * self._growth * rounds > MAX_WORK:
            raise ExpressionError("the reference is too large for this expression")
        try:
            result = self._program.execute(_cel().Context(given, _FUNCTIONS))
        except (ValueError, RuntimeError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
            raise ExpressionError(f"failed: {str(error)[:200]}") from error
        return _from_cel(result)


class Pattern:
    """A regular expression searched in linear time, by CEL's engine (no look-around, no back-references).

    Raises:
        ExpressionError: Not a valid pattern, or too long or too large when compiled.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise ExpressionError(f"pattern longer than {MAX_PATTERN} characters")
        if math.prod(int(n) for n in re.findall(r"\{(?:\d+,)?(\d+)", pattern) if n != "0") > 1_000:
            raise ExpressionError("counted repetitions multiply to more than 1,000")
        self.pattern = pattern
        self.search("")

    def search(self, text: str) -> bool:
        """Whether the pattern occurs in the text (of which the first 64 Ki characters count)."""
        try:
            return bool(_matcher().execute({"text": text[:MAX_TEXT], "pattern": self.pattern}))
        except RuntimeError as error:
            raise ExpressionError(f"bad pattern: {' '.join(str(error).split())[:200]}") from error


def _measure(source: str) -> tuple[int, bool]:
    """How much an expression can multiply its input (1 + operators that join), and whether it loops.

    Raises:
        ExpressionError: A macro inside a macro, brackets deeper than thirty, or a pattern that is not a fixed text.
    """
    growth, loops, depth, names = 1, False, 0, ["", ""]
    macros: list[int] = []
    tokens = [(match.lastgroup, match.group()) for match in _TOKEN.finditer(source)]
    for position, (kind, piece) in enumerate(tokens):
        if kind == "sign" and piece in "([{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ExpressionError(f"brackets nested deeper than {MAX_DEPTH}")
            if piece == "(" and names[0] == "." and names[1] in _MACROS:
                if macros:
                    raise ExpressionError("a macro inside a macro is not allowed")
                macros.append(depth)
                loops = True
            if piece == "(" and names[1] == "matches":
                _check_literal_pattern(tokens[position + 1 : position + 3])
        elif kind == "sign" and piece in ")]}":
            if macros and macros[-1] == depth:
                macros.pop()
            depth -= 1
        elif kind == "sign" and piece in "+,":
            growth += 1
        names = [names[1], piece]
    return growth, loops


def _check_literal_pattern(following: list[tuple[str | None, str]]) -> None:
    if len(following) < 2 or following[0][0] != "text" or following[1][1] != ")":
        raise ExpressionError("matches() needs a fixed pattern")
    Pattern(str(_cel().evaluate(following[0][1])))


def _to_cel(value: Any) -> Any:
    if isinstance(value, Decimal):
        return (
            int(value)
            if value == value.to_integral_value() and abs(value) < 2**63 and value.as_tuple().exponent == 0
            else float(value)
        )
    if isinstance(value, list):
        return [_to_cel(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _to_cel(item) for name, item in value.items()}
    return value


def _from_cel(value: Any) -> Any:
    plain = _plain(value)
    if _extent(plain)[0] > MAX_RESULT:
        raise ExpressionError(f"the result is larger than {MAX_RESULT} characters")
    return plain


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ExpressionError("the result is not a finite number")
        return Decimal(repr(value))
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    raise ExpressionError(f"the result is a {type(value).__name__}, not a JSON value")


def _extent(value: Any) -> tuple[int, int]:
    """Characters of a JSON value, roughly, and its longest list, object or text."""
    if isinstance(value, str):
        return len(value) + 2, 0
    if isinstance(value, (list, dict)):
        items = [*value, *value.values()] if isinstance(value, dict) else value
        below = [_extent(item) for item in items]
        return 2 + sum(size + 1 for size, _ in below), max([len(value), *(longest for _, longest in below)])
    return 8, 0
