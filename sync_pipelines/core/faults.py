"""What may be written down about an error: its class, and a text that names places and kinds but never values.

Validation errors quote their input and database errors quote rows; both may be a person's address or a key. Only errors of our own
tree are trusted with their own words (`errors.SyncError` promises that they carry no secrets and no personal data).
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import ValidationError

from sync_pipelines.core.errors import SyncError

MOST_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it may be stored, logged and shown.

    Attributes:
        cause: Class name, an open vocabulary.
        text: What happened and where.
    """

    cause: str
    text: str


def describe(error: BaseException) -> Fault:
    """Puts an error into words that can be kept."""
    cause = type(error).__name__
    if isinstance(error, SyncError):
        return Fault(cause, str(error))
    if isinstance(error, ValidationError):
        return Fault(cause, _fields(error))
    if isinstance(error, psycopg.Error):
        return Fault(cause, _refusal(error))
    return Fault(cause, f"unexpected {cause}{_place(error)}; the log of the run has the traceback")


def _fields(error: ValidationError) -> str:
    faults = [
        f"{'.'.join(_step(step) for step in fault['loc']) or error.title}: {fault['type']}"
        for fault in error.errors(include_input=False, include_context=False, include_url=False)
    ]
    more = f"; and {len(faults) - MOST_FIELDS} more" if len(faults) > MOST_FIELDS else ""
    return "; ".join(faults[:MOST_FIELDS]) + more


def _step(step: int | str) -> str:
    """A step of a path; one that is no plain name may be a key out of the data."""
    return str(step) if isinstance(step, int) or step.isidentifier() else "*"


def _refusal(error: psycopg.Error) -> str:
    about = error.diag
    parts = [f"{name} {value}" for name, value in (("table", about.table_name), ("column", about.column_name)) if value]
    if about.constraint_name:
        parts.append(f"constraint {about.constraint_name}")
    where = f" ({', '.join(parts)})" if parts else ""
    return f"the database refuses the row: SQLSTATE {about.sqlstate or 'unknown'}{where}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" in {Path(frames[-1].filename).name}, {frames[-1].name}" if frames else ""
