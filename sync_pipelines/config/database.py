"""Which database to work on: the one that ``DATABASE_URL`` names, else the embedded one of the state folder."""

from __future__ import annotations

from sync_pipelines.config.environment import Environment
from sync_pipelines.core.postgres import EmbeddedServer


def available_database(environment: Environment) -> str:
    """The URL of a database that can be used now; starts the embedded server if it does not run.

    Raises:
        ConfigError: There is neither ``DATABASE_URL`` nor a server to embed.
    """
    return environment.database_url or embedded_server(environment).start()


def embedded_server(environment: Environment) -> EmbeddedServer:
    """The embedded server of this state folder, running or not."""
    return EmbeddedServer(environment.state)
