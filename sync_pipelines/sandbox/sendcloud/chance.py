"""Reproducible chance: a hash of integers instead of a generator's state, so that record one million costs as much as the first."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

_MASK = (1 << 64) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def mix(*values: int) -> int:
    """64 well-mixed bits of the given integers (splitmix64's steps)."""
    state = 0x9E3779B97F4A7C15
    for value in values:
        state = ((state ^ (value & _MASK)) * 0xBF58476D1CE4E5B9) & _MASK
        state ^= state >> 31
        state = (state * 0x94D049BB133111EB) & _MASK
        state ^= state >> 29
    return state


def made_uuid(*values: int) -> str:
    """A version 4 UUID made of the given integers."""
    return str(uuid.UUID(int=(mix(*values) << 64) | mix(*values, 1), version=4))


def at(micros: int) -> datetime:
    """Microseconds since the epoch as aware UTC, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(moment: datetime) -> int:
    """The reverse of `at`; a naive time counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def shop_time(moment_us: int) -> str:
    """How shop-side times are written: milliseconds and ``Z``."""
    return at(moment_us).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def server_time(moment_us: int) -> str:
    """How SendCloud's own V3 times are written: microseconds and ``+00:00``."""
    return at(moment_us).isoformat(timespec="microseconds")


def v2_time(moment_us: int) -> str:
    """V2's day-first UTC text without a zone."""
    return at(moment_us).strftime("%d-%m-%Y %H:%M:%S")
