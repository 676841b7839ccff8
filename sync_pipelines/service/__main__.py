"""``python -m sync_pipelines.service``: serves until stopped."""

from __future__ import annotations

import uvicorn

from sync_pipelines.config import Environment, available_database
from sync_pipelines.core.db import Database
from sync_pipelines.service.app import create_app


def main() -> None:
    """Reads the environment and serves."""
    environment = Environment.read()
    database = Database(available_database(environment), application_name="sync-pipelines service", max_connections=8)
    uvicorn.run(
        create_app(database),
        host=environment.host,
        port=environment.service_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
