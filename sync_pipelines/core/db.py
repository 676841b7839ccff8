"""Connections to our Postgres: one small pool a process, and one kind of error when the server is away.

URLs are plain ``postgresql://…``, as people put them into ``DATABASE_URL``. Messages never carry a password.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

import psycopg
import psycopg_pool

from sync_pipelines.core import arrays
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable

arrays.use_in(psycopg.adapters)

MINIMUM_SERVER_VERSION = 140000
"""PostgreSQL 14, as ``server_version_num`` counts."""

_GONE = ("08", "57P01", "57P02", "57P03", "53300")
"""SQLSTATEs (or classes) after which the same work may succeed on a new connection: lost, shut down, starting, full."""


ASK_AGAIN_S = 2.0


_held: ContextVar[tuple[tuple[Database, psycopg.Connection], ...]] = ContextVar("_held", default=())
"""Connections that hold the locks of the work under way, see `Database.locks`."""


class Database:
    """A pool of autocommit connections, opened with the first use.

    Args:
        url: ``postgresql://user:password@host:port/name``.
        application_name: Shown in ``pg_stat_activity``.
        max_connections: The most connections this process holds (see the connection budget in ``dagster.yaml``).
        timeout_s: How long a caller waits for a connection, a restarting server included.
    """

    def __init__(
        self, url: str, *, application_name: str = "sync-pipelines", max_connections: int = 4, timeout_s: float = 30
    ) -> None:
        self.url = plain_url(url)
        self._application_name = application_name
        self._lock = threading.Lock()
        self._opened = False
        self._timeout_s = timeout_s
        self._pool = psycopg_pool.ConnectionPool(
            self.url,
            min_size=0,
            max_size=max_connections,
            open=False,
            reconnect_timeout=1,
            max_idle=60,
            kwargs={"autocommit": True, "application_name": application_name, "connect_timeout": 10},
            check=psycopg_pool.ConnectionPool.check_connection,
            num_workers=1,
            name=application_name,
        )

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """Lends an autocommit connection.

        Raises:
            DatabaseUnavailable: The server cannot be reached or went away.
            ConfigError: The server is older than PostgreSQL 14.
        """
        self._open()
        connection = self._borrow()
        try:
            yield connection
        except psycopg.Error as error:
            if connection.closed or (error.sqlstate or "").startswith(_GONE):
                raise self._unavailable(error) from error
            raise
        finally:
            self._pool.putconn(connection)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """Lends a connection inside one transaction: committed at the end, rolled back on any error.

        Raises:
            DatabaseUnavailable: As `connect`, or a lock of this context has fallen, see `locks`.
        """
        with self.connect() as connection, connection.transaction():
            self._require_locks()
            yield connection

    @contextmanager
    def locks(self, *names: str) -> Iterator[bool]:
        """Tries to take locks for the life of the block; whether it got them all. They fall with their connection.

        Within the block a `transaction` of the same thread goes on only while they stand. So whoever builds on what it stored
        before notices when the server has crashed or failed over since: commits may be lost with it, unlogged tables are empty, and
        others may hold the locks.
        """
        with self.connect() as connection:
            try:
                if not all(_is_locked(connection, name) for name in names):
                    yield False
                    return
                token = _held.set((*_held.get(), (self, connection)))
                try:
                    yield True
                finally:
                    _held.reset(token)
            finally:
                connection.execute("SELECT pg_advisory_unlock_all()")

    def _require_locks(self) -> None:
        """Asks each lock's connection, which dies with the server; inside the transaction, so that none can fall in between."""
        for database, connection in _held.get():
            if database is not self:
                continue
            try:
                connection.execute("SELECT")
            except psycopg.Error as error:
                raise self._unavailable(error) from error

    def close(self) -> None:
        """Closes every idle connection; the object can not be used again."""
        self._pool.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({safe_url(self.url)!r})"

    def _borrow(self) -> psycopg.Connection:
        """A connection from the pool, asked for again and again: left alone, the pool lets its pauses grow to minutes."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            remaining = deadline - time.monotonic()
            try:
                return self._pool.getconn(timeout=max(0.1, min(ASK_AGAIN_S, remaining)))
            except psycopg_pool.PoolTimeout as error:
                if remaining <= ASK_AGAIN_S:
                    raise self._unavailable(error) from error

    def _open(self) -> None:
        """Asks the server once, directly: the pool alone would hide why it cannot be reached."""
        if self._opened:
            return
        with self._lock:
            if self._opened:
                return
            try:
                check_server(self.url)
            except psycopg.OperationalError as error:
                raise self._unavailable(error) from error
            self._pool.open()
            self._opened = True

    def _unavailable(self, error: Exception) -> DatabaseUnavailable:
        reason = " ".join(str(error).split()).rstrip(".?") or type(error).__name__
        return DatabaseUnavailable(
            f"the database {safe_url(self.url)} is not reachable: {reason}. Check DATABASE_URL and that the server runs "
            "(`sync-pipelines db status`)"
        )


def _is_locked(connection: psycopg.Connection, name: str) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
    return bool(row and row[0])


def clock(connection: psycopg.Connection[Any]) -> datetime:
    """The database's time, which is everybody's: aware UTC, whatever zone the session has."""
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101  # a select without from answers one row
    now: datetime = row[0]
    return now.astimezone(UTC)


@contextmanager
def without_nested_loops(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Plans what runs inside as joins of whole sets; for the caller's open transaction.

    Of rows that were written a moment ago the planner's statistics know nothing. It then takes the sets for a handful of rows and
    compares each with each, which at 100,000 rows takes minutes instead of a second.
    """
    connection.execute("SET LOCAL enable_nestloop = off")
    yield
    connection.execute("SET LOCAL enable_nestloop TO DEFAULT")


def check_server(url: str, *, connect_timeout_s: int = 10) -> int:
    """Connects once and returns ``server_version_num``.

    Raises:
        ConfigError: The server is older than PostgreSQL 14.
        psycopg.OperationalError: The server cannot be reached or refuses us.
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=connect_timeout_s) as connection:
        version = connection.info.server_version
    require_supported(version, url)
    return version


def require_supported(version: int, url: str) -> None:
    """Makes sure that a server is new enough for us.

    Args:
        version: Its ``server_version_num``.
        url: Its address, for the message.

    Raises:
        ConfigError: It is older than PostgreSQL 14.
    """
    if version < MINIMUM_SERVER_VERSION:
        raise ConfigError(
            f"the database {safe_url(url)} is PostgreSQL {version // 10000}; sync-pipelines needs 14 or newer. "
            "Upgrade the server, or unset DATABASE_URL to use the embedded one"
        )


def plain_url(url: str) -> str:
    """The URL as libpq reads it: ``postgres://`` and ``postgresql+driver://`` become ``postgresql://``.

    Raises:
        ConfigError: It is no Postgres URL.
    """
    parts = _split(url)
    scheme = parts.scheme.split("+")[0]
    if scheme not in {"postgres", "postgresql"}:
        raise ConfigError(
            "DATABASE_URL must look like postgresql://user:password@host:5432/database" + (f", not {scheme}://…" if scheme else "")
        )
    return urlunsplit(("postgresql", *parts[1:]))


def driver_url(url: str, driver: str) -> str:
    """The same database for SQLAlchemy with an explicit driver (``psycopg`` or ``psycopg2``)."""
    return plain_url(url).replace("postgresql://", f"postgresql+{driver}://", 1)


def safe_url(url: str) -> str:
    """The URL without password and parameters, for messages."""
    parts = _split(url)
    host = parts.netloc.rpartition("@")
    user = host[0].split(":")[0]
    return urlunsplit((parts.scheme, f"{user}@{host[2]}" if user else host[2], parts.path, "", ""))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConfigError("DATABASE_URL is not a URL; it must look like postgresql://user:password@host:5432/database") from error
