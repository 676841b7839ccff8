"""How large a question may be: complexity and depth, counted as the vendor's GraphQL library counts them.

Every field costs one; what lies below a connection counts once per element of the largest page it may return.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    VariableNode,
)
from graphql.language import OperationDefinitionNode, SelectionSetNode

_UNSTATED_PAGE = 100
"""Elements assumed where a connection is asked for without ``first``."""


@dataclass(frozen=True)
class Cost:
    """What a query would cost."""

    complexity: int
    depth: int


def measure(document: DocumentNode, variables: dict[str, Any]) -> Cost:
    """Adds up all operations of a document."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    costs = [
        _selection(node.selection_set, fragments, variables)
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    return Cost(sum(cost.complexity for cost in costs), max((cost.depth for cost in costs), default=0))


def _selection(selection: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], variables: dict[str, Any]) -> Cost:
    complexity = depth = 0
    for node in selection.selections:
        if isinstance(node, FieldNode):
            below = _selection(node.selection_set, fragments, variables) if node.selection_set else Cost(0, 0)
            cost = Cost(1 + below.complexity * _page(node, variables), 1 + below.depth)
        elif isinstance(node, FragmentSpreadNode):
            cost = _selection(fragments[node.name.value].selection_set, fragments, variables)
        elif isinstance(node, InlineFragmentNode):
            cost = _selection(node.selection_set, fragments, variables)
        else:
            continue
        complexity, depth = complexity + cost.complexity, max(depth, cost.depth)
    return Cost(complexity, depth)


def _page(node: FieldNode, variables: dict[str, Any]) -> int:
    names = (
        {item.name.value for item in node.selection_set.selections if isinstance(item, FieldNode)} if node.selection_set else set()
    )
    if not names & {"nodes", "edges"}:
        return 1
    for argument in node.arguments:
        if argument.name.value in {"first", "last"}:
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                return int(variables.get(argument.value.name.value) or _UNSTATED_PAGE)
    return _UNSTATED_PAGE
