"""How references are looked up, which settings hold some, and how they get their place to look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from sync_pipelines.config.document import Path
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.references import SECRET_PREFIX, VARIABLE, LookUp, Reference

SecretLookup = Callable[[str, str], bytes | None]
"""Secret name and account to its value; ``None`` if there is none."""

Value = TypeVar("Value")


def look_up_at(where: str, account: str, secrets: SecretLookup | None = None, environ: Mapping[str, str] | None = None) -> LookUp:
    """Finds the values of references.

    Args:
        where: Place for the message: ``accounts.yaml:4: account a/b, credentials.token``.
        account: Whose secrets.
        secrets: Looks up ``secret:`` references; needs the database and the master key.
        environ: Instead of the process's own.
    """

    def look_up(template: str) -> str:
        if template.startswith(SECRET_PREFIX):
            name = template.removeprefix(SECRET_PREFIX)
            value = secrets(name, account) if secrets else None
            if value is None:
                option = f" --account {account}" if account else ""
                raise ConfigError(
                    f"{where}: there is no secret {name!r} for {account or 'all accounts'}. "
                    f"Set it: sync-pipelines secrets set {name}{option}",
                    account=account or None,
                )
            return value.decode()
        text, missing = expand(template, os.environ if environ is None else environ)
        if missing:
            raise ConfigError(f"{where}: {unset(missing)}", account=account or None)
        return text

    return look_up


def expand(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replaces every ``${NAME}``; returns the text and the names that are unset or empty."""
    missing = [name for name in VARIABLE.findall(text) if not environ.get(name)]
    return VARIABLE.sub(lambda match: environ.get(match[1], ""), text), missing


def unset(names: list[str]) -> str:
    """The message for missing variables."""
    several = len(names) > 1
    exports = "; ".join(f"export {name}=…" for name in names)
    return f"the environment variable{'s' * several} {', '.join(names)} {'are' if several else 'is'} not set. Set it: {exports}"


@cache
def reference_fields(model: type[BaseModel]) -> frozenset[str]:
    """Names of the fields of a model, and of the models within it, that are looked up when they are used."""
    found: set[str] = set()
    for name, info in model.model_fields.items():
        inner = set(_types_in(info.annotation))
        if Reference in inner:
            found.add(info.alias or name)
        for one in inner:
            if isinstance(one, type) and issubclass(one, BaseModel):
                found |= reference_fields(one)
    return frozenset(found)


def references_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Reference]]:
    """Every reference within settings, with its place in the document."""
    if isinstance(value, Reference):
        yield path, value
    for part, inner in _parts(value):
        yield from references_in(inner, (*path, part))


def with_references(value: Value, replace: Callable[[Path, Reference], Reference], path: Path = ()) -> Value:
    """The settings with every reference replaced."""
    if isinstance(value, Reference):
        return replace(path, value)  # type: ignore[return-value]  # a Reference for a Reference
    parts = [(part, inner) for part, inner in _parts(value) if any(references_in(inner))]
    if not parts:
        return value
    changed: dict[Any, Any] = {part: with_references(inner, replace, (*path, part)) for part, inner in parts}
    if isinstance(value, BaseModel):
        return value.model_copy(update=changed)
    if isinstance(value, dict):
        return {**value, **changed}  # type: ignore[return-value]  # the same keys with the same kinds of values
    items: Any = value
    copied: Value = type(value)(changed.get(index, inner) for index, inner in enumerate(items))  # type: ignore[call-arg]  # list, tuple
    return copied


def _parts(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, BaseModel):
        return [(name, getattr(value, name)) for name in type(value).model_fields]
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def _types_in(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _types_in(part)
