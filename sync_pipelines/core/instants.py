"""Instants in settings: what a person writes without a zone is UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def in_utc(value: datetime) -> datetime:
    """The same instant as aware UTC; a naive one is taken as UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UtcInstant = Annotated[datetime, AfterValidator(in_utc)]
"""A pydantic field type: ``2026-01-01`` or a full ISO 8601 instant."""
