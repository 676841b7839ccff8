"""YAML that knows on which line everything stands, read the way people expect: ``NO`` is a text, and so is ``2026-01-01``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from sync_pipelines.core.errors import ConfigError

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of scalars: only true/false, decimal numbers and null are not text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own spelling of a class-wide registry


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def dotted(path: Path) -> str:
    """A place as people write it.

    >>> dotted(("settings", "webhook_keys", 0))
    'settings.webhook_keys[0]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@dataclass
class Document:
    """A parsed file.

    Attributes:
        source: Its name in messages.
        data: Plain dictionaries, lists and scalars.
        lines: The line of every key and list item.
    """

    source: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of a place, or of the nearest place around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_document(text: str, source: str) -> Document:
    """Parses YAML.

    Raises:
        ConfigError: It is no YAML, names a key twice, or refers to itself.
    """
    loader = _Loader(text)
    document = Document(source, None)
    try:
        node = loader.get_single_node()
        document.data = None if node is None else _construct(loader, node, (), document, frozenset())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {error}") from error
    finally:
        loader.dispose()
    return document


def _construct(loader: _Loader, node: yaml.Node, path: Path, document: Document, around: frozenset[int]) -> Any:
    if id(node) in around:
        raise ConfigError(f"{document.source}:{node.start_mark.line + 1}: an alias refers to what contains it")
    inside = around | {id(node)}
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = loader.construct_scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise ConfigError(f"{document.source}:{line}: a key must be a plain word")
            if key in found:
                raise ConfigError(f"{document.source}:{line}: {key} stands twice; remove one of them")
            document.lines[(*path, key)] = line
            found[key] = _construct(loader, value_node, (*path, key), document, inside)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*path, index), document, inside) for index, item in enumerate(node.value)]
    return loader.construct_object(node)
