"""Checks real HTTP exchanges against official OpenAPI 3 documents: ours against theirs, and the look-alikes' against theirs.

Knows no vendor. A vendor's test makes one `Contract` of its documents and its `Allowed` differences, puts a `CheckingTransport`
under the client, and asserts that `Contract.problems` and `Contract.unused` are empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import jsonschema_rs
import yaml

METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Problem:
    """One difference.

    Attributes:
        operation: ``GET /orders/{id}`` as the document has it, or the path itself if it is not documented.
        side: ``request``, or the answer's status.
        where: Place in the body (``/data/0/id``), ``?name`` for a query parameter, or ``""``.
        message: What is wrong.
    """

    operation: str
    side: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.operation} [{self.side}] {self.where}: {self.message}"


@dataclass(frozen=True)
class Allowed:
    """A difference known to be right: the document is wrong or silent there. All fields are regular expressions matched in full.

    Attributes:
        operation: See `Problem`.
        side: See `Problem`.
        where: See `Problem`.
        message: Searched in the message.
        reason: Why, with its source.
    """

    operation: str
    reason: str
    side: str = ".*"
    where: str = ".*"
    message: str = ""

    def covers(self, problem: Problem) -> bool:
        """Whether this is that difference."""
        return bool(
            re.fullmatch(self.operation, problem.operation)
            and re.fullmatch(self.side, problem.side)
            and re.fullmatch(self.where, problem.where)
            and re.search(self.message, problem.message)
        )


class Document:
    """One OpenAPI document. Validators are compiled on first use and kept."""

    def __init__(self, path: Path) -> None:
        self._root = _with_nullable(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))
        self.prefix = urlsplit(self._root["servers"][0]["url"]).path.rstrip("/")
        self._operations = [
            (method, template, self._pattern(template, method))
            for template, operations in self._root["paths"].items()
            for method in operations
            if method in METHODS
        ]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def find(self, method: str, path: str) -> str | None:
        """The path template of an operation; the most literal one."""
        found = [template for known, template, pattern in self._operations if known == method and pattern.fullmatch(path)]
        return min(found, key=lambda template: template.count("{"), default=None)

    def request(self, method: str, template: str, query: Iterable[tuple[str, str]], body: Any) -> Iterator[tuple[str, str]]:
        """Differences of a request, as (where, message)."""
        pointer, operation = self._operation(method, template)
        parameters = {(one["in"], one["name"]): (place, one) for place, one in self._parameters(pointer)}
        given: dict[str, list[str]] = {}
        for name, value in query:
            given.setdefault(name, []).append(value)
        for name, values in given.items():
            if ("query", name) not in parameters:
                yield f"?{name}", "not a documented parameter"
                continue
            place, parameter = parameters["query", name]
            value = _typed(values, parameter, self._at(f"{place}/schema"))
            yield from ((f"?{name}{where}", message) for where, message in self._check(f"{place}/schema", value))
        for (kind, name), (_, parameter) in parameters.items():
            if kind == "query" and parameter.get("required") and name not in given:
                yield f"?{name}", "is required"
        media = self._resolved(f"{pointer}/requestBody") if "requestBody" in operation else None
        if body is not None and media is None:
            yield "", "takes no body"
        elif body is not None and media is not None:
            yield from self._check(f"{media[0]}/content/application~1json/schema", body)

    def response(self, method: str, template: str, status: int, media_type: str, content: bytes) -> Iterator[tuple[str, str]]:
        """Differences of an answer, as (where, message)."""
        pointer, operation = self._operation(method, template)
        if str(status) not in operation["responses"]:
            yield "", "status is not documented"
            return
        place, response = self._resolved(f"{pointer}/responses/{status}")
        if not response.get("content"):
            if content:
                yield "", "has a body, documented without"
            return
        if media_type not in response["content"]:
            yield "", f"media type {media_type} is not documented"
            return
        if media_type == "application/json":
            yield from self._check(f"{place}/content/application~1json/schema", json.loads(content))

    def webhook(self, schema: str, body: Any) -> Iterator[tuple[str, str]]:
        """Differences of a body from a named schema."""
        yield from self._check(f"/components/schemas/{schema}", body)

    def _pattern(self, template: str, method: str) -> re.Pattern[str]:
        """Matches an operation's paths; a numeric parameter takes digits only."""
        numeric = {
            one["name"]
            for _, one in self._parameters(f"/paths/{_escape(template)}/{method}")
            if one["in"] == "path" and (one.get("schema") or {}).get("type") == "integer"
        }
        parts = re.split(r"\{([^/]+?)\}", template)
        names = [r"[0-9]+" if name in numeric else "[^/]+" for name in parts[1::2]]
        return re.compile("".join(re.escape(text) + name for text, name in zip(parts[::2], [*names, ""], strict=True)) + "/?")

    def _parameters(self, pointer: str) -> list[tuple[str, dict[str, Any]]]:
        return self._listed(f"{pointer.rpartition('/')[0]}/parameters") + self._listed(f"{pointer}/parameters")

    def _operation(self, method: str, template: str) -> tuple[str, dict[str, Any]]:
        pointer = f"/paths/{_escape(template)}/{method}"
        return pointer, self._at(pointer)

    def _check(self, pointer: str, value: Any) -> Iterator[tuple[str, str]]:
        if self._at(pointer) is None:
            return
        if pointer not in self._validators:
            schema = {**self._root, "$ref": f"#{quote(pointer, safe='/~')}"}
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        for error in self._validators[pointer].iter_errors(value):
            yield "".join(f"/{part}" for part in error.instance_path), error.message[:300]

    def _at(self, pointer: str) -> Any:
        value: Any = self._root
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else (value or {}).get(key)
        return value

    def _resolved(self, pointer: str) -> tuple[str, dict[str, Any]]:
        value = self._at(pointer)
        while "$ref" in value:
            pointer = value["$ref"][1:]
            value = self._at(pointer)
        return pointer, value

    def _listed(self, pointer: str) -> list[tuple[str, dict[str, Any]]]:
        return [self._resolved(f"{pointer}/{place}") for place in range(len(self._at(pointer) or []))]


class Contract:
    """All documents of one vendor, and what was found while checking.

    Args:
        documents: The OpenAPI files.
        allowed: Differences that are right.
        undocumented: Regular expressions of ``METHOD /path`` no document describes.
    """

    def __init__(self, documents: Iterable[Path], *, allowed: Iterable[Allowed] = (), undocumented: Iterable[str] = ()) -> None:
        self._documents = [_document(path) for path in documents]
        self._allowed, self._undocumented = list(allowed), [re.compile(one) for one in undocumented]
        self._used: set[Allowed] = set()
        self.problems: list[Problem] = []
        self.checked: set[tuple[str, str]] = set()
        """(operation, status) pairs that were seen."""

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Compares one exchange, whose bodies were read, with the documents; keeps what differs."""
        method, path = request.method.lower(), _below(request.url.path)
        body = json.loads(request.content) if request.content and "json" in request.headers.get("content-type", "") else None
        for document in self._documents:
            template = document.find(method, path.removeprefix(document.prefix)) if path.startswith(document.prefix + "/") else None
            if template is None:
                continue
            operation = f"{request.method} {document.prefix.rpartition('/api')[2]}{template}"
            self.checked.add((operation, str(response.status_code)))
            query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
            media_type = response.headers.get("content-type", "").partition(";")[0].strip()
            if response.status_code != 400:
                self._keep(operation, "request", document.request(method, template, query, body))
            self._keep(
                operation,
                str(response.status_code),
                document.response(method, template, response.status_code, media_type, response.content),
            )
            return
        if not any(pattern.fullmatch(f"{request.method} {path}") for pattern in self._undocumented):
            self.problems.append(Problem(f"{request.method} {path}", "request", "", "no document describes it"))

    def check_body(self, document: Path, schema: str, body: Any) -> None:
        """Compares a body, such as a webhook's, with a named schema."""
        self._keep(schema, "request", _document(document).webhook(schema, body))

    @property
    def unused(self) -> list[Allowed]:
        """Exceptions nothing needed: the document or the look-alike has changed."""
        return [one for one in self._allowed if one not in self._used]

    def _keep(self, operation: str, side: str, found: Iterable[tuple[str, str]]) -> None:
        for where, message in found:
            problem = Problem(operation, side, where, message)
            excuse = next((one for one in self._allowed if one.covers(problem)), None)
            if excuse is None:
                self.problems.append(problem)
            else:
                self._used.add(excuse)


class CheckingTransport(httpx.BaseTransport):
    """Passes calls on and checks each exchange."""

    def __init__(self, contract: Contract, inner: httpx.BaseTransport | None = None) -> None:
        self._contract, self._inner = contract, inner or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        request.read()
        response = self._inner.handle_request(request)
        content = response.read()
        self._contract.check(request, response)
        headers = [
            (name, value) for name, value in response.headers.raw if name.lower() not in {b"transfer-encoding", b"content-encoding"}
        ]
        return httpx.Response(response.status_code, headers=headers, content=content, request=request)

    def close(self) -> None:
        """See `httpx.BaseTransport`."""
        self._inner.close()


@lru_cache
def _document(path: Path) -> Document:
    return Document(path)


def _below(path: str) -> str:
    """The path from ``/api`` on, wherever a look-alike is mounted."""
    return path[path.index("/api/") :] if "/api/" in path else path


def _escape(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _with_nullable(value: Any) -> Any:
    """``nullable: true`` means null is fine, also in 3.1 documents, where it officially means nothing."""
    if isinstance(value, list):
        return [_with_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {str(name): _with_nullable(item) for name, item in value.items()}
    if changed.get("nullable") is True and isinstance(changed.get("type"), str):
        changed["type"] = [changed["type"], "null"]
        if "enum" in changed and None not in changed["enum"]:
            changed["enum"] = [*changed["enum"], None]
    return changed


def _typed(values: list[str], parameter: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A query parameter's text as the type its schema has."""
    kind = schema.get("type")
    if kind == "array":
        parts = values if parameter.get("explode", True) else values[0].split(",")
        return [_scalar(part, (schema.get("items") or {}).get("type")) for part in parts]
    return _scalar(values[0], kind)


def _scalar(text: str, kind: Any) -> Any:
    if kind in {"integer", "number"}:
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError:
            return text
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text
