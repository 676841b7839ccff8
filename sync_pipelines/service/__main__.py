"""``python -m sync_pipelines.service``: serves until stopped."""

from __future__ import annotations

from collections.abc import Callable

from sync_pipelines.config import Config, Environment, active_config, available_database, load_config
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import DatabaseUnavailable
from sync_pipelines.opening import secret_lookup, secrets_of
from sync_pipelines.overview.watched import watched
from sync_pipelines.registry import modules
from sync_pipelines.service.account_settings import AccountSettings
from sync_pipelines.service.alerting.opening import open_watch
from sync_pipelines.service.page import Access, Pictures, page_routes
from sync_pipelines.service.serving import serve

STORAGE_TIMEOUT_S = 4
"""Vendors give up on a webhook after five seconds or more; a 503 within that time makes them come again."""


def main() -> None:
    """Reads the environment and serves."""
    environment = Environment.read()
    url = available_database(environment)
    database = Database(url, application_name="sync-pipelines service", max_connections=8, timeout_s=STORAGE_TIMEOUT_S)
    webhooks = [webhook for module in modules("webhooks") for webhook in module.WEBHOOKS]
    with Database(url, application_name="sync-pipelines page", max_connections=4, timeout_s=STORAGE_TIMEOUT_S) as shown:

        def read_config() -> Config:
            return active_config(shown, environment.config_path)

        config = _first_config(read_config, environment)
        watch = open_watch(environment, url, config)
        settings = AccountSettings(config, read_config, secret_lookup(secrets_of(shown, environment)))
        pictures = Pictures(shown, lambda: watched(read_config(), dagster_url=environment.web_url))
        pages = page_routes(pictures, Access(environment.token))
        serve(
            database,
            webhooks,
            settings.of,
            host=environment.host,
            port=environment.service_port,
            parts=[settings.running, watch.running, pictures.keeping],
            pages=pages,
        )


def _first_config(read_config: Callable[[], Config], environment: Environment) -> Config:
    """The configuration in force; the file while the database is away, so that the watch can tell people so."""
    try:
        return read_config()
    except DatabaseUnavailable:
        return load_config(environment.config_path)


if __name__ == "__main__":
    main()
