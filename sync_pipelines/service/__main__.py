"""``python -m sync_pipelines.service``: serves until stopped."""

from __future__ import annotations

from sync_pipelines.config import Environment, available_database, load_config
from sync_pipelines.core.db import Database
from sync_pipelines.registry import modules
from sync_pipelines.service.alerting.opening import open_watch
from sync_pipelines.service.serving import serve

STORAGE_TIMEOUT_S = 4
"""Vendors give up on a webhook after five seconds or more; a 503 within that time makes them come again."""


def main() -> None:
    """Reads the environment and serves."""
    environment = Environment.read()
    config = load_config(environment.config_path)
    settings = {account.id: account.settings for account in config.accounts}
    url = available_database(environment)
    database = Database(url, application_name="sync-pipelines service", max_connections=8, timeout_s=STORAGE_TIMEOUT_S)
    watch = open_watch(environment, url, config)
    webhooks = [webhook for module in modules("webhooks") for webhook in module.WEBHOOKS]
    serve(database, webhooks, settings.get, host=environment.host, port=environment.service_port, parts=[watch.running])


if __name__ == "__main__":
    main()
