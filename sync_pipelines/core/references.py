"""Values that stand elsewhere: ``${NAME}`` in the environment, ``secret:name`` among the encrypted secrets.

A settings model declares such a field as `Reference`; where it is used, `Reference.value` looks it up, so that one missing value
stops what needs it and nothing else. `config.references` says where to look; core reads neither place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sync_pipelines.core.errors import ConfigError

SECRET_PREFIX = "secret:"  # noqa: S105  # a prefix, not a secret

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A name of the environment within a text."""

_STRAY = re.compile(r"\$\{")

LookUp = Callable[[str], str]
"""A reference's text to its value; raises `ConfigError` with the fix if there is none."""


class Reference:
    """A value that is looked up when it is used.

    Args:
        template: The text of the configuration file: ``${NAME}``, ``secret:name`` or, against advice, the value itself.
        look_up: Finds the value; a literal needs none.
    """

    __slots__ = ("_look_up", "_template")

    def __init__(self, template: str, look_up: LookUp | None = None) -> None:
        self._template, self._look_up = template, look_up

    @property
    def is_literal(self) -> bool:
        """Whether the text is the value itself."""
        return not self._template.startswith(SECRET_PREFIX) and VARIABLE.search(self._template) is None

    @property
    def described(self) -> str:
        """The reference as it may be shown; a literal value is not."""
        return "(literal)" if self.is_literal else self._template

    @property
    def template(self) -> str:
        """The text as written; may be a secret itself."""
        return self._template

    def bound(self, look_up: LookUp) -> Reference:
        """The same reference with a place to look it up."""
        return Reference(self._template, look_up)

    def value(self) -> str:
        """The value, looked up now.

        Raises:
            ConfigError: It is not there; the message says how to put it there.
        """
        if self._look_up is not None:
            return self._look_up(self._template)
        if self.is_literal:
            return self._template
        raise ConfigError(f"{self._template} can not be looked up here")

    def __repr__(self) -> str:
        return f"Reference({self.described})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other._template == self._template

    def __hash__(self) -> int:
        return hash(self._template)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.described)
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
        if _STRAY.search(VARIABLE.sub("", text)):
            raise ValueError('has a broken reference; write "${VARIABLE}" with letters, digits and _')
        return cls(text)
