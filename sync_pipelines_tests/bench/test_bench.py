"""The benches work; what they measure is not asserted here."""

from __future__ import annotations

import pytest

from sync_pipelines_tests.bench import budget, intake, queue, sync, upsert
from sync_pipelines_tests.bench.measures import Measure
from sync_pipelines_tests.servers import TestServer


@pytest.fixture
def server(postgres_server: TestServer, database_url: str, monkeypatch: pytest.MonkeyPatch) -> TestServer:
    """The session's server, with the test's own database as the one that benches use."""
    monkeypatch.setattr(postgres_server, "url", lambda *_: database_url)
    return postgres_server


@pytest.mark.parametrize("bench", [upsert, sync, budget, queue, intake], ids=lambda bench: bench.__name__.rpartition(".")[2])
def test_a_quick_run_measures_something(bench, server: TestServer) -> None:
    measures: list[Measure] = bench.run(server, quick=True)
    assert measures
    assert all(one.value >= 0 for one in measures)


def test_a_measure_knows_whether_it_is_good() -> None:
    assert Measure("b", "w", 0.7, "share", at_least=0.6).is_good
    assert not Measure("b", "w", 5, "s", at_most=4).is_good
    assert Measure("b", "w", 5, "s").is_good is None
