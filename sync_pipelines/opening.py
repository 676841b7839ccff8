"""Opens a runtime from the process's environment and the active configuration."""

from __future__ import annotations

from sync_pipelines.config import Environment, SecretLookup, active_config, available_database
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.core.secrets import MASTER_KEY_VARIABLE, MasterKeys, Secrets
from sync_pipelines.core.vendor import AccountContext


def secrets_of(database: Database, environment: Environment) -> Secrets | None:
    """The encrypted secrets; ``None`` without a master key.

    Raises:
        ConfigError: The master key is malformed.
    """
    return Secrets(database, MasterKeys.parse(environment.master_key)) if environment.master_key else None


def secret_lookup(secrets: Secrets | None) -> SecretLookup:
    """Finds what ``secret:`` references stand for."""

    def look_up(name: str, account: str) -> bytes | None:
        if secrets is None:
            raise ConfigError(
                f"{f'account {account}' if account else 'the configuration'} uses secret:{name}, but {MASTER_KEY_VARIABLE} is not "
                "set; `sync-pipelines secrets new-key` prints one",
                account=account or None,
            )
        return secrets.lookup(name, account)

    return look_up


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
    secrets = secrets_of(database, environment)
    look_up = secret_lookup(secrets)

    def account(account_id: str, lane: Lane) -> AccountContext:
        found = config.account(account_id)
        return AccountContext(
            id=found.id,
            base_url=found.base_url,
            auth_url=found.auth_url,
            credentials=found.resolve(look_up),
            settings=found.bound_settings(look_up),
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
