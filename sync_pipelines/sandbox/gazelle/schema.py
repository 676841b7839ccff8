"""The executable schema: the published snapshot, what was seen later, and the variants a test asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from graphql import (
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    GraphQLSchema,
    NameNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    build_ast_schema,
    extend_schema,
    parse,
)

from sync_pipelines.sandbox.gazelle import resolvers


@dataclass(frozen=True)
class Variant:
    """How a schema differs from the snapshot.

    Attributes:
        later: Whether the fields seen after the snapshot exist.
        removed: ``Type.field`` names that no longer exist.
        enum_values: ``(enum, new value)`` pairs.
    """

    later: bool = True
    removed: frozenset[str] = frozenset()
    enum_values: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    @classmethod
    def from_json(cls, wish: Mapping[str, Any]) -> Variant:
        """Reads ``{"later": true, "removed": ["PrivateClient.region"], "enum_values": {"PianoType": ["KEYTAR"]}}``."""
        values = {(enum, value) for enum, names in wish.get("enum_values", {}).items() for value in names}
        return cls(later=wish.get("later", True), removed=frozenset(wish.get("removed", ())), enum_values=frozenset(values))


@cache
def _document(name: str) -> DocumentNode:
    return parse((files(__package__) / name).read_text(encoding="utf-8"), no_location=True)


@cache
def executable_schema(variant: Variant) -> GraphQLSchema:
    """Builds the schema of a variant and gives it its resolvers; the same object for the same variant."""
    schema = build_ast_schema(_changed(_document("schema.graphql"), variant), assume_valid=True)
    if variant.later:
        schema = extend_schema(schema, _changed(_document("later_schema.graphql"), variant), assume_valid=True)
    resolvers.attach(schema)
    return schema


def _changed(document: DocumentNode, variant: Variant) -> DocumentNode:
    return DocumentNode(definitions=tuple(_changed_definition(node, variant) for node in document.definitions))


def _changed_definition(node: Any, variant: Variant) -> Any:
    if isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode):
        kept = tuple(item for item in node.fields if f"{node.name.value}.{item.name.value}" not in variant.removed)
        return type(node)(name=node.name, fields=kept, directives=node.directives, interfaces=node.interfaces)
    if isinstance(node, EnumTypeDefinitionNode):
        added = _values([value for enum, value in sorted(variant.enum_values) if enum == node.name.value])
        return EnumTypeDefinitionNode(name=node.name, directives=node.directives, values=(*node.values, *added))
    return node


def _values(names: Sequence[str]) -> list[EnumValueDefinitionNode]:
    return [EnumValueDefinitionNode(name=NameNode(value=name), directives=()) for name in names]
