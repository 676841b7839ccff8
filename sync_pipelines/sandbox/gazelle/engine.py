"""Answers GraphQL questions: parse, validate, measure, execute; worded and shaped as the vendor's library does it.

Every problem with a question is an ``errors`` list inside HTTP 200.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute_sync,
    parse,
    validate,
    visit,
)
from graphql.validation import FieldsOnCorrectTypeRule, specified_rules

from sync_pipelines.sandbox.gazelle.changes import Changes
from sync_pipelines.sandbox.gazelle.limits import measure
from sync_pipelines.sandbox.gazelle.resolvers import Context
from sync_pipelines.sandbox.gazelle.schema import Variant, executable_schema
from sync_pipelines.sandbox.gazelle.world import World

_LEAN_FIELDS = 12
"""An element asked for with fewer scalar fields than this counts as a lean read, not as a full node."""


@dataclass
class PlannedErrors:
    """Errors to show instead of an answer.

    Attributes:
        errors: The ``errors`` list, ``data`` what goes with it.
        field: Only requests that ask for this root field.
        times: How often.
    """

    errors: list[dict[str, Any]]
    data: Any = None
    field: str | None = None
    times: int = 1


@dataclass
class _Meanwhile:
    field: str
    after: int
    times: int
    names: list[str]
    seed: int


@dataclass
class ReadCount:
    """What was read through one root field: requests, elements in full, elements lean."""

    requests: int = 0
    full: int = 0
    lean: int = 0


@dataclass(frozen=True)
class _Question:
    document: DocumentNode
    problems: tuple[GraphQLError, ...]
    roots: dict[str, str] = field(hash=False)
    """Alias to field name of the root selection."""
    is_lean: dict[str, bool] = field(hash=False)


class Engine:
    """The GraphQL server behind the endpoint.

    Attributes:
        max_complexity: Questions that may cost more are refused.
        max_depth: The same for nesting.
        introspection: Whether ``__schema`` and ``__type`` are answered.
        reads: Counts per root field.
    """

    def __init__(self, world: World, changes: Changes) -> None:
        self.context = Context(world)
        self.max_complexity = 250_000
        self.max_depth = 13
        self.introspection = True
        self.planned_errors: list[PlannedErrors] = []
        self.reads: dict[str, ReadCount] = {}
        self._changes = changes
        self._meanwhile: list[_Meanwhile] = []
        self._asked: Counter[str] = Counter()
        self._schema = executable_schema(Variant())
        self._question = lru_cache(maxsize=256)(self._understand)

    def use(self, variant: Variant) -> None:
        """Answers by another schema from now on."""
        self._schema = executable_schema(variant)
        self._question.cache_clear()

    def meanwhile(self, *, field: str, names: list[str], after: int = 1, times: int = 1, seed: int = 0) -> None:
        """Plans changes that happen right after the ``after``-th next answer to ``field``, and so on ``times`` times."""
        self._asked[field] = 0
        self._meanwhile.append(_Meanwhile(field, after, times, names, seed))

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The body of the answer."""
        question = self._question(query)
        if question.problems:
            return {"errors": [problem.formatted for problem in question.problems]}
        roots = set(question.roots.values())
        if not self.introspection and roots & {"__schema", "__type"}:
            return {"errors": [{"message": "Schema introspection is not allowed", "extensions": {"code": "introspectionDisabled"}}]}
        cost = measure(question.document, variables)
        is_introspection = "__schema" in roots
        if not is_introspection and cost.complexity > self.max_complexity:
            text = f"Query has complexity of {cost.complexity}, which exceeds max complexity of {self.max_complexity}"
            return {"errors": [{"message": text}]}
        if not is_introspection and cost.depth > self.max_depth:
            return {"errors": [{"message": f"Query has depth of {cost.depth}, which exceeds max depth of {self.max_depth}"}]}
        if (planned := self._planned(roots)) is not None:
            return {"errors": planned.errors, "data": planned.data}
        result = execute_sync(self._schema, question.document, context_value=self.context, variable_values=variables)
        self._count(question, result.data)
        self._let_things_happen(roots)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [error.formatted for error in result.errors]
        return body

    def _understand(self, query: str) -> _Question:
        try:
            document = parse(query)
        except GraphQLError as error:
            return _Question(DocumentNode(definitions=()), (error,), {}, {})
        problems = list(_undefined_fields(self._schema, document))
        if not problems:
            rules = [rule for rule in specified_rules if rule is not FieldsOnCorrectTypeRule]
            problems = validate(self._schema, document, rules)
        roots: dict[str, str] = {}
        is_lean: dict[str, bool] = {}
        for definition in document.definitions:
            selection = getattr(definition, "selection_set", None)
            if definition.kind != "operation_definition" or selection is None:
                continue
            for node in selection.selections:
                if isinstance(node, FieldNode):
                    alias = node.alias.value if node.alias else node.name.value
                    roots[alias] = node.name.value
                    is_lean[alias] = _fields_below(node, document) < _LEAN_FIELDS
        return _Question(document, tuple(problems), roots, is_lean)

    def _planned(self, roots: set[str]) -> PlannedErrors | None:
        for planned in self.planned_errors:
            if planned.times > 0 and (planned.field is None or planned.field in roots):
                planned.times -= 1
                return planned
        return None

    def _count(self, question: _Question, data: dict[str, Any] | None) -> None:
        for name in set(question.roots.values()):
            self.reads.setdefault(name, ReadCount()).requests += 1
        for alias, name in question.roots.items():
            found = (data or {}).get(alias)
            if isinstance(found, dict) and ("nodes" in found or "edges" in found):
                amount = len(found.get("nodes") or found.get("edges") or [])
            else:
                amount = len(found) if isinstance(found, list) else int(found is not None)
            count = self.reads[name]
            if question.is_lean[alias]:
                count.lean += amount
            else:
                count.full += amount

    def _let_things_happen(self, roots: set[str]) -> None:
        for name in roots:
            self._asked[name] += 1
        for plan in self._meanwhile:
            if plan.times > 0 and plan.field in roots and self._asked[plan.field] % plan.after == 0:
                plan.times -= 1
                plan.seed += 1
                self._changes.run(plan.names, seed=plan.seed)


def _fields_below(node: FieldNode, document: DocumentNode) -> int:
    """How many fields without selection a root field asks for, fragments included."""
    fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}

    def count(selection: Any) -> int:
        total = 0
        for item in selection.selections:
            if item.kind == "fragment_spread":
                total += count(fragments[item.name.value].selection_set) if item.name.value in fragments else 0
            elif item.selection_set is not None:
                total += count(item.selection_set) if getattr(item, "name", None) is None or item.name.value != "pageInfo" else 0
            else:
                total += 1
        return total

    return count(node.selection_set) if node.selection_set else 0


class _FieldCheck(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.problems: list[GraphQLError] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Notes a field that its type does not have."""
        parent = self._types.get_parent_type()
        if parent is not None and self._types.get_field_def() is None:
            extensions = {"code": "undefinedField", "typeName": parent.name, "fieldName": node.name.value}
            text = f"Field '{node.name.value}' doesn't exist on type '{parent.name}'"
            self.problems.append(GraphQLError(text, [node], extensions=extensions))


def _undefined_fields(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    types = TypeInfo(schema)
    check = _FieldCheck(types)
    visit(document, TypeInfoVisitor(types, check))
    return check.problems
