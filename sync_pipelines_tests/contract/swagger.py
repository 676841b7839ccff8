"""Checks requests and answers against Amazon's Swagger 2.0 models, strictly: what a model does not declare is a fault."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, FormatChecker

SPECS = Path(__file__).parent / "specs" / "amazon"
MODELS = ("ordersV0", "orders_2026-01-01", "reports_2021-06-30", "sellers", "tokens_2021-03-01")


@dataclass(frozen=True)
class Operation:
    """One operation of one model."""

    model: str
    path: str
    method: str
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.model}.{self.spec['operationId']}"

    def answer_faults(self, status: int, body: Any) -> list[str]:
        """What is wrong with an answer; nothing, if the list is empty."""
        declared = self.spec["responses"].get(str(status))
        if declared is None:
            return [f"status {status} is not declared"]
        return _faults(self.model, declared["schema"], body)

    def request_faults(self, query: dict[str, str], body: Any) -> list[str]:
        """What is wrong with a request."""
        faults = []
        parameters = {item["name"]: item for item in map(self._resolved, self.spec.get("parameters", ()))}
        for name, value in query.items():
            parameter = parameters.get(name)
            if parameter is None or parameter["in"] != "query":
                faults.append(f"{name} is no parameter of {self.id}")
            else:
                faults += [f"{name}: {fault}" for fault in _value_faults(parameter, value)]
        for name, parameter in parameters.items():
            if parameter["in"] == "query" and parameter.get("required") and name not in query:
                faults.append(f"{name} is missing")
            if parameter["in"] == "body":
                faults += _faults(self.model, parameter["schema"], body)
        return faults

    def static_pairs(self) -> Iterator[tuple[int, dict[str, Any], Any]]:
        """Status, parameters and answer of the official static sandbox."""
        for status, response in self.spec["responses"].items():
            for pair in response.get("x-amzn-api-sandbox", {}).get("static", ()):
                if "response" in pair:
                    parameters = {name: item["value"] for name, item in pair["request"]["parameters"].items()}
                    yield int(status), parameters, pair["response"]

    def _resolved(self, parameter: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in parameter:
            found: dict[str, Any] = _model(self.model)["parameters"][parameter["$ref"].rpartition("/")[2]]
            return found
        return parameter


def operation(method: str, path: str) -> Operation:
    """The operation a request belongs to."""
    for candidate in operations():
        pattern = "^" + re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(candidate.path)) + "$"
        if candidate.method == method.lower() and re.match(pattern, path):
            return candidate
    raise LookupError(f"no model declares {method} {path}")


@cache
def operations() -> tuple[Operation, ...]:
    """All operations of all models."""
    return tuple(
        Operation(model, path, method, spec)
        for model in MODELS
        for path, methods in _model(model)["paths"].items()
        for method, spec in methods.items()
        if isinstance(spec, dict) and "operationId" in spec
    )


@cache
def _model(name: str) -> dict[str, Any]:
    model: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text())
    for definition in model["definitions"].values():
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    return model


def _faults(model: str, schema: dict[str, Any], body: Any) -> list[str]:
    errors = _validator(model, json.dumps(schema)).iter_errors(body)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"[:300] for error in errors]


@cache
def _validator(model: str, schema: str) -> Draft4Validator:
    whole = {**json.loads(schema), "definitions": _model(model)["definitions"]}
    return Draft4Validator(whole, format_checker=FormatChecker())


def _value_faults(parameter: dict[str, Any], value: str) -> list[str]:
    if parameter["type"] == "array":
        words: Any = value.split(",")
        schema = {"type": "array", "items": parameter["items"], "maxItems": parameter.get("maxItems", 10_000)}
    else:
        words = int(value) if parameter["type"] == "integer" and value.isdigit() else value
        schema = {key: parameter[key] for key in ("type", "enum", "format", "minimum", "maximum") if key in parameter}
    return [error.message[:300] for error in Draft4Validator(schema, format_checker=FormatChecker()).iter_errors(words)]
