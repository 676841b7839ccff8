"""Writes reference pages from what they describe: ``docs/configuration.md`` from the models, ``docs/tables.md`` from the tables.

``make docs`` runs it; a test holds the committed pages against it, so they can not grow stale.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from sqlalchemy import Computed, Table
from sqlalchemy.dialects import postgresql

from sync_pipelines.config.alerts import AlertSettings
from sync_pipelines.config.vendors import known_vendors, linkable_vendors, vendor_shape
from sync_pipelines.core.retention import Retention
from sync_pipelines.core.tables import COMMON_COLUMNS
from sync_pipelines.migrations.runner import target_metadata

CONFIGURATION = """# Configuration reference

Made by `make docs` from the models that read `accounts.yaml`; [accounts.example.yaml](../accounts.example.yaml) shows one in use.
Every account has `id` (`vendor/name`), optionally `base_url` and `auth_url`, then `credentials` and `settings`. A credential is a
*reference*: `${ENVIRONMENT_VARIABLE}` or `secret:name` (see `sync-pipelines secrets set`), looked up when it is used. The value
itself works in the file too; `config apply` stores it encrypted, never in the version. A key in *italics* is required.
"""

TABLES = """# Table reference

Made by `make docs` from the tables' declarations. Every vendor table ends with the same columns: {common}. They are left out below.
Columns of the primary key are in **bold**.
"""

_LONGEST_DEFAULT = 60

_NAMES = {
    "NoneType": "null",
    "str": "text",
    "int": "integer",
    "float": "number",
    "Decimal": "decimal",
    "bool": "true or false",
    "timedelta": "duration (ISO 8601)",
    "datetime": "instant (ISO 8601)",
    "AwareDatetime": "instant (ISO 8601)",
    "Reference": "reference",
    "Any": "anything",
    "typing.Any": "anything",
}


def configuration() -> str:
    """The page of everything that can be configured."""
    parts = [CONFIGURATION]
    for name in known_vendors():
        shape = vendor_shape(name)
        sets = " or ".join("{" + ", ".join(one) + "}" for one in shape.credential_sets)
        optional = f"; optionally {', '.join(shape.optional_credentials)}" if shape.optional_credentials else ""
        parts.append(f"## {name}\n\n- credentials: `{sets}`{optional}\n")
        parts.extend(_models(shape.settings, "settings"))
    linkable = " or ".join(f"`{shape.name}`" for shape in linkable_vendors())
    parts.append(f"## links\n\nEach link copies one main {linkable} account to one secondary account.\n")
    for model in _link_models():
        parts.extend(_models(model, "link"))
    parts.append("## alerts\n")
    parts.extend(_models(AlertSettings, "alerts"))
    parts.append("## retention\n\nThe daily maintenance keeps everything at this size; a launch may say otherwise for once.\n")
    parts.extend(_models(Retention, "retention"))
    return "\n".join(parts).rstrip() + "\n"


def tables() -> str:
    """The page of every table that people query."""
    parts = [TABLES.format(common=", ".join(f"`{name}`" for name in COMMON_COLUMNS))]
    schema = None
    for table in sorted(target_metadata().tables.values(), key=lambda one: (one.schema or "", one.name)):
        if table.schema != schema:
            schema = table.schema
            parts.append(f"## Schema `{schema}`\n")
        parts.extend(_table(table))
    return "\n".join(parts).rstrip() + "\n"


def write(folder: Path) -> None:
    """Writes both pages."""
    for name, text in pages().items():
        (folder / name).write_text(text)


def pages() -> dict[str, str]:
    """The pages' texts by file name."""
    return {"configuration.md": configuration(), "tables.md": tables()}


def _link_models() -> list[type[BaseModel]]:
    return [shape.link for shape in linkable_vendors() if shape.link is not None]


def undescribed() -> list[str]:
    """Public settings without a description, as ``Model.field``."""
    waiting: list[type[BaseModel]] = [*(vendor_shape(name).settings for name in known_vendors()), *_link_models(), AlertSettings]
    models: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop()
        if model not in models:
            models.add(model)
            waiting += [found for field in model.model_fields.values() for found in _models_in(field.annotation)]
    return sorted(
        f"{model.__name__}.{name}" for model in models for name, field in model.model_fields.items() if not field.description
    )


def _models(model: type[BaseModel], title: str) -> Iterator[str]:
    """One table for a model and one for each model within it."""
    nested: list[tuple[str, type[BaseModel]]] = []
    yield f"### {title}\n\n| key | type | default | meaning |\n|---|---|---|---|"
    for name, field in model.model_fields.items():
        key = field.alias or name
        nested.extend((f"{title}.{key}", found) for found in _models_in(field.annotation))
        shown = f"*{key}*" if field.is_required() else f"`{key}`"
        yield f"| {shown} | {_cell(_type(field.annotation))} | {_cell(_default(field))} | {_cell(field.description or '')} |"
    yield ""
    for inner, found in nested:
        yield from _models(found, inner)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return list(dict.fromkeys(found for part in get_args(annotation) for found in _models_in(part)))


def _type(annotation: Any) -> str:
    if inspect.isclass(annotation) and not get_args(annotation):
        if issubclass(annotation, Enum):
            return " or ".join(f"`{member.value}`" for member in annotation)
        return _NAMES.get(annotation.__name__, annotation.__name__)
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in {UnionType, Union}:
        return " or ".join(_type(part) for part in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) in {list, tuple}:
        return f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return " to ".join(_type(part) for part in get_args(annotation))
    return _NAMES.get(str(annotation), str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required() or isinstance(field.default, BaseModel):
        return ""
    value = json.dumps(to_jsonable_python(field.get_default(call_default_factory=True)), ensure_ascii=False)
    return "see below" if len(value) > _LONGEST_DEFAULT else f"`{value}`"


def _table(table: Table) -> Iterator[str]:
    yield f"### `{table.fullname}`\n\n{table.comment or ''}\n\n| column | type | meaning |\n|---|---|---|"
    is_vendors = set(COMMON_COLUMNS) <= set(table.columns.keys())
    for column in table.columns:
        if is_vendors and column.name in COMMON_COLUMNS:
            continue
        kind = column.type.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
        name = f"**{column.name}**" if column.primary_key else column.name
        generated = " (generated)" if isinstance(column.computed, Computed) else ""
        yield f"| {name} | {kind}{'' if column.nullable else ', not null'}{generated} | {_cell(column.comment or '')} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    write(Path(__file__).parent.parent / "docs")
