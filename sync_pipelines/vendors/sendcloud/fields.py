"""How SendCloud writes values, and the one form each takes with us: missing, null, "" and {} are all "not there".

Money and weights come as numbers here and as text there, identifiers as text or integers, V2 dates day first and in UTC without a
zone (facts §1.4, §3.4, §4.2). Numbers must have been decoded exactly (`sync_pipelines.core.jsons.decode_json`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sync_pipelines.core.jsons import decode_json

M = TypeVar("M", bound="Payload")

LARGEST = Decimal(10) ** 15
"""No amount, weight or quantity is larger; a number beyond it is garbage."""

EPOCH = datetime.fromtimestamp(0, UTC)
V2_DATE = "%d-%m-%Y %H:%M:%S"
_V2_MARKS = ("-", "-", " ", ":", ":")

KILOGRAMS = {
    "kg": Decimal(1),
    "g": Decimal("0.001"),
    "lbs": Decimal("0.45359237"),
    "oz": Decimal("0.028349523125"),
}


class Payload(BaseModel):
    """Base of all payload models: unknown fields are ignored, numbers are accepted where text is expected.

    A model's validator is built when it is first used; building all of them would cost each command a tenth of a second.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True, coerce_numbers_to_str=True)

    @classmethod
    def parse(cls: type[M], raw: bytes) -> M:
        """Reads one JSON object with exact numbers.

        Raises:
            pydantic.ValidationError: A field we need is missing or unreadable.
            ContractError: Not JSON.
        """
        return cls.model_validate(decode_json(raw))


def _text(value: Any) -> Any:
    return None if value in (None, "", {}) else value


def _number(value: Any) -> Any:
    """A `Decimal` from a JSON number or its text."""
    if value in (None, "", {}):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic turns a ValueError into a report
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise ValueError("not a number") from error
    if not number.is_finite() or abs(number) > LARGEST:
        raise ValueError("the number is out of range")
    return number


def _instant(value: Any) -> Any:
    """ISO 8601 with an offset; the rare time without one is UTC."""
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        raise ValueError("not an ISO 8601 time")  # noqa: TRY004 - pydantic turns a ValueError into a report
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _v2_instant(value: Any) -> Any:
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        raise ValueError("not a V2 date")  # noqa: TRY004 - pydantic turns a ValueError into a report
    if len(value) == 19 and (value[2], value[5], value[10], value[13], value[16]) == _V2_MARKS:  # strptime takes ten times as long
        return datetime.fromisoformat(f"{value[6:10]}-{value[3:5]}-{value[:2]} {value[11:]}").replace(tzinfo=UTC)
    return datetime.strptime(value, V2_DATE).replace(tzinfo=UTC)


def _epoch_ms(value: Any) -> Any:
    """Epoch milliseconds; ten digits or fewer are seconds, as the documentation (not reality) has it."""
    number = _number(value)
    if number is None:
        return None
    seconds = number / 1000 if number > 99_999_999_999 else number
    return EPOCH + timedelta(microseconds=int(seconds * 1_000_000))


def _mapping(value: Any) -> Any:
    """An optional object: ``{}`` says as little as ``null``."""
    return None if value in (None, {}, "", []) else value


def _listing(value: Any) -> Any:
    return [] if value in (None, "", {}) else value


Text = Annotated[str | None, BeforeValidator(_text)]
"""Optional text; "" is absent."""

Number = Annotated[Decimal | None, BeforeValidator(_number)]
"""Optional exact number."""

Amount = Annotated[Decimal, BeforeValidator(_number)]
"""Exact number that must be there."""

Instant = Annotated[datetime | None, BeforeValidator(_instant)]
"""Optional V3 time, aware UTC."""

Moment = Annotated[datetime, BeforeValidator(_instant)]
"""V3 time that must be there, aware UTC."""

V2Instant = Annotated[datetime | None, BeforeValidator(_v2_instant)]
"""Optional V2 time (``DD-MM-YYYY HH:MM:SS``, UTC), aware."""

V2Moment = Annotated[datetime, BeforeValidator(_v2_instant)]
"""V2 time that must be there, aware UTC."""

EpochMs = Annotated[datetime, BeforeValidator(_epoch_ms)]
"""Epoch milliseconds as aware UTC."""

OptionalEpochMs = Annotated[datetime | None, BeforeValidator(_epoch_ms)]
"""The same, or absent."""

Name = Annotated[str, Field(min_length=1)]
"""Text that must be there: identifiers and codes."""

Absent = BeforeValidator(_mapping)
"""Marks an optional object: ``Annotated[Model | None, Absent]``."""

Listing = BeforeValidator(_listing)
"""Marks a list that may be missing or null."""


class Price(Payload):
    """An amount of money; ``value`` is a number in orders and text in shipments."""

    value: Amount
    currency: Name


class Weight(Payload):
    """A weight with its unit."""

    value: Number = None
    unit: Text = None

    @property
    def kilograms(self) -> Decimal | None:
        """In kilograms; ``None`` if value or a known unit is missing."""
        factor = KILOGRAMS.get(self.unit or "")
        return None if self.value is None or factor is None else self.value * factor
