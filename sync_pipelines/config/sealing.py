"""Keeps literal credentials out of stored configurations: each becomes an encrypted secret, and the document refers to it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from psycopg import Connection

from sync_pipelines.config.document import Path, dotted
from sync_pipelines.config.models import Config
from sync_pipelines.config.references import references_in
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import Json
from sync_pipelines.core.references import SECRET_PREFIX, Reference
from sync_pipelines.core.secrets import MASTER_KEY_VARIABLE, SHARED, Secrets


@dataclass(frozen=True)
class Sealed:
    """A document that may be stored.

    Attributes:
        document: Without any literal credential.
        values: What its new references stand for, by name and account; not stored yet.
    """

    document: Json
    values: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)

    def store(self, connection: Connection[Any], secrets: Secrets | None) -> None:
        """Stores the values, in the transaction that stores the document."""
        for (name, account), value in self.values.items():
            assert secrets is not None  # noqa: S101 - `sealed` makes values with a master key only
            secrets.write(connection, name, account, value)


@dataclass(frozen=True)
class _Literal:
    path: Path
    who: str
    account: str
    place: Path
    value: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The field, without the block it stands in and without positions: they move."""
        return ".".join(part for part in self.place if isinstance(part, str) and part not in {"credentials", "settings"})


def sealed(document: Json, config: Config, connection: Connection[Any], secrets: Secrets | None) -> Sealed:
    """The document with every literal credential replaced by ``secret:<field>.<number>``.

    A value that was stored before gets the name it has, so that nothing changes by applying it again; another value gets a new
    name, so that a rollback goes back to the old one.

    Args:
        document: As written.
        config: What it was parsed to.
        connection: To look for values stored before.
        secrets: Reads them; ``None`` without a master key.

    Raises:
        ConfigError: There are literals, and no master key to encrypt them with; names each place and the fix.
    """
    literals = list(_literals(config))
    if not literals:
        return Sealed(document)
    if secrets is None:
        raise ConfigError("\n".join(_refusal(literal) for literal in literals))
    found = Sealed(deepcopy(document))
    for literal in literals:
        name = _name(literal, found.values, connection, secrets)
        _put(found.document, literal.path, f"{SECRET_PREFIX}{name}")
    return found


def _literals(config: Config) -> Iterator[_Literal]:
    for index, account in enumerate(config.accounts):
        named: list[tuple[Path, Reference]] = [(("credentials", name), found) for name, found in account.credentials.items()]
        named += [(("settings", *path), found) for path, found in references_in(account.settings)]
        who = f"{account.place}: account {account.id}"
        for path, found in named:
            if found.is_literal:
                yield _Literal(("accounts", index, *path), who, account.id, path, found.template.encode())
    for path, found in references_in(config.alerts):
        if found.is_literal:
            yield _Literal(("alerts", *path), f"{config.source}: alerts", SHARED, path, found.template.encode())


def _name(literal: _Literal, new: dict[tuple[str, str], bytes], connection: Connection[Any], secrets: Secrets) -> str:
    for number in count(1):
        name = f"{literal.name}.{number}"
        known = new.get((name, literal.account)) or secrets.read(connection, name, literal.account)
        if known is None:
            new[name, literal.account] = literal.value
        if known in {None, literal.value}:
            return name
    raise AssertionError("counting ends with a free name")


def _put(document: Any, path: Path, value: str) -> None:
    for part in path[:-1]:
        document = document[part]
    document[path[-1]] = value


def _refusal(literal: _Literal) -> str:
    option = f" --account {literal.account}" if literal.account else ""
    variable = "_".join((*literal.account.replace("/", "_").split(), literal.name.replace(".", "_"))).upper()
    return (
        f"{literal.who}, {dotted(literal.place)}: the value itself is not stored in plain. Write "
        f'"${{{variable}}}" and set that variable, or "{SECRET_PREFIX}{literal.name}" after '
        f"`sync-pipelines secrets set {literal.name}{option}`; or set {MASTER_KEY_VARIABLE}, then it is encrypted for you"
    )
