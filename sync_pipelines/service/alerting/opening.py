"""Puts the watch together from the process's environment."""

from __future__ import annotations

from collections.abc import Callable

from sync_pipelines.config import AlertSettings, Config, Environment, active_config
from sync_pipelines.config.references import look_up_at
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines.core.references import Reference
from sync_pipelines.core.secrets import SHARED
from sync_pipelines.opening import secret_lookup, secrets_of
from sync_pipelines.service.alerting.channels import Channel, Email, Slack
from sync_pipelines.service.alerting.digest import Links
from sync_pipelines.service.alerting.people import EMAIL, SLACK
from sync_pipelines.service.alerting.rules import all_rules
from sync_pipelines.service.alerting.watch import Watch, World

CONNECTIONS = 3
"""One holds the lock, one works, one is for rules that open their own (see the connection budget in ``dagster.yaml``)."""

TIMEOUT_S = 4


def open_watch(environment: Environment, url: str, config: Config) -> Watch:
    """The watch of a service process.

    Args:
        environment: Where things are.
        url: The database.
        config: The configuration that counts until the database answers.
    """
    database = Database(url, application_name="sync-pipelines watchdog", max_connections=CONNECTIONS, timeout_s=TIMEOUT_S)
    world = World(
        database=database,
        rules=all_rules(code_server=("127.0.0.1", environment.code_port)),
        read_config=lambda: active_config(database, environment.config_path),
        open_channels=lambda settings: open_channels(settings, environment, database),
        links=lambda settings: links(settings, environment),
    )
    return Watch(world, config)


def links(settings: AlertSettings, environment: Environment) -> Links:
    """Where messages point to: as configured, else where this machine listens."""
    return Links(
        status=(settings.status_url or environment.service_url).rstrip("/"),
        dagster=(settings.dagster_url or environment.web_url).rstrip("/"),
    )


def open_channels(settings: AlertSettings, environment: Environment, database: Database) -> dict[str, Channel | str]:
    """The ways to people; the text of what is wrong where one can not be opened."""
    found: dict[str, Channel | str] = {}

    def resolve(reference: Reference | None, where: str) -> str | None:
        if reference is None:
            return None
        return reference.bound(look_up_at(f"alerts.{where}", SHARED, secret_lookup(secrets_of(database, environment)))).value()

    email, slack = settings.email, settings.slack
    if email:
        found[EMAIL] = _open(lambda: Email(email, resolve(email.password, "email.password")))
    if slack:
        found[SLACK] = _open(
            lambda: Slack(slack, resolve(slack.token, "slack.token"), resolve(slack.webhook_url, "slack.webhook_url"))
        )
    return found


def _open(channel: Callable[[], Channel]) -> Channel | str:
    try:
        return channel()
    except (ConfigError, DatabaseUnavailable) as error:
        return str(error)
