"""The guarded upsert as a share of plain text COPY into the same table, and against dlt's merge of the same rows."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from statistics import median
from typing import Any

import psycopg

from sync_pipelines.core.tables import COMMON_COLUMNS
from sync_pipelines.core.upsert import Record, UpsertCounts, upsert
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.bench.rows import ACCOUNT, COLUMNS, ORDERS, create_table, parse, raw_order
from sync_pipelines_tests.servers import TestServer

ROUNDS = 3
DLT_ROWS = 30_000
"""dlt takes its time; its rate hardly depends on the number of rows."""


def run(server: TestServer, *, quick: bool) -> list[Measure]:
    """Copies, first loads, changed and unchanged re-loads, in turn, ``ROUNDS`` times; the ratios are medians."""
    rows = 2_000 if quick else 100_000
    records = [parse(raw_order(number)) for number in range(rows)]
    for record in records:
        record.digest()
    changed = [parse(raw_order(number, revision=1)) for number in range(rows)]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        create_table(connection)
        connection.execute("CREATE TABLE bench.plain (LIKE bench.orders INCLUDING ALL) WITH (autovacuum_enabled = false)")
        _copy(connection, records)  # the first touch of a fresh server is nobody's fault
        rounds = [_round(connection, records, changed) for _ in range(1 if quick else ROUNDS)]
    middle = {phase: median(one[phase] for one in rounds) for phase in rounds[0]}
    shares = {phase: median(one[phase] / one["copy"] for one in rounds) for phase in ("first", "changed", "unchanged")}
    measures = [
        Measure("upsert", "plain COPY", middle["copy"], "rows/s"),
        Measure("upsert", "first load", middle["first"], "rows/s"),
        Measure("upsert", "first load of plain COPY", shares["first"], "share", at_least=0.60),
        Measure("upsert", "all changed of plain COPY", shares["changed"], "share", at_least=0.45),
        Measure("upsert", "unchanged of plain COPY", shares["unchanged"], "share", at_least=0.90),
        Measure("upsert", "WAL of an unchanged load", middle["wal"] / rows, "bytes/row", at_most=1),
    ]
    if find_spec("dlt"):
        measures += _against_dlt(server, records[: 500 if quick else DLT_ROWS], middle["first"])
    return measures


def _round(connection: psycopg.Connection[Any], records: list[Record], changed: list[Record]) -> dict[str, float]:
    """Rows a second of each phase, and the WAL bytes of the unchanged one."""
    found = {"copy": _phase(connection, records, lambda: _copy(connection, records))}
    connection.execute("TRUNCATE bench.orders")
    found["first"] = _phase(connection, records, lambda: _expect(_upsert(connection, records), inserted=len(records)))
    before = 0

    def unchanged() -> None:
        nonlocal before
        before = _wal(connection)
        _expect(_upsert(connection, records), unchanged=len(records))

    found["unchanged"] = _phase(connection, records, unchanged)
    found["wal"] = _wal(connection) - before
    found["changed"] = _phase(connection, records, lambda: _expect(_upsert(connection, changed), updated=len(changed)))
    return found


def _phase(connection: psycopg.Connection[Any], records: Sequence[Record], work: Callable[[], None]) -> float:
    connection.execute("VACUUM (FREEZE, ANALYZE) bench.orders")
    connection.execute("CHECKPOINT")
    started = time.perf_counter()
    work()
    return len(records) / (time.perf_counter() - started)


def _upsert(connection: psycopg.Connection[Any], records: list[Record]) -> UpsertCounts:
    with connection.transaction():
        return upsert(connection, ORDERS, records, account=ACCOUNT, run_id="bench", now=datetime.now(UTC))


def _expect(counts: UpsertCounts, **expected: int) -> None:
    assert {name: getattr(counts, name) for name in expected} == expected, counts


def _copy(connection: psycopg.Connection[Any], records: list[Record]) -> None:
    """Plain COPY of the same values into the same-shaped table, which is what no upsert can beat."""
    names = ["account", "order_id", *COLUMNS, *COMMON_COLUMNS]
    now = datetime.now(UTC)
    connection.execute("TRUNCATE bench.plain")
    with connection.transaction(), connection.cursor().copy(f"COPY bench.plain ({', '.join(names)}) FROM STDIN") as copy:
        for one in records:
            typed = [one.row[name] for name in COLUMNS]
            copy.write_row((ACCOUNT, *one.key, *typed, one.raw.decode(), one.version, one.digest(), None, now, now, "bench"))


def _wal(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _against_dlt(server: TestServer, records: list[Record], ours: float) -> list[Measure]:
    import dlt

    def orders() -> Iterator[dict[str, Any]]:
        for one in records:
            yield {"account": ACCOUNT, "order_id": one.key[0], **one.row, "version": one.version, "raw": one.raw.decode()}

    folder = tempfile.mkdtemp(prefix="sync-bench-dlt-")
    try:
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=folder, destination=dlt.destinations.postgres(server.url()), dataset_name="bench_dlt"
        )
        resource = dlt.resource(
            orders,
            name="orders",
            primary_key=("account", "order_id"),
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        )
        pipeline.run(resource.with_name("orders").add_limit(1))  # makes schema and tables
        started = time.perf_counter()
        pipeline.run(resource)
        theirs = len(records) / (time.perf_counter() - started)
    finally:
        shutil.rmtree(folder)
    return [
        Measure("upsert", "dlt merge (upsert), first load", theirs, "rows/s"),
        Measure("upsert", "first load of dlt's", ours / theirs, "×", at_least=10),
    ]
