"""Opens a runtime from the process's environment and the active configuration."""

from __future__ import annotations

from sync_pipelines.config import Environment, active_config, available_database
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.vendor import AccountContext


def open_runtime(environment: Environment | None = None, *, application_name: str = "sync-pipelines") -> Runtime:
    """A runtime on this environment's database; the caller closes ``runtime.database``.

    The configuration is read anew by each call, so what runs next follows it.

    Raises:
        ConfigError: The configuration or the environment is wrong.
        DatabaseUnavailable: The database cannot be reached.
    """
    environment = environment or Environment.read()
    database = Database(available_database(environment), application_name=application_name)
    config = active_config(database, environment.config_path)
    secrets = Secrets(database, MasterKeys.parse(environment.master_key)) if environment.master_key else None

    def look_up(name: str, account: str) -> bytes | None:
        if secrets is None:
            raise ConfigError(
                f"account {account} uses secret:{name}, but SYNC_PIPELINES_MASTER_KEY is not set; "
                "`sync-pipelines secrets new-key` prints one",
                account=account,
            )
        return secrets.lookup(name, account)

    def account(account_id: str, lane: Lane) -> AccountContext:
        found = config.account(account_id)
        return AccountContext(
            id=found.id,
            base_url=found.base_url,
            auth_url=found.auth_url,
            credentials=found.resolve(look_up),
            settings=found.settings,
            database=database,
            secrets=secrets,
            lane=lane,
        )

    return Runtime(
        database=database,
        account=account,
        account_ids=config.account_ids,
        links=config.links,
        settings_of=lambda account_id: config.account(account_id).settings,
        retention=config.retention,
    )
