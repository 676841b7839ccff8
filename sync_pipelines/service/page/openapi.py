"""The OpenAPI document, made of the answers' own models so that it can not say anything else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sync_pipelines.core.jsons import Json
from sync_pipelines.overview.models import Alerts, History, Links, Problem, Queues, Status
from sync_pipelines.overview.reading import MOST_DAYS

_ANSWERS: dict[str, tuple[type[BaseModel], str]] = {
    "/api/status": (Status, "Everything on the front page"),
    "/api/streams/{vendor}/{stream}/{account}/history": (History, "One stream's past, by UTC day, and its newest runs"),
    "/api/links": (Links, "Every fan-out link"),
    "/api/queue": (Queues, "Every queue's lines, and the dead letters without what is in them"),
    "/api/alerts": (Alerts, "Open alerts, and those closed last"),
}


def _in_path(name: str, text: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": text}


_PARAMETERS: dict[str, list[Json]] = {
    "/api/streams/{vendor}/{stream}/{account}/history": [
        _in_path("vendor", "First part of the stream"),
        _in_path("stream", "Second part of the stream"),
        _in_path("account", "vendor/name, or the name alone where that leaves no doubt"),
        {
            "name": "days",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 30},
            "description": "How many days, today included",
        },
    ]
}


def document() -> dict[str, Json]:
    """The document."""
    models = [answer for answer, _ in _ANSWERS.values()] + [Problem]
    _, definitions = models_json_schema([(model, "serialization") for model in models], ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sync_pipelines status",
            "version": version("sync_pipelines"),
            "description": "How every stream, link and queue is doing. Reads only.",
        },
        "paths": {path: {"get": _operation(path)} for path in _ANSWERS},
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Needed where one is configured"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(path: str) -> dict[str, Json]:
    answer, summary = _ANSWERS[path]
    problems = {"401": "A token is needed", "403": "Only this machine is answered", "503": "The database does not answer"}
    if path in _PARAMETERS:
        problems |= {"400": "A parameter is wrong", "404": "There is no such stream"}
    return {
        "operationId": answer.__name__.lower(),
        "summary": summary,
        "parameters": _PARAMETERS.get(path, []),
        "responses": {
            "200": {"description": summary, "content": _json(answer)},
            **{code: {"description": text, "content": _json(Problem)} for code, text in sorted(problems.items())},
        },
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
