"""The tables that old reports read: the names they know, and an index wherever a join begins."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ARRAY, Table, Text

from sync_pipelines.core.tables import key_names
from sync_pipelines.vendors.gazelle import streams, tables

TABLES = [table for stream in streams.STREAMS for table in (stream.table, *stream.children)]


def test_clients_have_the_columns_old_reports_read() -> None:
    known = "account external_id company_name status tags email phone city postal_code created_at updated_at"
    assert set(known.split()) <= set(tables.clients.columns.keys())
    assert key_names(tables.clients) == ("account", "external_id")
    tags: Any = tables.clients.c.tags.type
    assert isinstance(tags, ARRAY)
    assert isinstance(tags.item_type, Text)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_foreign_id_begins_an_index(table: Table) -> None:
    foreign = {column.name for column in table.columns if column.name.endswith("_external_id")}
    assert foreign <= {next(iter(index.columns)).name for index in table.indexes}
