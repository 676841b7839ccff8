"""Values that stand elsewhere: ``${NAME}`` in the environment, ``secret:name`` among the encrypted secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sync_pipelines.core.errors import ConfigError

SECRET_PREFIX = "secret:"  # noqa: S105  # a prefix, not a secret

SecretLookup = Callable[[str, str], bytes | None]
"""Secret name and account to its value; ``None`` if there is none."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_STRAY = re.compile(r"\$\{")


class Reference:
    """A value that is looked up when it is used, so that one missing credential stops one account and no other.

    Args:
        template: The text of the configuration file: ``${NAME}``, ``secret:name`` or, against advice, the value itself.
    """

    __slots__ = ("_template",)

    def __init__(self, template: str) -> None:
        self._template = template

    @property
    def described(self) -> str:
        """The reference as it may be shown; a literal value is not."""
        is_reference = self._template.startswith(SECRET_PREFIX) or _VARIABLE.search(self._template)
        return self._template if is_reference else "(literal)"

    @property
    def template(self) -> str:
        """The text as written, for storing the configuration; may be a secret itself."""
        return self._template

    def resolve(
        self, *, where: str, account: str, secrets: SecretLookup | None = None, environ: Mapping[str, str] | None = None
    ) -> str:
        """The value.

        Args:
            where: Place for the message: ``accounts.yaml:4: account a/b, credentials.token``.
            account: Whose secret.
            secrets: Looks up ``secret:`` references; needs the database and the master key.
            environ: Instead of the process's own.

        Raises:
            ConfigError: It is not there; the message says how to put it there.
        """
        if self._template.startswith(SECRET_PREFIX):
            name = self._template.removeprefix(SECRET_PREFIX)
            value = secrets(name, account) if secrets else None
            if value is None:
                raise ConfigError(
                    f"{where}: there is no secret {name!r} for {account}. "
                    f"Set it: sync-pipelines secrets set {name} --account {account}",
                    account=account,
                )
            return value.decode()
        text, missing = expand(self._template, os.environ if environ is None else environ)
        if missing:
            raise ConfigError(f"{where}: {unset(missing)}", account=account)
        return text

    def __repr__(self) -> str:
        return f"Reference({self.described})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other._template == self._template

    def __hash__(self) -> int:
        return hash(self._template)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.template)
        )

    @classmethod
    def _validated(cls, value: Any) -> Reference:
        if isinstance(value, Reference):
            return value
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError('must be "${VARIABLE}", "secret:name" or a text')  # noqa: TRY004  # pydantic reports ValueErrors
        text = str(value)
        if not text or text == SECRET_PREFIX:
            raise ValueError('is empty; write "${VARIABLE}" or "secret:name"')
        if _STRAY.search(_VARIABLE.sub("", text)):
            raise ValueError('has a broken reference; write "${VARIABLE}" with letters, digits and _')
        return cls(text)


def expand(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replaces every ``${NAME}``; returns the text and the names that are unset or empty."""
    missing = [name for name in _VARIABLE.findall(text) if not environ.get(name)]
    return _VARIABLE.sub(lambda match: environ.get(match[1], ""), text), missing


def unset(names: list[str]) -> str:
    """The message for missing variables."""
    several = len(names) > 1
    exports = "; ".join(f"export {name}=…" for name in names)
    return f"the environment variable{'s' * several} {', '.join(names)} {'are' if several else 'is'} not set. Set it: {exports}"
