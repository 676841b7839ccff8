"""``config``: the configuration file, checked and shown."""

from __future__ import annotations

from typing import Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.config import Config, Environment, load_config


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="The configuration.", no_args_is_help=True)
    group.command("validate")(validate)
    group.command("show")(show)
    app.add_typer(group, name="config")


def validate() -> None:
    """Checks the configuration file; names file, line, account, field and fix of every problem."""
    config = load_config(Environment.read().config_path)
    counts = {"accounts": len(config.accounts), "links": len(config.links)}
    output.result(
        {"valid": True, "source": config.source, **counts},
        f"{config.source} is valid: {counts['accounts']} accounts, {counts['links']} links",
    )


def show() -> None:
    """Prints the configuration with every default filled in; credentials appear as references."""
    import yaml

    shown = _shown(load_config(Environment.read().config_path))
    output.result(shown, yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))


def _shown(config: Config) -> dict[str, Any]:
    return {
        "accounts": [
            {
                "id": account.id,
                "base_url": account.base_url,
                **({"auth_url": account.auth_url} if account.auth_url else {}),
                "credentials": {name: reference.described for name, reference in account.credentials.items()},
                "settings": _hidden(account.settings.model_dump(mode="json")),
            }
            for account in config.accounts
        ],
        "links": [link.model_dump(mode="json", by_alias=True) for link in config.links],
        "alerts": _hidden(config.alerts.model_dump(mode="json")),
    }


_SECRET_WORDS = ("key", "secret", "password", "token", "webhook_url")


def _hidden(value: Any, name: str = "") -> Any:
    """Settings without the values of keys and passwords."""
    if isinstance(value, dict):
        return {key: _hidden(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, name) for item in value]
    is_secret = isinstance(value, str) and any(word in name for word in _SECRET_WORDS)
    return "(set)" if is_secret and value else value
