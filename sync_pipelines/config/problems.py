"""Problems of a configuration, each with its place, what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import GenericAlias, UnionType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sync_pipelines.config.document import Document, Path, dotted
from sync_pipelines.config.references import reference_fields
from sync_pipelines.core.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Problems:
    """Collects problems, so that a person sees all of them at once."""

    document: Document
    found: list[tuple[int, str]] = field(default_factory=list)

    def place(self, path: Path) -> str:
        """``accounts.yaml:12``."""
        return f"{self.document.source}:{self.document.line(path)}"

    def add(self, path: Path, who: str, message: str, *, below: Path = ()) -> None:
        """Notes a problem.

        Args:
            path: Place of ``who`` in the document.
            who: ``account sendcloud/main``.
            message: What is wrong and the fix.
            below: The field, from ``path`` on.
        """
        line = self.document.line((*path, *below))
        name = dotted(below)
        what = ", ".join(part for part in (who, name) if part)
        self.found.append((line, f"{self.document.source}:{line}: {what + ': ' if what else ''}{message}"))

    def _written(self, path: Path) -> str:
        """What a person wrote at this place, if it is short and does not come from the environment."""
        value = self.document.data
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
        return repr(value) if isinstance(value, str | int | float) and "${" not in str(value) and len(str(value)) < 60 else ""

    def raise_if_any(self) -> None:
        """Ends the loading.

        Raises:
            ConfigError: There are problems; one line for each.
        """
        if self.found:
            lines = [text for _, text in sorted(self.found, key=lambda item: item[0])]
            raise ConfigError("\n".join(lines))

    def validated(self, model: type[Model], data: Any, path: Path, who: str, *, below: Path = ()) -> Model | None:
        """``data`` as ``model``; ``None`` after noting what is wrong with it."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where, known = _walk(model, data, detail["loc"])
                place = (*below, *where)
                is_secret = not reference_fields(model).isdisjoint(where)
                written = "" if is_secret else self._written((*path, *place))
                self.add(path, who, _explain(detail, known, written), below=place)
            return None


def unknown(name: str, known: Iterable[str]) -> str:
    """The message for a word that is not among those known."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(names) or 'none'}"
    return f"unknown key {name!r}; {hint}"


def _explain(detail: Any, known: set[str], written: str) -> str:
    kind, location = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return unknown(str(location[-1]), known)
    if kind == "missing":
        return f"is missing; add `{location[-1]}: …`"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:] + (f" (it is {written})" if written else "")


def _walk(model: type[BaseModel], data: Any, location: Sequence[int | str]) -> tuple[Path, set[str]]:
    """The part of a pydantic location that exists in the data (it also names union members), and the fields known there."""
    where: list[str | int] = []
    models = {model}
    known: set[str] = set()
    for index, part in enumerate(location):
        known = {name for one in models for name, info in one.model_fields.items() for name in (info.alias or name,)}
        is_last = index == len(location) - 1
        if (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int)):
            data = data[part]  # type: ignore[index]  # mypy does not see that a list's part is an int here
        elif not (is_last and isinstance(part, str) and isinstance(data, dict) and part in known):
            continue
        where.append(part)
        below = {
            inner
            for one in models
            for name, info in one.model_fields.items()
            if (info.alias or name) == part
            for inner in _models_in(info.annotation)
        }
        models = below or models
    return tuple(where), known


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, GenericAlias | UnionType) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for inner in get_args(annotation) for model in _models_in(inner)}
