"""Where our field selections and the live schema have parted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import FieldNode, FragmentDefinitionNode, OperationDefinitionNode, SelectionSetNode, parse

from sync_pipelines.core.jsons import Json
from sync_pipelines.vendors.gazelle import selections
from sync_pipelines.vendors.gazelle.vocabularies import VOCABULARIES


def missing_fields(schema: Json) -> list[str]:
    """``Fragment.path`` of every field we select that the live schema does not have."""
    types = {kind["name"]: {field["name"]: _named(field["type"]) for field in kind["fields"] or ()} for kind in schema["types"]}
    lost: dict[str, None] = {}
    for query in selections.all_queries().values():
        document = parse(query)
        fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
        for item in fragments.values():
            lost |= dict.fromkeys(_missing(item.selection_set, item.type_condition.name.value, item.name.value, types))
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                lost |= dict.fromkeys(_missing(operation.selection_set, schema["queryType"]["name"], "query", types))
    return list(lost)


def _missing(selection: SelectionSetNode, type_name: str | None, path: str, types: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lost = []
    for node in selection.selections:
        if not isinstance(node, FieldNode):
            continue
        name = f"{path}.{node.name.value}"
        fields = types.get(type_name or "")
        if fields is None or node.name.value not in fields:
            lost.append(name)
        elif node.selection_set is not None:
            lost += _missing(node.selection_set, fields[node.name.value], name, types)
    return lost


def new_words(schema: Json) -> list[str]:
    """``Enum.VALUE`` for values that our vocabularies do not know yet."""
    return [
        f"{kind['name']}.{value['name']}"
        for kind in schema["types"]
        if kind["name"] in VOCABULARIES
        for value in kind["enumValues"] or ()
        if value["name"] not in VOCABULARIES[kind["name"]]
    ]


def _named(kind: Json) -> str | None:
    while kind is not None and kind.get("name") is None:
        kind = kind.get("ofType")
    return None if kind is None else str(kind["name"])
