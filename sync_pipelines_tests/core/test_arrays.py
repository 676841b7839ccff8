"""Arrays as statement parameters: the same bytes as psycopg's own, and the same values back from the server."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.types.array import ListBinaryDumper

from sync_pipelines.core.arrays import ArrayDumper
from sync_pipelines.core.db import Database

LISTS: list[tuple[str, list[Any]]] = [
    ("text[]", ["a", None, "é", ""]),
    ("bytea[]", [b"\x00x", b"", None]),
    ("text[]", [None, None]),
    ("text[]", []),
    ("integer[]", [1, -2, None, 70_000]),
    ("bigint[]", [2**40, 1]),
    ("float8[]", [1.5, None]),
    ("boolean[]", [True, False, None]),
    ("numeric[]", [Decimal("1.20"), None]),
    ("timestamptz[]", [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None]),
    ("uuid[]", [UUID(int=7)]),
    ("text[][]", [["a", None], ["b", "c"]]),
]


@pytest.mark.parametrize(("kind", "values"), LISTS, ids=[f"{kind} {number}" for number, (kind, _) in enumerate(LISTS)])
def test_a_list_comes_back_as_it_was_sent(database: Database, kind: str, values: list[Any]) -> None:
    with database.connect() as connection:
        assert connection.execute(f"select %b::{kind}", [values]).fetchone() == (values,)


@pytest.mark.parametrize("values", [values for _, values in LISTS if values and any(value is not None for value in values)])
def test_the_bytes_are_those_of_psycopg(values: list[Any]) -> None:
    packed = {}
    for dumper in (ListBinaryDumper, ArrayDumper):
        adapters = AdaptersMap(psycopg.adapters)
        adapters.register_dumper(list, dumper)
        found = Transformer.from_context(_Context(adapters)).get_dumper(values, PyFormat.BINARY)
        assert type(found) is dumper
        packed[dumper] = (found.oid, bytes(found.dump(values) or b""))
    assert packed[ArrayDumper] == packed[ListBinaryDumper]


class _Context:
    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters
