"""The service's frame: alive without a database, ready only with one."""

from __future__ import annotations

from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.service.app import create_app
from sync_pipelines_tests.servers import TestServer


def test_it_is_ready_while_the_database_answers(postgres_server: TestServer, database_url: str) -> None:
    with TestClient(create_app(Database(database_url, timeout_s=1))) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json() == {"ready": True}
        postgres_server.stop()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        postgres_server.start()
        assert client.get("/readyz").status_code == 200
