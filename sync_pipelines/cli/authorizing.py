"""What the ``authorize`` commands share: the account, the encrypted secrets, and where a granted token is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sync_pipelines.cli import output
from sync_pipelines.cli.session import configuration, database
from sync_pipelines.config import Account, Environment
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.references import SECRET_PREFIX
from sync_pipelines.core.secrets import MASTER_KEY_VARIABLE, Secrets
from sync_pipelines.opening import secrets_of


def account_of(name: str, vendor: str, called: str) -> Account:
    """The configured account.

    Args:
        name: ``vendor/name``.
        vendor: Whose it must be.
        called: That vendor's own name.

    Raises:
        ConfigError: There is none, or it is another vendor's.
    """
    found = configuration().account(name)
    if found.vendor != vendor:
        raise ConfigError(f"{name} is not {called} account", account=name)
    return found


@contextmanager
def opened_secrets() -> Iterator[Secrets]:
    """The encrypted secrets of the prepared database.

    Raises:
        ConfigError: There is no master key to keep tokens with.
    """
    with database() as opened:
        secrets = secrets_of(opened, Environment.read())
        if secrets is None:
            raise ConfigError(
                f"set {MASTER_KEY_VARIABLE} first (`sync-pipelines secrets new-key` makes one): tokens are kept encrypted"
            )
        yield secrets


def keep(secrets: Secrets, account: Account, tokens: Mapping[str, str]) -> None:
    """Stores tokens under the names that the configuration looks them up by, and says so.

    Args:
        secrets: Where they go.
        account: Whose they are.
        tokens: Credential (``refresh_token``) to value.
    """
    names = {credential: _name(account, credential) for credential in tokens}
    for credential, value in tokens.items():
        secrets.set(names[credential], account.id, value.encode())
    unused = [credential for credential, name in names.items() if _template(account, credential) != f"{SECRET_PREFIX}{name}"]
    advice = ", ".join(f"`{credential}: {SECRET_PREFIX}{names[credential]}`" for credential in unused)
    text = f"{account.id}: {' and '.join(names)} kept as {' and '.join(names.values())}"
    if unused:
        text += f"; write {advice} into the credentials of {account.id} to use it"
    output.result({"account": account.id, "secret": names["refresh_token"], "is_used": not unused}, text)


def _name(account: Account, credential: str) -> str:
    template = _template(account, credential)
    return template.removeprefix(SECRET_PREFIX) if template.startswith(SECRET_PREFIX) else credential


def _template(account: Account, credential: str) -> str:
    reference = account.credentials.get(credential)
    return reference.template if reference else ""
