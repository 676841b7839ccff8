"""The configuration as the product uses it; made by `loading.parse_config` only, so that every instance is valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.config.alerts import AlertSettings
from sync_pipelines.config.document import Path, dotted
from sync_pipelines.config.references import SecretLookup, look_up_at, with_references
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.references import LookUp, Reference
from sync_pipelines.core.retention import Retention


@dataclass(frozen=True)
class Account:
    """One set of credentials at a vendor.

    Attributes:
        id: ``vendor/name``.
        base_url: Where the vendor answers, without a slash at the end.
        auth_url: Where its tokens come from, if elsewhere.
        credentials: References, looked up by `resolve`.
        settings: The vendor's ``Settings`` model.
        place: ``accounts.yaml:4``, for messages.
    """

    id: str
    base_url: str
    auth_url: str | None
    credentials: Mapping[str, Reference]
    settings: Any
    place: str = ""

    @property
    def vendor(self) -> str:
        """The part of the id before the slash."""
        return self.id.split("/", 1)[0]

    @property
    def name(self) -> str:
        """The part of the id after the slash."""
        return self.id.split("/", 1)[1]

    def resolve(self, secrets: SecretLookup | None = None, *, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """The credentials' values.

        Args:
            secrets: Looks up ``secret:`` references.
            environ: Instead of the process's own.

        Raises:
            ConfigError: One is missing; this stops this account only.
        """
        return {name: self.credential(name, secrets, environ=environ) for name in self.credentials}

    def credential(self, name: str, secrets: SecretLookup | None = None, *, environ: Mapping[str, str] | None = None) -> str:
        """One credential's value; as `resolve`."""
        return self.credentials[name].bound(self._look_up(("credentials", name), secrets, environ)).value()

    def bound_settings(self, secrets: SecretLookup | None = None, *, environ: Mapping[str, str] | None = None) -> Any:
        """The settings, whose references look themselves up where they are used: a missing key stops only what needs it."""
        return with_references(
            self.settings, lambda path, reference: reference.bound(self._look_up(("settings", *path), secrets, environ))
        )

    def _look_up(self, path: Path, secrets: SecretLookup | None, environ: Mapping[str, str] | None) -> LookUp:
        return look_up_at(f"{self.place}: account {self.id}, {dotted(path)}", self.id, secrets, environ)


@dataclass(frozen=True)
class Config:
    """Everything that ``accounts.yaml`` says.

    Attributes:
        accounts: In the file's order.
        links: Grand Shooting fan-out links (``vendors.grand_shooting.settings.Link``).
        alerts: Channels, people, limits.
        retention: How many days things are kept.
        source: Where it came from.
    """

    accounts: tuple[Account, ...] = ()
    links: tuple[Any, ...] = ()
    alerts: AlertSettings = field(default_factory=AlertSettings)
    retention: Retention = field(default_factory=Retention)
    source: str = "accounts.yaml"

    def account(self, account_id: str) -> Account:
        """The account of this id.

        Raises:
            ConfigError: There is none; the message names those there are.
        """
        for account in self.accounts:
            if account.id == account_id:
                return account
        known = ", ".join(account.id for account in self.accounts) or "none"
        raise ConfigError(f"there is no account {account_id} in {self.source}; configured are: {known}", account=account_id)

    def account_ids(self, vendors: tuple[str, ...] | None = None) -> list[str]:
        """Ids of the accounts (of these vendors) that are read; a link's secondary account is only written."""
        written = {link.secondary for link in self.links}
        return [
            account.id for account in self.accounts if account.id not in written and (vendors is None or account.vendor in vendors)
        ]
