"""Arrays as statement parameters (``%b``), packed a column at a time: psycopg's own way takes several times as long an element."""

from __future__ import annotations

import struct
from typing import Any

import psycopg
from psycopg.types.array import ListBinaryDumper

_HEAD = struct.Struct(">iiIii").pack
"""One dimension, whether there are nulls, element type, length, first index."""

_LENGTH = struct.Struct(">i").pack
_NULL = _LENGTH(-1)


class ArrayDumper(ListBinaryDumper):
    """Lists of plain values in Postgres' binary form; nested ones are left to psycopg."""

    def dump(self, obj: list[Any]) -> Any:
        """The whole parameter."""
        element = self.sub_dumper
        if element is None or not obj or isinstance(obj[0], list):
            return super().dump(obj)
        items = [None if value is None else element.dump(value) for value in obj]
        packed = b"".join([_NULL if item is None else _LENGTH(len(item)) + item for item in items])
        return _HEAD(1, None in items, element.oid, len(obj), 1) + packed


def use_in(adapters: psycopg.adapt.AdaptersMap) -> None:
    """Packs the lists of everything that adapts by these."""
    adapters.register_dumper(list, ArrayDumper)
