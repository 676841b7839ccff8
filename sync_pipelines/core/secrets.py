"""Secrets at rest: each value under a random data key, each data key wrapped by a master key that never enters the database.

AES-256-GCM both times; account and name are bound in as associated data, so a row copied onto another account does not open.
`Secrets.rotate_key` re-wraps data keys only, row by row, while others read. The order that never locks anybody out: put the new key
*behind* the old one in every process (``old,new``), then in front (``new,old``), rotate, and drop the old one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.rows import class_row
from sqlalchemy import Column, LargeBinary, Table, Text

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

MASTER_KEY_VARIABLE = "SYNC_PIPELINES_MASTER_KEY"
"""The environment variable that holds the master key(s)."""

SHARED = ""
"""The account of secrets that belong to no account."""

_KEY_BYTES = 32
_NONCE_BYTES = 12
_HOW_TO = f"`sync-pipelines secrets new-key` prints one; put it into {MASTER_KEY_VARIABLE}"

secrets_table = Table(
    "secrets",
    metadata,
    Column("account", Text, primary_key=True, comment="vendor/name, or empty for a shared secret"),
    Column("name", Text, primary_key=True, comment="What `secret:NAME` refers to"),
    Column("ciphertext", LargeBinary, nullable=False, comment="The value under its data key (nonce first)"),
    Column("wrapped_key", LargeBinary, nullable=False, comment="The data key under the master key (nonce first)"),
    Column("key_id", Text, nullable=False, comment="Which master key wraps it"),
    instant("created_at", nullable=False, comment="When the secret was first set"),
    instant("set_at", nullable=False, comment="When the value last changed"),
    instant("rewrapped_at", nullable=False, comment="When the data key was last wrapped"),
    instant("expires_at", comment="When the vendor stops accepting the value, if known"),
    schema=SYNC_SCHEMA,
    comment="Encrypted credentials and tokens",
)


@dataclass(frozen=True)
class MasterKeys:
    """The master keys in use: the first wraps, all unwrap. The representation shows ids only."""

    keys: Mapping[str, AESGCM] = field(repr=False)
    primary: str

    @classmethod
    def parse(cls, text: str | None) -> MasterKeys:
        """Reads what ``SYNC_PIPELINES_MASTER_KEY`` holds: one base64 key of 32 bytes, or several separated by commas.

        Args:
            text: Its value; ``None`` if it is not set.

        Raises:
            ConfigError: There is none, or one is malformed.
        """
        if text is None:
            raise ConfigError(f"{MASTER_KEY_VARIABLE} is not set: secrets need a master key. {_HOW_TO}")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts:
            raise ConfigError(f"{MASTER_KEY_VARIABLE} is empty: secrets need a master key. {_HOW_TO}")
        keys: dict[str, AESGCM] = {}
        for position, part in enumerate(parts, start=1):
            try:
                key = base64.b64decode(part, validate=True)
            except binascii.Error as error:
                raise ConfigError(f"{MASTER_KEY_VARIABLE}: key {position} is not base64. {_HOW_TO}") from error
            if len(key) != _KEY_BYTES:
                raise ConfigError(f"{MASTER_KEY_VARIABLE}: key {position} has {len(key)} bytes instead of {_KEY_BYTES}. {_HOW_TO}")
            keys[hashlib.blake2b(key, digest_size=6, person=b"sync-key-id").hexdigest()] = AESGCM(key)
        return cls(keys, next(iter(keys)))

    @staticmethod
    def new() -> str:
        """A fresh master key in the form `parse` reads."""
        return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


@dataclass(frozen=True)
class SecretInfo:
    """What may be shown of a secret. Instants are aware UTC.

    Attributes:
        account: ``vendor/name``, or empty for a shared secret.
        name: Its name.
        key_id: The master key that wraps it.
        is_current: Whether that is the key new secrets get.
        set_at: When the value last changed.
        age_s: Seconds since then, by Postgres' clock.
        expires_at: When the vendor stops accepting it, if known.
    """

    account: str
    name: str
    key_id: str
    is_current: bool
    set_at: datetime
    age_s: float
    expires_at: datetime | None


@dataclass(frozen=True)
class _Row:
    account: str
    name: str
    wrapped_key: bytes = field(repr=False)
    key_id: str
    ciphertext: bytes = field(default=b"", repr=False)


class Secrets:
    """Reads and writes ``sync.secrets``.

    Args:
        database: Where they are.
        master_keys: What opens them.
    """

    def __init__(self, database: Database, master_keys: MasterKeys) -> None:
        self._database, self._keys = database, master_keys

    def set(self, name: str, account: str, value: bytes, *, expires_at: datetime | None = None) -> None:
        """Stores a value under a new data key, replacing an older one.

        Args:
            name: Its name.
            account: ``vendor/name``, or `SHARED`.
            value: The secret itself.
            expires_at: When the vendor stops accepting it, for warnings ahead.
        """
        with self._database.transaction() as connection:
            self.write(connection, name, account, value, expires_at=expires_at)

    def get(self, name: str, account: str) -> bytes:
        """The value.

        Raises:
            ConfigError: There is none, or it does not open with the master keys at hand.
        """
        with self._database.connect() as connection:
            value = self.read(connection, name, account)
        if value is None:
            raise ConfigError(
                f"secret {_label(name, account)} does not exist; set it with `{_set_command(name, account)}`", account=account
            )
        return value

    def lookup(self, name: str, account: str) -> bytes | None:
        """What ``secret:NAME`` stands for: the account's own secret of that name, else the shared one, else ``None``.

        Raises:
            ConfigError: It does not open with the master keys at hand.
        """
        with self._database.connect() as connection:
            value = self.read(connection, name, account)
            return self.read(connection, name, SHARED) if value is None and account != SHARED else value

    def delete(self, name: str, account: str) -> bool:
        """Removes a secret; says whether there was one."""
        with self._database.connect() as connection:
            deleted = connection.execute("delete from sync.secrets where account = %s and name = %s", (account, name))
            return deleted.rowcount > 0

    def list(self) -> list[SecretInfo]:
        """All secrets without their values, sorted by account and name."""
        query = """
            select account, name, key_id, set_at, extract(epoch from clock_timestamp() - set_at)::float8, expires_at
            from sync.secrets order by account, name
        """
        with self._database.connect() as connection:
            rows = connection.execute(query).fetchall()
        return [
            SecretInfo(account, name, key_id, key_id == self._keys.primary, set_at, age_s, expires_at)
            for account, name, key_id, set_at, age_s, expires_at in rows
        ]

    def rotate_key(self) -> int:
        """Wraps every data key with the primary master key; readers and writers go on meanwhile.

        Returns:
            How many were re-wrapped. Values are not touched, and a second call finds nothing to do.

        Raises:
            ConfigError: A data key is wrapped by a master key that is not at hand; those before it stay re-wrapped.
        """
        count = 0
        while True:
            with self._database.transaction() as connection:
                row = connection.cursor(row_factory=class_row(_Row)).execute(_NEXT_TO_REWRAP, (self._keys.primary,)).fetchone()
                if row is None:
                    return count
                wrapped = self._wrap(self._unwrap(row), row.name, row.account)
                connection.execute(_REWRAP, (wrapped, self._keys.primary, row.account, row.name))
                count += 1

    def write(
        self, connection: psycopg.Connection, name: str, account: str, value: bytes, *, expires_at: datetime | None = None
    ) -> None:
        """`set` within the caller's transaction."""
        data_key = secrets.token_bytes(_KEY_BYTES)
        ciphertext = _seal(AESGCM(data_key), value, _binding("value", name, account))
        wrapped = self._wrap(data_key, name, account)
        connection.execute(_UPSERT, (account, name, ciphertext, wrapped, self._keys.primary, expires_at))

    def read(self, connection: psycopg.Connection, name: str, account: str) -> bytes | None:
        """`get` within the caller's transaction; ``None`` if there is none."""
        row = connection.cursor(row_factory=class_row(_Row)).execute(_SELECT, (account, name)).fetchone()
        if row is None:
            return None
        try:
            return _open(AESGCM(self._unwrap(row)), row.ciphertext, _binding("value", name, account))
        except InvalidTag as error:
            raise self._damaged(row) from error

    def _wrap(self, data_key: bytes, name: str, account: str) -> bytes:
        return _seal(self._keys.keys[self._keys.primary], data_key, _binding(self._keys.primary, name, account))

    def _unwrap(self, row: _Row) -> bytes:
        master = self._keys.keys.get(row.key_id)
        if master is None:
            raise ConfigError(
                f"secret {_label(row.name, row.account)} is wrapped by master key {row.key_id}, which {MASTER_KEY_VARIABLE} "
                f"does not hold (it holds {', '.join(self._keys.keys)}); add the old key behind the new one, "
                "or set the secret again",
                account=row.account or None,
            )
        try:
            return _open(master, row.wrapped_key, _binding(row.key_id, row.name, row.account))
        except InvalidTag as error:
            raise self._damaged(row) from error

    def _damaged(self, row: _Row) -> ConfigError:
        return ConfigError(
            f"secret {_label(row.name, row.account)} does not open: its row was altered or belongs to another account; "
            f"set it again with `{_set_command(row.name, row.account)}`",
            account=row.account or None,
        )


_UPSERT = """
    insert into sync.secrets as s
        (account, name, ciphertext, wrapped_key, key_id, expires_at, created_at, set_at, rewrapped_at)
    values (%s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp(), clock_timestamp())
    on conflict (account, name) do update set
        ciphertext = excluded.ciphertext, wrapped_key = excluded.wrapped_key, key_id = excluded.key_id,
        expires_at = excluded.expires_at, set_at = excluded.set_at, rewrapped_at = excluded.rewrapped_at
"""

_SELECT = "select account, name, wrapped_key, key_id, ciphertext from sync.secrets where account = %s and name = %s"

_NEXT_TO_REWRAP = """
    select account, name, wrapped_key, key_id from sync.secrets where key_id <> %s
    order by account, name limit 1 for no key update
"""

_REWRAP = """
    update sync.secrets set wrapped_key = %s, key_id = %s, rewrapped_at = clock_timestamp() where account = %s and name = %s
"""


def _seal(key: AESGCM, value: bytes, binding: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, value, binding)


def _open(key: AESGCM, sealed: bytes, binding: bytes) -> bytes:
    return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)


def _binding(purpose: str, name: str, account: str) -> bytes:
    """Associated data; lengths keep ``a/b`` + ``c`` and ``a`` + ``b/c`` apart."""
    return "".join(f"{len(part)}:{part}" for part in (purpose, account, name)).encode()


def _label(name: str, account: str) -> str:
    return f"{name} of {account}" if account else f"{name} (shared)"


def _set_command(name: str, account: str) -> str:
    return f"sync-pipelines secrets set {name}" + (f" --account {account}" if account else "")
